// Package rules reads rule files and says, for one event, which rules fire and
// why the others do not.
//
// A rule names the event types it is for, an optional condition over the event,
// and the playbook to run:
//
//	rules:
//	  - name: upgrade-app
//	    on: [com.github.release.published, dev.jet-bus.release.*]
//	    condition: >
//	      event.data.repository.full_name == "acme/app"
//	      && semver(event.data.release.tag_name) >= semver("2.0.0")
//	    run:
//	      playbook: playbooks/upgrade.yml
//	      limit: web
//	      vars:
//	        version: ${{ event.data.release.tag_name }}
//
// [Load] reads a directory of such files as one [Set]: either all of them are
// sound, or the error lists every fault with its place. A Set is immutable.
// [Set.Match] judges the rules that are for the type of an event, found by an
// index; [Set.Explain] says something about every rule. Both use one evaluator.
//
// # Conditions
//
// Conditions are expressions over `event`: its attributes id, source, type,
// subject, time, dataschema and datacontenttype, its extensions as
// event.ext.<name>, and its payload as event.data. They are three-valued. A
// clause that touches a field the event does not have is unknown, and so is
// what && || and ! make of it, unless the other side decides: false && unknown
// is false, true || unknown is true. Unknown never fires a rule. A null is a
// value like others. An author who wants an absent field to mean something
// writes has(event.data.x), event.data.x ?? "default" or event.data.x?.y.
//
// Besides the operators and list functions of the expression language there are
// semver(text), whose results compare with each other, glob(pattern, text),
// cidr(network, ip) and hash(text), which is the SHA-256 in hex. Left out are let,
// methods, and functions that know a clock or make much from little.
//
// # What a rule asks for its jobs
//
// Beside what to run, a rule says how its jobs are handled: their priority, retry,
// approval, whether they share hosts, and a concurrency key, which like limit and
// vars may hold ${{ expressions }}. Its [Breaker] bounds how often it may fire. All
// of that is carried as it is; who makes jobs acts on it.
//
// Evaluation is deterministic and bounded in work and memory: the package knows
// no clock, no network, no chance, and no file once loaded. It does not know
// NATS, jobs or runners either: an [Action] is a plain description of what to
// run.
package rules
