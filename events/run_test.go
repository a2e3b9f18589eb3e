package events_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
)

var (
	text  = named(rapid.String())
	names = named(rapid.SliceOfN(rapid.String(), 1, 3))
	flag  = named(rapid.Bool())
	count = named(rapid.IntRange(0, 999))
	span  = named(rapid.Float64Range(0, 1e9))
	when  = named(rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	}))
	stats = named(rapid.Custom(func(t *rapid.T) events.HostStats {
		n := func() int { return count.Draw(t, "count") }
		return events.HostStats{OK: n(), Changed: n(), Skipped: n(), Failed: n(), Ignored: n(), Rescued: n(), Unreachable: n()}
	}))
)

// named has a generator make its name, which it does when it is first asked for and
// reads without a lock: several tests may use it then.
func named[V any](g *rapid.Generator[V]) *rapid.Generator[V] {
	_ = g.String()
	return g
}

// runTypes are the types that tell of a run or a rule, each with a maker of data.
var runTypes = map[string]func(*rapid.T) any{
	events.TypeRunStarted: func(t *rapid.T) any {
		return events.RunStarted{
			Playbooks: names.Draw(t, "playbooks"), Hosts: names.Draw(t, "hosts"), Check: flag.Draw(t, "check"),
			Limit: names.Draw(t, "limit"), Tags: names.Draw(t, "tags"), SkipTags: names.Draw(t, "skip"),
			StartAt: text.Draw(t, "start"), Version: text.Draw(t, "version"), Started: when.Draw(t, "started"),
		}
	},
	events.TypePlayStarted: func(t *rapid.T) any {
		return events.PlayStarted{
			Play: text.Draw(t, "play"), Hosts: names.Draw(t, "hosts"), Check: flag.Draw(t, "check"), Place: text.Draw(t, "place"),
		}
	},
	events.TypeTaskStarted: func(t *rapid.T) any {
		return events.TaskStarted{
			Play: text.Draw(t, "play"), Role: text.Draw(t, "role"), Task: text.Draw(t, "task"), Module: text.Draw(t, "module"),
			Handler: flag.Draw(t, "handler"), Hosts: names.Draw(t, "hosts"), Check: flag.Draw(t, "check"), Place: text.Draw(t, "place"),
		}
	},
	events.TypeTaskRetrying: func(t *rapid.T) any {
		return events.TaskRetrying{
			Play: text.Draw(t, "play"), Role: text.Draw(t, "role"), Task: text.Draw(t, "task"), Module: text.Draw(t, "module"),
			Handler: flag.Draw(t, "handler"), Host: text.Draw(t, "host"), Delegate: text.Draw(t, "delegate"),
			Attempts: 1 + count.Draw(t, "attempts"), Message: text.Draw(t, "message"), Place: text.Draw(t, "place"),
		}
	},
	events.TypePlayFinished: func(t *rapid.T) any {
		return events.PlayFinished{
			Play: text.Draw(t, "play"), Check: flag.Draw(t, "check"), Started: when.Draw(t, "started"),
			DurationMS: span.Draw(t, "ms"), Place: text.Draw(t, "place"),
		}
	},
	events.TypeRunFinished: func(t *rapid.T) any {
		return events.RunFinished{
			Outcome: rapid.SampledFrom([]string{
				events.OutcomeOK, events.OutcomeChanged, events.OutcomeFailed, events.OutcomeStopped,
			}).Draw(t, "outcome"),
			Message: text.Draw(t, "message"), ExitCode: count.Draw(t, "code"), Meaning: text.Draw(t, "meaning"),
			Check: flag.Draw(t, "check"), Hosts: rapid.MapOf(text, stats).Draw(t, "hosts"),
			Started: when.Draw(t, "started"), DurationMS: span.Draw(t, "ms"),
		}
	},
	events.TypeRulePaused: func(t *rapid.T) any {
		return events.RulePaused{
			Rule: text.Draw(t, "rule"), By: text.Draw(t, "by"), Reason: text.Draw(t, "reason"),
			From: uint64(count.Draw(t, "from")), Since: when.Draw(t, "since"),
		}
	},
	events.TypeRulesRefused: func(t *rapid.T) any {
		return events.RulesRefused{
			By: text.Draw(t, "by"), Content: text.Draw(t, "content"), Revision: text.Draw(t, "revision"), From: text.Draw(t, "from"),
			Bundle: text.Draw(t, "bundle"), Reason: text.Draw(t, "reason"), Faults: rapid.SliceOfN(text, 1, 5).Draw(t, "faults"),
			More: count.Draw(t, "more"), InForce: text.Draw(t, "in force"),
		}
	},
	events.TypeRuleResumed: func(t *rapid.T) any {
		return events.RuleResumed{
			Rule: text.Draw(t, "rule"), By: text.Draw(t, "by"), Skipped: flag.Draw(t, "skipped"),
			From: uint64(count.Draw(t, "from")),
		}
	},
	events.TypeNotificationFailed: func(t *rapid.T) any {
		return events.NotificationFailed{
			ID: text.Draw(t, "id"), To: text.Draw(t, "to"), Rule: text.Draw(t, "rule"), Subject: text.Draw(t, "subject"),
			Reason: text.Draw(t, "reason"), Attempts: uint64(count.Draw(t, "attempts")), At: when.Draw(t, "at"),
		}
	},
	events.TypeDeliveryFailed: func(t *rapid.T) any {
		return events.DeliveryFailed{
			Subscription: text.Draw(t, "subscription"), ID: text.Draw(t, "id"), Source: text.Draw(t, "source"),
			Type: text.Draw(t, "type"), Reason: text.Draw(t, "reason"), Attempts: uint64(count.Draw(t, "attempts")),
			At: when.Draw(t, "at"), Missed: uint64(count.Draw(t, "missed")), From: uint64(count.Draw(t, "from")),
			To: uint64(count.Draw(t, "to")),
		}
	},
	events.TypeSourceFailed: func(t *rapid.T) any {
		return events.SourceFailed{
			Source: text.Draw(t, "source"), Kind: text.Draw(t, "kind"), Error: text.Draw(t, "error"),
			Failures: uint64(count.Draw(t, "failures")), Since: when.Draw(t, "since"),
		}
	},
	events.TypeSourceRecovered: func(t *rapid.T) any {
		return events.SourceRecovered{
			Source: text.Draw(t, "source"), Kind: text.Draw(t, "kind"), Error: text.Draw(t, "error"),
			Failures: uint64(count.Draw(t, "failures")), Since: when.Draw(t, "since"),
		}
	},
}

// Whatever we put into the data fits the published schema, and readers get back
// what was put in.
func TestRunEvents(t *testing.T) {
	t.Parallel()
	for typ, generate := range runTypes {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			schema := schemaFor(t, typ)
			rapid.Check(t, func(t *rapid.T) {
				in := generate(t)
				e, err := events.New("/runs/1", typ, in)
				if err != nil {
					t.Fatal(err)
				}
				var tree any
				if err := json.Unmarshal(e.Data(), &tree); err != nil {
					t.Fatal(err)
				}
				if err := conforms(schema, tree, "data"); err != nil {
					t.Fatal(err)
				}
				out := reflect.New(reflect.TypeOf(in))
				if err := e.DataAs(out.Interface()); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(in, out.Elem().Interface()); d != "" {
					t.Fatal(d)
				}
			})
		})
	}
}

func TestRunSchemaMembers(t *testing.T) {
	t.Parallel()
	for typ, generate := range runTypes {
		data := rapid.Custom(generate).Example(1)
		compareMembers(t, schemaFor(t, typ), reflect.TypeOf(data))
	}
	hosts, _ := schemaFor(t, events.TypeRunFinished)["properties"].(map[string]any)["hosts"].(map[string]any)
	each, ok := hosts["additionalProperties"].(map[string]any)
	if !ok {
		t.Fatal("schema says nothing of each host")
	}
	compareMembers(t, each, reflect.TypeFor[events.HostStats]())
}
