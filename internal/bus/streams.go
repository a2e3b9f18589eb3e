package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	// StreamEvents holds every accepted event, on subjects events.>. It
	// refuses when full: an event is stored or its sender is told.
	StreamEvents = "EVENTS"
	// StreamJobs wakes runners, on subjects jobs.>. A message carries the id
	// of a job and is gone once acked; the truth about the job is in RUNS.
	StreamJobs = "JOBS"
	// StreamRuns is the truth about jobs: states, task results and heartbeats
	// on run.>, and the locks that jobs hold on lock.>. They share a stream
	// because an atomic batch and an expected sequence reach no further.
	StreamRuns = "RUNS"
	// StreamNotify holds what people are to be told, on subjects notify.>, until
	// that is done or given up.
	StreamNotify = "NOTIFY"
	// StreamDecisions is what ordered rules decided, on subjects decision.<rule>:
	// for people to read, and so that a firing is not carried out again after a
	// restart. The oldest go when it is full.
	StreamDecisions = "DECISIONS"
	// StreamSeen remembers for some days which deliveries came in over HTTP, on
	// subjects seen.<digest>, so that one that is sent again is not stored again. It
	// is not synced: what is forgotten with it costs an event that is stored twice,
	// and still makes one job for each rule.
	StreamSeen = "SEEN"
)

// The buckets and the object store.
const (
	// BucketRunners is where runners say that they live: keys
	// <runner>.<anything>, gone after [RunnerTTL] unless written again.
	// It is kept in memory, nothing is lost with it.
	BucketRunners = "runners"
	// BucketQueues holds one key per queue: the labels its jobs need.
	BucketQueues = "queues"
	// BucketConfig holds what is active now (the rule set's digest) and its
	// last 64 values.
	BucketConfig = "config"
	// BucketControl holds what operators and breakers have stopped: one key for
	// each paused rule or queue.
	BucketControl = "control"
	// ObjectsOutputs holds what commands said that is too large for an event,
	// named by digest.
	ObjectsOutputs = "outputs"
	// BucketHeld holds the firings of ordered rules that are paused, until they are
	// resumed: keys <rule>.<firing>.
	BucketHeld = "held"
	// ObjectsStates holds what ordered rules remembered at some events, from which
	// it follows what they remember now.
	ObjectsStates = "states"
	// BucketSources holds what sources remember, how they fare, and what they are asked
	// to do: keys cursor.<name>, state.<name> and poll.<name>; how subscriptions fare, as
	// delivery.<name>; and how far jobs and decisions are told of as events.
	BucketSources = "sources"
	// BucketLeases holds who holds which singleton, see [Bus.Hold].
	BucketLeases = "leases"
	// ObjectsBundles holds the content jobs are pinned to, named by digest.
	ObjectsBundles = "bundles"
)

const (
	// KeyRuleSet is the key in [BucketConfig] of the rule set in force.
	KeyRuleSet = "ruleset"
	// KeyDurability is the key of what an accepted event survives: "power" or
	// "process", as jet-bus was last started.
	KeyDurability = "durability"
	// KeyPinned is the key of the content that stays in force whatever is newer.
	KeyPinned = "pinned"
	// KeyRefused begins the keys of the content that was refused last, one for each
	// jet-bus: refused.<name>.
	KeyRefused = "refused"
	// KeyJobEvents is the key of how far jobs have been told of as events.
	KeyJobEvents = "job-events"
	// KeyRuleEvents is the key of how far the decisions of rules have been.
	KeyRuleEvents = "job-events.decisions"
	// ConsumerDispatch is the consumer on EVENTS that hands events to the rules.
	ConsumerDispatch = "dispatch"
	// AllStates selects the states of all jobs on RUNS.
	AllStates = prefixRun + "*.s"
	// AllHeartbeats selects the last heartbeats of all jobs on RUNS.
	AllHeartbeats = prefixRun + "*.h"
	// AllJobs selects every wake-up on JOBS.
	AllJobs = "jobs.>"
	// KeyOpenJobs is the key in [BucketConfig] of where the open jobs begin on RUNS.
	KeyOpenJobs = "open-jobs"
	// AllResults selects the results of all jobs on RUNS.
	AllResults = prefixRun + "*.t"
	// AllCancels selects what running jobs are told to stop by.
	AllCancels = prefixCancel + "*"
	// AllLocks selects all locks on RUNS.
	AllLocks = prefixLock + ">"
	// AllEvents selects every event on EVENTS.
	AllEvents = prefixEvents + ">"
	// AllNotify selects every message on NOTIFY.
	AllNotify = prefixNotify + ">"
	// AllDecisions selects every decision on DECISIONS.
	AllDecisions = prefixDecision + ">"
)

// The classes of events: who may publish them.
const (
	// ClassExternal is for events from outside; publishers may write these.
	ClassExternal = "ext"
	// ClassOwn is for events that jet-bus makes itself.
	ClassOwn = "jet"
	// ClassRule is for events that rules publish. Only jet-bus may write these: that
	// one of them is stored proves that a firing was carried out.
	ClassRule = "rule"
)

const (
	// RunnerTTL is how long an entry in [BucketRunners] lives. Runners write
	// theirs at least three times as often.
	RunnerTTL = 15 * time.Second
	// MaxEventSize is the most that one message on EVENTS may take, in bytes,
	// its headers included.
	MaxEventSize = 256 << 10

	// duplicateWindow is how long the server remembers message ids. It costs
	// memory and start-up time; lasting protection is a job's id.
	duplicateWindow = 2 * time.Minute
	// decisionsPart is which part of the bytes of EVENTS the decisions may take,
	// maxDecision how large one may be, in bytes.
	decisionsPart, maxDecision = 32, 64 << 10
	// statesPart and heldPart are which part the snapshots of ordered rules and the
	// firings of paused ones may take.
	statesPart, heldPart = 4, 16
	// maxWaiting bounds the jobs that wait in JOBS.
	maxWaiting = 1_000_000
	// maxNotify bounds the messages that wait in NOTIFY, together with a part of
	// what events may take.
	maxNotify      = 10_000
	notifyFraction = 16
	// seenFor is how long a delivery is remembered: git hosts send one again for three
	// days. seenPart is which part of the bytes of EVENTS that may take.
	seenFor, seenPart = 4 * 24 * time.Hour, 32
	// markerTTL is how long watchers of a bucket can see that a key expired.
	markerTTL = time.Minute
	// configHistory is how many values of a config key are kept.
	configHistory = 64
)

// Prefixes of subjects. What a stream republishes appears under live.
const (
	prefixEvents = "events."
	prefixRun    = "run."
	prefixLock   = "lock."
	prefixCancel = "cancel."
	prefixLive   = "live."
	prefixNotify = "notify."

	prefixDecision = "decision."
	prefixSeen     = "seen."
)

// EventSubject is where an event of this class and CloudEvents type is stored:
// events.<class>.<type>, the type's dots kept so that subscribers can filter.
// It serves filtering only: the event says what it is, not its subject.
func EventSubject(class, eventType string) string {
	return prefixEvents + Token(class) + "." + dotted(eventType)
}

// AllOfClass selects the events of a class whose types begin with prefix, which
// is empty or ends in a dot.
func AllOfClass(class, prefix string) string {
	subject := prefixEvents + Token(class) + "."
	if prefix != "" {
		subject += dotted(strings.TrimSuffix(prefix, ".")) + "."
	}
	return subject + ">"
}

// EventsOf selects the events of every class that are of a type, or with ".*" at the
// end of on, of the types below it.
func EventsOf(on string) string {
	if prefix, ok := strings.CutSuffix(on, ".*"); ok {
		return prefixEvents + "*." + dotted(prefix) + ".>"
	}
	return prefixEvents + "*." + dotted(on)
}

// DecisionSubject is where the decisions of a rule are: decision.<rule>.
func DecisionSubject(rule string) string { return prefixDecision + Token(rule) }

// SeenSubject is where it is remembered that an event was taken in: seen.<digest>, of
// its source and id.
func SeenSubject(source, id string) string {
	sum := sha256.Sum256([]byte(source + "\x00" + id))
	return prefixSeen + hex.EncodeToString(sum[:16])
}

// JobSubject is where a queue's jobs of one priority wait: jobs.<queue>.<prio>.
func JobSubject(queue string, prio int) string {
	return "jobs." + Token(queue) + "." + strconv.Itoa(prio)
}

// StateSubject is where a job's state is: run.<job>.s. The sequence of its last
// message is the fencing token of every later write for the job.
func StateSubject(job string) string { return prefixRun + Token(job) + ".s" }

// ResultSubject is where a job's task results are: run.<job>.t.
func ResultSubject(job string) string { return prefixRun + Token(job) + ".t" }

// HeartbeatSubject is where a job's last heartbeat is: run.<job>.h.
func HeartbeatSubject(job string) string { return prefixRun + Token(job) + ".h" }

// JobOf returns the token of the job that a subject on RUNS belongs to. It is the
// job's id, as long as that is one of ours.
func JobOf(subject string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(subject, prefixRun), ".")
	return id
}

// AllOfJob selects all that RUNS holds of a job.
func AllOfJob(job string) string { return prefixRun + Token(job) + ".>" }

// NotifySubject is where messages for a target of notifications wait: notify.<target>.
func NotifySubject(target string) string { return prefixNotify + Token(target) }

// HostLockSubject is the lock on a host: lock.host.<host>.
func HostLockSubject(host string) string { return prefixLock + "host." + Token(host) }

// KeyLockSubject is the lock on a concurrency key: lock.key.<key>.
func KeyLockSubject(key string) string { return prefixLock + "key." + Token(key) }

// CancelSubject is where a running job is told to stop: cancel.<job>. It is not
// stored; what counts is the job's state.
func CancelSubject(job string) string { return prefixCancel + Token(job) }

// LiveSubject is where messages stored on a subject of EVENTS or of RUNS (but
// its locks) appear as they are stored: live.<subject>.
func LiveSubject(s string) string { return prefixLive + s }

// streamConfigs are the streams as the server is asked to keep them.
func streamConfigs(l Limits) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		eventsStream(l), jobsStream(l), runsStream(l), notifyStream(l), decisionsStream(l), seenStream(l),
	}
}

func eventsStream(l Limits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               StreamEvents,
		Description:        "accepted events",
		Subjects:           []string{prefixEvents + ">"},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		MaxConsumers:       -1,
		MaxMsgs:            -1,
		MaxMsgsPerSubject:  -1,
		MaxBytes:           l.EventsMaxBytes,
		MaxAge:             l.EventsMaxAge,
		MaxMsgSize:         MaxEventSize,
		Storage:            jetstream.FileStorage,
		Replicas:           l.Replicas,
		Duplicates:         duplicateWindow,
		DenyDelete:         true,
		DenyPurge:          true,
		AllowAtomicPublish: true,
		AllowDirect:        true,
		RePublish:          republish(prefixEvents),
	}
}

func jobsStream(l Limits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              StreamJobs,
		Description:       "jobs waiting for a runner",
		Subjects:          []string{AllJobs},
		Retention:         jetstream.WorkQueuePolicy,
		Discard:           jetstream.DiscardNew,
		MaxConsumers:      -1,
		MaxMsgs:           maxWaiting,
		MaxMsgsPerSubject: -1,
		MaxBytes:          -1,
		MaxMsgSize:        4 << 10,
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        duplicateWindow,
		AllowDirect:       true, // the scheduler reads who waits
		PersistMode:       wakeupsPersist(l),
	}
}

func runsStream(l Limits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               StreamRuns,
		Description:        "states, results and locks of jobs",
		Subjects:           []string{prefixRun + ">", prefixLock + ">"},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		MaxConsumers:       -1,
		MaxMsgs:            -1,
		MaxMsgsPerSubject:  -1,
		MaxBytes:           l.RunsMaxBytes,
		MaxAge:             l.RunsMaxAge,
		MaxMsgSize:         -1,
		Storage:            jetstream.FileStorage,
		Replicas:           l.Replicas,
		Duplicates:         duplicateWindow,
		AllowAtomicPublish: true,
		AllowRollup:        true,
		AllowDirect:        true,
		RePublish:          republish(prefixRun),
	}
}

func notifyStream(l Limits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              StreamNotify,
		Description:       "messages to people that are not sent yet",
		Subjects:          []string{AllNotify},
		Retention:         jetstream.WorkQueuePolicy,
		Discard:           jetstream.DiscardNew,
		MaxConsumers:      -1,
		MaxMsgs:           maxNotify,
		MaxMsgsPerSubject: -1,
		MaxBytes:          l.EventsMaxBytes / notifyFraction,
		MaxMsgSize:        64 << 10,
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        duplicateWindow,
		AllowDirect:       true,
	}
}

func decisionsStream(l Limits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              StreamDecisions,
		Description:       "what ordered rules decided",
		Subjects:          []string{AllDecisions},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: -1,
		MaxBytes:          l.EventsMaxBytes / decisionsPart,
		MaxAge:            l.EventsMaxAge,
		MaxMsgSize:        maxDecision,
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        duplicateWindow,
		AllowDirect:       true,
		PersistMode:       wakeupsPersist(l), // a lost one costs a look, or a second message to people
	}
}

// hangsOnEvents tells whether a stream's size follows from that of EVENTS, and how it
// persists from where it was made, which cannot be changed.
func hangsOnEvents(stream string) bool { return stream == StreamDecisions || stream == StreamSeen }

func seenStream(l Limits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              StreamSeen,
		Description:       "deliveries that came in over HTTP",
		Subjects:          []string{prefixSeen + ">"},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: 1,
		MaxBytes:          l.EventsMaxBytes / seenPart,
		MaxAge:            seenFor,
		MaxMsgSize:        1 << 10,
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        duplicateWindow,
		AllowDirect:       true,
		PersistMode:       wakeupsPersist(l),
	}
}

// wakeupsPersist spares wake-ups the sync of every write and every ack: one that is
// lost in a power cut is sent again. A replicated stream has no such choice.
func wakeupsPersist(l Limits) jetstream.PersistModeType {
	if l.Replicas > 1 {
		return jetstream.DefaultPersistMode
	}
	return jetstream.AsyncPersistMode
}

// republish copies what is stored below prefix to live.<prefix>.
func republish(prefix string) *jetstream.RePublish {
	return &jetstream.RePublish{Source: prefix + ">", Destination: prefixLive + prefix + ">"}
}

// bucketConfigs are the key-value buckets.
func bucketConfigs(l Limits) []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{
			Bucket:         BucketRunners,
			Description:    "runners that live",
			TTL:            RunnerTTL,
			LimitMarkerTTL: markerTTL,
			History:        1,
			Storage:        jetstream.MemoryStorage,
			Replicas:       l.Replicas,
		},
		{
			Bucket:      BucketQueues,
			Description: "queues, and the labels their jobs need",
			History:     1,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
		},
		{
			Bucket:      BucketConfig,
			Description: "what is active, and was",
			History:     configHistory,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
		},
		{
			Bucket:      BucketControl,
			Description: "rules and queues that are paused",
			History:     1,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
			RePublish:   republish("$KV." + BucketControl + "."),
		},
		{
			Bucket:      BucketHeld,
			Description: "firings of ordered rules that are paused",
			History:     1,
			MaxBytes:    l.EventsMaxBytes / heldPart,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
		},
		{
			Bucket:      BucketSources,
			Description: "what sources remember, and how they fare",
			History:     1,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
			RePublish:   republish("$KV." + BucketSources + "."),
		},
		{
			Bucket:      BucketLeases,
			Description: "singletons, and who holds them",
			History:     1,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
		},
	}
}

// objectConfigs are the object stores.
func objectConfigs(l Limits) []jetstream.ObjectStoreConfig {
	return []jetstream.ObjectStoreConfig{{
		Bucket:      ObjectsBundles,
		Description: "content that jobs are pinned to",
		Storage:     jetstream.FileStorage,
		Replicas:    l.Replicas,
	}, {
		Bucket:      ObjectsOutputs,
		Description: "output of commands that is too large for an event",
		TTL:         l.RunsMaxAge,
		MaxBytes:    l.RunsMaxBytes / 4,
		Storage:     jetstream.FileStorage,
		Replicas:    l.Replicas,
	}, {
		Bucket:      ObjectsStates,
		Description: "what ordered rules remember",
		MaxBytes:    l.EventsMaxBytes / statesPart,
		Storage:     jetstream.FileStorage,
		Replicas:    l.Replicas,
	}}
}
