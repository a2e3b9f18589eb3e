package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// addOptions say what a new webhook is.
type addOptions struct {
	repositories   []string
	secretFrom     string
	header, prefix string
	event          string
}

func (w *webhooks) addCommand() *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add KIND [NAME]",
		Short: "Make a webhook and its secret, and print what to paste at its sender",
		Long: `add makes a secret in a file beside the webhooks file, writes the webhook into
that, and prints the address and the secret for the settings at its sender. KIND
is the kind of sender, one of
  ` + strings.Join(kindNames(), " ") + `
NAME is the last part of the address; without it, that is the kind. For sourcehut
something is added that nobody guesses: there, the address is the secret.

Exit codes: 0 all went well, 1 something failed, 2 wrong usage.`,
		Example: `  jet webhooks add github --repo acme/app --url https://bus.example.com
  jet webhooks add gitlab shop --repo 'acme/**'
  jet webhooks add hmac ci --header X-Signature --prefix sha256= --type com.example.ci.built`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			kind, err := kindOf(args[0])
			if err != nil {
				return err
			}
			name := string(kind.Kind)
			if len(args) == 2 {
				name = args[1]
			}
			if kind.Kind == webhook.SourceHut {
				// The signature is the service's, whoever's webhook it is.
				name += "-" + strings.ToLower(rand.Text()[:20])
			}
			return w.add(kind, name, o)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&o.repositories, "repo", nil, "`pattern` of the repositories that events may be about, such as acme/app, acme/* or group/**; may be given again (default: any)")
	fl.StringVar(&o.secretFrom, "secret-from", "", "`file` with the secret, where the sender makes it, - for standard input (default: make one)")
	fl.StringVar(&o.header, "header", "X-Signature", "`header` with the signature, for kind hmac")
	fl.StringVar(&o.prefix, "prefix", "", "`text` before the signature in it, such as sha256=, for kind hmac")
	fl.StringVar(&o.event, "type", "", "`type` of the events, for kinds hmac (required) and standard")
	return cmd
}

// entry is the lines of a new webhook.
func (o addOptions) entry(kind webhook.Kind, name, secretFile string) []string {
	lines := []string{
		"name: " + webhook.Scalar(name), "kind: " + string(kind), "secret_files: [" + webhook.Scalar(secretFile) + "]",
	}
	if len(o.repositories) > 0 {
		var patterns []string
		for _, r := range o.repositories {
			patterns = append(patterns, webhook.Scalar(r))
		}
		lines = append(lines, "repositories: ["+strings.Join(patterns, ", ")+"]")
	}
	if kind == webhook.HMAC {
		lines = append(lines, fmt.Sprintf("signature: {header: %s, prefix: %s}", webhook.Scalar(o.header), webhook.Scalar(o.prefix)))
	}
	if o.event != "" {
		lines = append(lines, "event: {type: "+webhook.Scalar(o.event)+"}")
	}
	return lines
}

func (w *webhooks) add(kind webhook.KindInfo, name string, o addOptions) error {
	if kind.Kind == webhook.HMAC && o.event == "" {
		return proc.Usagef("kind hmac needs --type: which type the events have, such as com.example.ci.built")
	}
	at, err := w.address(name)
	if err != nil {
		return err
	}
	secret, err := w.newSecret(kind.Kind, o.secretFrom)
	if err != nil {
		return err
	}
	file, written := "", false
	err = w.change(func(text *webhook.Text, all []webhook.Named) error {
		if slices.ContainsFunc(all, func(n webhook.Named) bool { return n.Name == name }) {
			return fmt.Errorf("there is a webhook %q already; give another name, or jet webhooks rotate %s for a new secret", name, name)
		}
		if strings.ContainsAny(name, `/\`) || name == "" || name[0] == '.' {
			return proc.Usagef("the name must be letters, digits, dots, dashes and underscores, not %q", name)
		}
		if file, err = w.writeSecret(name, secret); err != nil {
			return err
		}
		written = true
		return text.Add(name, o.entry(kind.Kind, name, file))
	})
	if err != nil {
		if written {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(w.path()), file)))
		}
		return err
	}
	return w.tell(kind, "added to "+w.path(), name, at, secret, file, o.secretFrom == "")
}

// tell prints what is to be set at the sender of a webhook.
func (w *webhooks) tell(kind webhook.KindInfo, what, name, at, secret, file string, show bool) error {
	if w.json {
		line := map[string]any{"name": name, "kind": kind.Kind, "url": at, "secret_file": filepath.Join(filepath.Dir(w.path()), file)}
		for key, v := range map[string]string{"content_type": kind.ContentType, "events": kind.Events, "secret_goes_to": kind.Secret} {
			if v != "" {
				line[key] = v
			}
		}
		if show {
			line["secret"] = secret
		}
		return w.line(line)
	}
	w.printf("webhook %s %s\n\nAt %s, set:\n", proc.Printable(name), proc.Printable(what), kind.Name)
	rows := [][]string{{"  URL", at}}
	if show {
		rows = append(rows, []string{"  secret", secret})
	}
	if kind.Secret != "" {
		rows = append(rows, []string{"    goes to", kind.Secret})
	}
	if kind.ContentType != "" {
		rows = append(rows, []string{"  content type", kind.ContentType})
	}
	if kind.Events != "" {
		rows = append(rows, []string{"  events", kind.Events})
	}
	if err := table(w.env.Stdout, rows); err != nil {
		return err
	}
	w.printf("\nThe secret is in %s.", proc.Printable(filepath.Join(filepath.Dir(w.path()), file)))
	if kind.Kind != webhook.SourceHut { // nobody else can sign for it
		w.printf(" See whether it is taken: jet webhooks test %s", proc.Printable(name))
	}
	w.printf("\n")
	if w.base == "" {
		w.printf("The URL is where jet-bus listens; with --url it is the one that senders reach it at.\n")
	}
	return nil
}

func (w *webhooks) rotateCommand() *cobra.Command {
	var finish bool
	var from string
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a webhook a second secret; with --finish, drop the first",
		Long: `rotate makes a second secret for a webhook and prints it. Both are taken until
rotate --finish, so that none of its sender's deliveries is refused meanwhile.

Exit codes: 0 all went well, 1 something failed, 2 wrong usage.`,
		Example: "  jet webhooks rotate app           # set the secret at the sender\n  jet webhooks rotate app --finish",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if finish {
				return w.finish(args[0])
			}
			return w.rotate(args[0], from)
		},
	}
	cmd.Flags().BoolVar(&finish, "finish", false, "the sender has the second secret: take the first no more")
	cmd.Flags().StringVar(&from, "secret-from", "", "`file` with the secret, where the sender makes it, - for standard input (default: make one)")
	return cmd
}

// hookNamed finds a webhook of the file; one that is not there is for the text to tell.
func hookNamed(all []webhook.Named, name string) webhook.Named {
	if i := slices.IndexFunc(all, func(n webhook.Named) bool { return n.Name == name }); i >= 0 {
		return all[i]
	}
	return webhook.Named{}
}

func (w *webhooks) rotate(name, from string) error {
	at, err := w.address(name)
	if err != nil {
		return err
	}
	var h webhook.Named
	var secret, file string
	err = w.change(func(text *webhook.Text, all []webhook.Named) (err error) {
		h = hookNamed(all, name)
		switch len(h.SecretFiles) {
		case 0:
			if h.Name != "" {
				return fmt.Errorf("webhook %s has no secret that could be replaced", name)
			}
			return text.SetSecrets(name, nil)
		case 1:
		default:
			return fmt.Errorf("webhook %s has two secrets already; when its sender has the second, jet webhooks rotate %s --finish drops the first", name, name)
		}
		if secret, err = w.newSecret(webhook.Kind(h.Kind), from); err != nil {
			return err
		}
		if file, err = w.writeSecret(name, secret); err != nil {
			return err
		}
		return text.SetSecrets(name, append(slices.Clone(h.SecretFiles), file))
	})
	if err != nil {
		if file != "" {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(w.path()), file)))
		}
		return err
	}
	kind, err := kindOf(h.Kind)
	if err != nil {
		return err
	}
	if err := w.tell(kind, "takes a second secret", name, at, secret, file, from == ""); err != nil || w.json {
		return err
	}
	w.printf("When its sender has it: jet webhooks rotate %s --finish\n", proc.Printable(name))
	return nil
}

// finish drops the first of two secrets.
func (w *webhooks) finish(name string) error {
	var dropped []string
	var left []webhook.Named
	err := w.change(func(text *webhook.Text, all []webhook.Named) error {
		h := hookNamed(all, name)
		if h.Name != "" && len(h.SecretFiles) != 2 {
			return fmt.Errorf("webhook %s has no second secret; jet webhooks rotate %s makes one", name, name)
		}
		if h.Name == "" {
			return text.SetSecrets(name, nil)
		}
		dropped = h.SecretFiles[:1]
		if err := text.SetSecrets(name, h.SecretFiles[1:]); err != nil {
			return err
		}
		var err error
		left, err = text.Hooks()
		return err
	})
	if err != nil {
		return err
	}
	return w.gone(name, "takes the second secret only", dropped, left)
}

func (w *webhooks) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a webhook out of the file, and remove its secret",
		Long: `remove takes a webhook out of the file. What its sender sends is answered 404 from
then on.

Exit codes: 0 all went well, 1 something failed, 2 wrong usage.`,
		Example: "  jet webhooks remove app",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			var h webhook.Named
			var left []webhook.Named
			err := w.change(func(text *webhook.Text, all []webhook.Named) (err error) {
				h = hookNamed(all, name)
				if err := text.Remove(name); err != nil {
					return err
				}
				left, err = text.Hooks()
				return err
			})
			if err != nil {
				return err
			}
			return w.gone(name, "is removed", h.SecretFiles, left)
		},
	}
}

// gone removes secrets that are used no more, and says what was done.
func (w *webhooks) gone(name, what string, files []string, others []webhook.Named) error {
	left, err := w.dropSecrets(name, files, others)
	if err != nil {
		return fmt.Errorf("remove a secret that is used no more: %w", err)
	}
	if w.json {
		return w.line(map[string]any{"name": name, "unused_files": append([]string{}, left...)})
	}
	w.printf("webhook %s %s\n", proc.Printable(name), what)
	if len(left) > 0 {
		w.printf("not used by it any more, and left where they are: %s\n", proc.Printable(strings.Join(left, ", ")))
	}
	return nil
}
