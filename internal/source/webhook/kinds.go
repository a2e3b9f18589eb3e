package webhook

import (
	"fmt"
	"strings"
)

// KindInfo says of a kind what those need to know who set it up at the sender.
type KindInfo struct {
	Kind Kind
	// Name is what its senders are called.
	Name string
	// Doc says in one sentence what comes from them.
	Doc string
	// Events is what to choose there, empty if there is nothing to choose.
	Events string
	// Secret is where the secret goes there.
	Secret string
	// ContentType is what to choose there as the content type, empty if there is
	// nothing to choose.
	ContentType string
}

// Kinds are all kinds, in the order in which people should see them.
func Kinds() []KindInfo {
	table := kindTable()
	list := make([]KindInfo, 0, len(table))
	for _, k := range table {
		list = append(list, k.info)
	}
	return list
}

// need says whether a kind is configured with something.
type need int

const (
	never need = iota
	maybe
	always
)

// kindSpec is how a kind is served.
type kindSpec struct {
	info   KindInfo
	verify func(Hook) (verifier, error)
	adapt  func(Hook) (adapter, error) // nil for CloudEvents, which are events already
	// What is wanted of a hook.
	scheme, mapping need
}

// kindOf returns how a kind is served.
func kindOf(kind Kind) (kindSpec, error) {
	var names []string
	for _, k := range kindTable() {
		if k.info.Kind == kind {
			return k, nil
		}
		names = append(names, string(k.info.Kind))
	}
	return kindSpec{}, fmt.Errorf("kind %q is none of %s", kind, strings.Join(names, ", "))
}

// check refuses what a hook of the kind is not configured with, and what it lacks.
func (k kindSpec) check(h Hook) error {
	for _, field := range []struct {
		need need
		set  bool
		what string
	}{
		{k.scheme, h.Scheme != nil, "how deliveries are signed"},
		{k.mapping, h.Mapping != nil, "which events deliveries become"},
	} {
		if field.set && field.need == never {
			return fmt.Errorf("it says %s, which is not for kind %s", field.what, k.info.Kind)
		}
		if !field.set && field.need == always {
			return fmt.Errorf("it does not say %s, which kind %s needs", field.what, k.info.Kind)
		}
	}
	return nil
}

// kindTable is all that is particular to a kind, but how a sample of it looks.
func kindTable() []kindSpec {
	return append(gitKinds(), otherKinds()...)
}

func gitKinds() []kindSpec {
	const asJSON = "application/json"
	return []kindSpec{{
		info: KindInfo{
			GitHub, "GitHub", "Events of a repository or an organisation on GitHub.",
			"pushes, releases, pull requests, or whatever rules ask for", "Secret", asJSON,
		},
		verify: plain(func(s [][]byte) verifier { return hmacVerifier("sha256=", s, "X-Hub-Signature-256") }),
		adapt:  with(githubAdapter(githubDialect())),
	}, {
		info: KindInfo{
			GitLab, "GitLab", "Events of a project or a group on GitLab.",
			"push events, tag push events, releases events, merge request events", "Signing token (from GitLab 19.0), else Secret token", "",
		},
		verify: func(h Hook) (verifier, error) { return gitlabVerifier(h.Secrets) },
		adapt:  with(adaptGitLab),
	}, {
		info: KindInfo{
			Gitea, "Gitea", "Events of a repository or an organisation on Gitea.",
			"push, release, pull request", "Secret", asJSON,
		},
		verify: plain(func(s [][]byte) verifier { return hmacVerifier("", s, "X-Gitea-Signature") }),
		adapt:  with(githubAdapter(giteaDialect())),
	}, {
		info: KindInfo{
			Forgejo, "Forgejo", "Events of a repository or an organisation on Forgejo.",
			"push, release, pull request", "Secret", asJSON,
		},
		// Before its version 7, Forgejo sent Gitea's header alone.
		verify: plain(func(s [][]byte) verifier { return hmacVerifier("", s, "X-Forgejo-Signature", "X-Gitea-Signature") }),
		adapt:  with(githubAdapter(forgejoDialect())),
	}, {
		info: KindInfo{
			Bitbucket, "Bitbucket Cloud", "Events of a repository or a workspace on bitbucket.org.",
			"repository push, pull request merged", "Secret", "",
		},
		verify: plain(bitbucketVerifier), adapt: with(adaptBitbucket),
	}, {
		info: KindInfo{
			BitbucketDC, "Bitbucket Data Center", "Events of a repository or a project on a Bitbucket of one's own.",
			"repository push, pull request merged", "Secret", "",
		},
		verify: plain(bitbucketDCVerifier), adapt: with(adaptBitbucketDC),
	}, {
		info: KindInfo{
			SourceHut, "SourceHut", "Events of git.sr.ht, subscribed to with createGitWebhook or createUserWebhook of its GraphQL API.",
			"GIT_POST_RECEIVE, with a query such as query { webhook { uuid event date ... on GitEvent " +
				"{ repository { name owner { canonicalName } } pusher { canonicalName } updates { ref { name } new { id } } } } }",
			"nowhere: SourceHut signs with a key of its own, and the secret file here holds the public one; it signs for all its " +
				"accounts, so who knows the address can send", "",
		},
		verify: func(h Hook) (verifier, error) { return sourcehutVerifier(h.Secrets) },
		adapt:  with(adaptSourcehut),
	}}
}

func otherKinds() []kindSpec {
	return []kindSpec{{
		info: KindInfo{
			Alertmanager, "Alertmanager", "Alerts of Prometheus, each an event.",
			"", "http_config: authorization: credentials_file, or the password of basic_auth, in webhook_configs", "",
		},
		verify: plain(func(s [][]byte) verifier { return tokenVerifier(s, true) }),
		adapt:  with(alertAdapter("io.prometheus.alert.", "4")),
	}, {
		info: KindInfo{
			Grafana, "Grafana", "Alerts of Grafana, each an event.",
			"", "HMAC Signature: Secret, or Authorization Request Header: Credentials with scheme Bearer, in the contact point", "",
		},
		verify: grafanaVerifier, adapt: with(alertAdapter("com.grafana.alert.", "")),
		scheme: maybe,
	}, {
		info: KindInfo{
			Standard, "Standard Webhooks", "Deliveries of anybody who signs as Standard Webhooks has it.",
			"", "signing secret (whsec_…), which often the sender makes", "",
		},
		verify: func(h Hook) (verifier, error) { return standardVerifier(h.Secrets) },
		adapt:  mappedAdapter, mapping: maybe,
	}, {
		info: KindInfo{
			HMAC, "any HMAC", "Deliveries in JSON of anybody who signs with HMAC.",
			"", "wherever the sender keeps the key of its signatures", "application/json",
		},
		verify: hmacSchemeVerifier, adapt: mappedAdapter,
		scheme: always, mapping: always,
	}, {
		info: KindInfo{
			CloudEvents, "CloudEvents", "Events of any program: structured, binary or batched.",
			"", "Authorization: Bearer SECRET", "",
		},
		verify: plain(func(s [][]byte) verifier { return tokenVerifier(s, false) }),
	}}
}

// plain is for verifiers that take any secret.
func plain(verify func([][]byte) verifier) func(Hook) (verifier, error) {
	return func(h Hook) (verifier, error) { return verify(h.Secrets), nil }
}

// with is for adapters that take no configuration.
func with(a adapter) func(Hook) (adapter, error) {
	return func(Hook) (adapter, error) { return a, nil }
}

// serve puts a kind's verifier and adapter into an endpoint.
func (k kindSpec) serve(e *endpoint, h Hook) error {
	var err error
	if e.verify, err = k.verify(h); err != nil || k.adapt == nil {
		return err
	}
	e.adapt, err = k.adapt(h)
	return err
}
