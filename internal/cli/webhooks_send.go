package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

const (
	// sendTimeout bounds a test delivery; takeOver is how long jet-bus may need to take a
	// change of the file over.
	sendTimeout = 15 * time.Second
	takeOver    = 6 * time.Second
	takeOverAsk = 250 * time.Millisecond
)

func (w *webhooks) testCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test [NAME]",
		Short: "Send a signed delivery to a webhook, and print the answer",
		Long: `test sends a delivery to a webhook of the jet-bus on this machine, one with each of
its secrets, signed as its sender would sign it, and prints what is answered: 202
for an event that is stored, 200 for a ping, which means nothing. With --url it is
sent by the way that senders take. The name may be left out where there is one
webhook. A test is an event like others where it is no ping, and rules may be for it.

Exit codes: 0 it was taken, 1 it was not, 2 wrong usage.`,
		Args:    cobra.MaximumNArgs(1),
		Example: "  jet webhooks test app\n  jet webhooks test app --url https://bus.example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := w.env.Context(cmd.Context())
			defer cancel()
			return w.test(ctx, strings.Join(args, ""))
		},
	}
}

func (w *webhooks) test(ctx context.Context, name string) error {
	file, err := webhook.Load(w.path())
	if err != nil {
		return err
	}
	info, err := os.Stat(w.path())
	if err != nil {
		return fmt.Errorf("read webhooks: %w", err)
	}
	i := slices.IndexFunc(file.Hooks, func(h webhook.Hook) bool { return h.Name == name })
	switch {
	case name == "" && len(file.Hooks) == 1:
		i = 0
	case name == "" && len(file.Hooks) > 1:
		return proc.Usagef("which one? jet webhooks list tells which there are")
	case i < 0 && name == "":
		return fmt.Errorf("there is no webhook in %s; jet webhooks add makes one", w.path())
	case i < 0:
		return fmt.Errorf("there is no webhook %q in %s", name, w.path())
	}
	h := file.Hooks[i]
	if w.base == "" {
		if _, err := access.ReadAddress(w.data()); err != nil {
			return fmt.Errorf("%w; say where jet-bus is with --url", err)
		}
	}
	client := sender(w.base == "")
	defer client.CloseIdleConnections()
	at, err := w.address(h.Name)
	if err != nil {
		return err
	}
	refused := false
	for n := range max(1, len(h.Secrets)) {
		one := h
		if len(h.Secrets) > 1 {
			one.Secrets = h.Secrets[n : n+1]
		}
		status, answer, err := w.sendSample(ctx, client, one, at, info.ModTime().Add(takeOver))
		if err != nil {
			return fmt.Errorf("webhook %s: %w", h.Name, err)
		}
		refused = refused || status >= http.StatusMultipleChoices
		if w.json {
			if err := w.line(map[string]any{"name": h.Name, "url": at, "secret": n + 1, "status": status, "answer": answer}); err != nil {
				return err
			}
			continue
		}
		which := ""
		if len(h.Secrets) > 1 {
			which = fmt.Sprintf("secret %d: ", n+1)
		}
		w.printf("%s%d %s: %s\n", which, status, http.StatusText(status), proc.Printable(answer))
	}
	if refused {
		return proc.ErrSilent
	}
	return nil
}

// sender returns a client for test deliveries, to this machine or by the way that senders
// take.
func sender(here bool) *http.Client {
	return &http.Client{
		Timeout: sendTimeout,
		// No git host follows a redirect as it was asked, and what it leads to would be handed
		// the secret of kinds that send it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// To this machine, by its number: the certificate is for the name that senders use.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: here, MinVersion: tls.VersionTLS12}}, //nolint:gosec // as above
	}
}

// sendSample sends one delivery, and again until the webhook and its secret are known, if
// the file was only just changed.
func (w *webhooks) sendSample(ctx context.Context, client *http.Client, h webhook.Hook, at string, until time.Time) (status int, answer string, err error) {
	for {
		header, body, err := h.Sample(time.Now(), strings.TrimSuffix(at, "/hooks/"+h.Name))
		if err != nil {
			return 0, "", err
		}
		if status, answer, err = send(ctx, client, at, header, body); err != nil {
			return 0, "", err
		}
		unknown := status == http.StatusNotFound || status == http.StatusUnauthorized
		if !unknown || time.Now().After(until) {
			return status, answer, nil
		}
		if !pause.For(ctx, takeOverAsk) {
			return 0, "", context.Cause(ctx)
		}
	}
}

func send(ctx context.Context, client *http.Client, at string, header http.Header, body []byte) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("send a test: %w", err)
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("send a test: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return 0, "", fmt.Errorf("send a test to %s: read the answer: %w", at, err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text)), nil
}
