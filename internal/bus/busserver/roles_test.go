package busserver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

var everyRole = []busserver.Role{
	busserver.RoleAdmin, busserver.RoleBus, busserver.RoleRunner, busserver.RolePublisher, busserver.RoleViewer,
}

// TestMatrix asks a real server, for every role and every kind of operation,
// whether it is permitted. Every user is named x.
func TestMatrix(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	const (
		admin, runner, publisher, viewer = busserver.RoleAdmin, busserver.RoleRunner,
			busserver.RolePublisher, busserver.RoleViewer
	)
	type roles = []busserver.Role
	// Besides admin and bus, who may:
	publish := map[string]roles{
		// What is stored.
		"events.ext.com.example.a":    {publisher, runner},
		"events.jet.com.example.a":    {},
		"events.ext":                  {},
		"events.other.a":              {},
		"events.rule.com.example.a":   {},
		"decision.r":                  {},
		"$O.states.C.a":               {},
		"$KV.held.r.a":                {},
		"jobs.default.5":              {},
		"notify.ops":                  {},
		"run.j.s":                     {runner},
		"run.j.t":                     {runner},
		"run.j.h":                     {runner},
		"lock.host.web":               {runner},
		"cancel.j":                    {},
		"live.run.j.s":                {},
		"live.events.ext.a":           {},
		"$KV.runners.x":               {runner},
		"$KV.runners.x.info":          {runner},
		"$KV.runners.y":               {},
		"$KV.runners.y.info":          {},
		"$KV.queues.default":          {},
		"$KV.config.rules":            {},
		"$O.bundles.C.a":              {},
		"$O.bundles.M.a":              {},
		"$O.outputs.C.a":              {runner},
		"$O.outputs.M.a":              {runner},
		"anything":                    {},
		"_INBOX_admin_x.a":            {},
		"$JS.ACK.JOBS.c.1.1.1.1.1":    {runner},
		"$JS.ACK._.h.JOBS.c.1.1.1.1":  {runner},
		"$JS.ACK.EVENTS.dispatch.1.1": {},
		"$JS.ACK._.h.EVENTS.c.1.1":    {},
		"$JS.FC.OBJ_bundles.a.b":      {runner, viewer},
		// What reads.
		"$JS.API.STREAM.INFO.EVENTS":             {viewer},
		"$JS.API.STREAM.INFO.RUNS":               {runner, viewer},
		"$JS.API.STREAM.INFO.JOBS":               {runner, viewer},
		"$JS.API.STREAM.INFO.NOTIFY":             {viewer},
		"$JS.API.STREAM.MSG.GET.NOTIFY":          {},
		"$JS.API.DIRECT.GET.NOTIFY":              {},
		"$JS.API.STREAM.INFO.SEEN":               {viewer},
		"$JS.API.DIRECT.GET.SEEN":                {},
		"$JS.API.STREAM.INFO.KV_runners":         {runner, viewer},
		"$JS.API.STREAM.INFO.KV_queues":          {runner, viewer},
		"$JS.API.STREAM.INFO.KV_config":          {runner, viewer},
		"$JS.API.STREAM.INFO.OBJ_bundles":        {runner, viewer},
		"$JS.API.STREAM.INFO.OBJ_outputs":        {runner, viewer},
		"$JS.API.DIRECT.GET.OBJ_outputs":         {runner, viewer},
		"$JS.API.STREAM.MSG.GET.OBJ_outputs":     {runner, viewer},
		"$JS.API.STREAM.MSG.GET.EVENTS":          {viewer},
		"$JS.API.STREAM.MSG.GET.DECISIONS":       {viewer},
		"$JS.API.DIRECT.GET.DECISIONS":           {viewer},
		"$JS.API.STREAM.INFO.OBJ_states":         {viewer},
		"$JS.API.DIRECT.GET.OBJ_states":          {viewer},
		"$JS.API.DIRECT.GET.KV_held":             {viewer},
		"$JS.API.STREAM.MSG.GET.RUNS":            {runner, viewer},
		"$JS.API.STREAM.MSG.GET.JOBS":            {},
		"$JS.API.DIRECT.GET.EVENTS":              {viewer},
		"$JS.API.DIRECT.GET.EVENTS.events.ext.a": {viewer},
		"$JS.API.DIRECT.GET.RUNS":                {runner, viewer},
		"$JS.API.DIRECT.GET.RUNS.run.j.s":        {runner, viewer},
		"$JS.API.DIRECT.GET.KV_config":           {runner, viewer},
		"$JS.API.CONSUMER.INFO.EVENTS.dispatch":  {viewer},
		"$JS.API.CONSUMER.INFO.EVENTS.other":     {viewer},
		"$JS.API.CONSUMER.INFO.JOBS.c":           {runner, viewer},
		"$JS.API.CONSUMER.MSG.NEXT.JOBS.c":       {runner},
		"$JS.API.CONSUMER.MSG.NEXT.EVENTS.c":     {},
		"$JS.API.STREAM.LIST":                    {},
		"$JS.API.STREAM.NAMES":                   {},
		"$JS.API.INFO":                           {},
		// What changes the streams themselves.
		"$JS.API.CONSUMER.CREATE.OBJ_bundles.c":                {},
		"$JS.API.CONSUMER.CREATE.OBJ_bundles":                  {},
		"$JS.API.CONSUMER.CREATE.OBJ_bundles.c.$O.bundles.C.a": {runner, viewer},
		"$JS.API.CONSUMER.CREATE.OBJ_bundles.c.$O.>":           {},
		"$JS.API.CONSUMER.CREATE.OBJ_outputs.c.$O.outputs.C.a": {},
		"$JS.API.CONSUMER.CREATE.EVENTS.c":                     {},
		"$JS.API.CONSUMER.CREATE.RUNS.c":                       {},
		"$JS.API.CONSUMER.CREATE.JOBS.c":                       {},
		"$JS.API.CONSUMER.CREATE.KV_runners.c":                 {},
		"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.c":             {},
		"$JS.API.CONSUMER.DELETE.EVENTS.dispatch":              {},
		"$JS.API.CONSUMER.DELETE.JOBS.c":                       {},
		"$JS.API.STREAM.CREATE.OTHER":                          {},
		"$JS.API.STREAM.UPDATE.OTHER":                          {},
		"$JS.API.STREAM.DELETE.OTHER":                          {},
		"$JS.API.STREAM.PURGE.OTHER":                           {},
		"$JS.API.STREAM.MSG.DELETE.RUNS":                       {},
		"$JS.API.STREAM.SNAPSHOT.OTHER":                        {},
		"$JS.API.STREAM.RESTORE.OTHER":                         {},
		"$JS.API.CONSUMER.PAUSE.EVENTS.dispatch":               {},
		"$JS.API.CONSUMER.LEADER.STEPDOWN.EVENTS.c":            {},
		"$JS.API.STREAM.LEADER.STEPDOWN.OTHER":                 {},
		"$JS.API.META.LEADER.STEPDOWN":                         {},
		"$JS.API.SERVER.REMOVE":                                {},
		"$SYS.REQ.SERVER.PING":                                 {},
		"$JS.API.CONSUMER.MSG.NEXT.OBJ_bundles.c":              {},
		"$JS.API.CONSUMER.DELETE.OBJ_bundles.c":                {runner, viewer},
		"$JS.API.CONSUMER.DURABLE.CREATE.KV_config.c":          {},
	}
	subscribe := map[string]roles{
		">":                     {},
		"_INBOX.a":              {},
		"_INBOX_admin_x.>":      {},
		"_INBOX_runner_x.>":     {runner},
		"_INBOX_runner_y.>":     {},
		"_INBOX_runner_x":       {},
		"_INBOX_publisher_x.>":  {publisher},
		"_INBOX_viewer_x.>":     {viewer},
		"_INBOX_viewer_y.>":     {},
		"*.*":                   {},
		"live.run.>":            {runner, viewer},
		"live.events.>":         {viewer},
		"cancel.>":              {runner},
		"events.>":              {},
		"run.>":                 {},
		"jobs.>":                {},
		"$KV.>":                 {},
		"$JS.>":                 {},
		"$JS.EVENT.ADVISORY.>":  {},
		"$JS.API.STREAM.INFO.>": {},
	}
	for _, role := range everyRole {
		b := bustest.Connect(t, s, role, "x")
		may := func(allowed roles) bool {
			return role == admin || role == busserver.RoleBus || slices.Contains(allowed, role)
		}
		for subject, allowed := range subscribe {
			if got := canSubscribe(t, b, subject); got != may(allowed) {
				t.Errorf("%s may subscribe to %s: %v, want %v", role, subject, got, may(allowed))
			}
		}
		for subject, allowed := range publish {
			if got := canPublish(t, b, subject); got != may(allowed) {
				t.Errorf("%s may publish on %s: %v, want %v", role, subject, got, may(allowed))
			}
		}
	}
}

// canPublish asks for it with a message that does no harm. What the server
// answers does not matter, as long as it is not a refusal of the subject.
func canPublish(t *testing.T, b *bus.Bus, subject string) bool {
	t.Helper()
	if err := b.Conn.PublishMsg(&nats.Msg{Subject: subject, Reply: b.Conn.NewInbox()}); err != nil {
		t.Fatal(err)
	}
	return !refused(t, b, `Publish to "`+subject+`"`)
}

func canSubscribe(t *testing.T, b *bus.Bus, subject string) bool {
	t.Helper()
	sub, err := b.Conn.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	return !refused(t, b, `Subscription to "`+subject+`"`)
}

// refused tells whether the server's last complaint is this one. The server
// sends a complaint before it answers the ping that Flush sends.
func refused(t *testing.T, b *bus.Bus, what string) bool {
	t.Helper()
	if err := b.Conn.FlushWithContext(within(t)); err != nil {
		t.Fatal(err)
	}
	err := b.Conn.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), what)
}

// TestRunnerCanDoItsWork goes through all a runner does with a job.
func TestRunnerCanDoItsWork(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	ctx := within(t)
	if _, err := admin.JS.CreateConsumer(ctx, bus.StreamJobs, jetstream.ConsumerConfig{
		Durable: "default_5", FilterSubject: bus.JobSubject("default", 5), AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	fill(t, admin)
	if _, _, err := admin.Publish(ctx, &nats.Msg{Subject: bus.JobSubject("default", 5), Data: []byte("j")}); err != nil {
		t.Fatal(err)
	}

	r := bustest.Connect(t, s, busserver.RoleRunner, "r1")
	cancels, err := r.Conn.SubscribeSync(bus.CancelSubject("j"))
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := r.JS.Consumer(ctx, bus.StreamJobs, "default_5")
	if err != nil {
		t.Fatalf("find consumer: %v", err)
	}
	job, err := jobs.Next()
	if err != nil {
		t.Fatalf("take a job: %v", err)
	}
	if err := job.InProgress(); err != nil {
		t.Fatal(err)
	}

	state, lock := conditional("run.j.s", 0), conditional("lock.host.web", 0)
	last, err := r.PublishBatch(ctx, []*nats.Msg{state, lock})
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	beat := &nats.Msg{Subject: "run.j.h", Header: nats.Header{"Nats-Rollup": {"sub"}}}
	result := &nats.Msg{Subject: "run.j.t"}
	for _, m := range []*nats.Msg{beat, result} {
		bus.ExpectSubjectSeq(m, "run.j.s", last-1)
		if _, _, err := r.Publish(ctx, m); err != nil {
			t.Errorf("publish on %s: %v", m.Subject, err)
		}
	}
	if _, err := r.Last(ctx, bus.StreamRuns, "run.j.s"); err != nil {
		t.Errorf("read state: %v", err)
	}
	if _, err := r.PublishBatch(ctx, []*nats.Msg{conditional("run.j.s", last-1), conditional("lock.host.web", last)}); err != nil {
		t.Errorf("finish: %v", err)
	}
	if err := job.DoubleAck(ctx); err != nil {
		t.Errorf("ack: %v", err)
	}
	if err := admin.Conn.Publish(bus.CancelSubject("j"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := cancels.NextMsgWithContext(ctx); err != nil {
		t.Errorf("hear a cancel: %v", err)
	}

	runners, err := r.JS.KeyValue(ctx, bus.BucketRunners)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runners.PutString(ctx, "r1.info", "up"); err != nil {
		t.Errorf("register: %v", err)
	}
	if _, _, err := r.Publish(ctx, &nats.Msg{Subject: "$KV.runners.r2.info"}); !errors.Is(err, bus.ErrDenied) {
		t.Errorf("register as another: %v, want denied", err)
	}
	readFilled(t, r)
}

func TestViewerCanRead(t *testing.T) {
	t.Parallel()
	s, admin := bustest.Start(t)
	ctx := within(t)
	fill(t, admin)
	if _, err := admin.JS.CreateConsumer(ctx, bus.StreamEvents, jetstream.ConsumerConfig{
		Durable: "dispatch", AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	v := bustest.Connect(t, s, busserver.RoleViewer, "v1")
	if _, err := v.JS.Consumer(ctx, bus.StreamEvents, "dispatch"); err != nil {
		t.Errorf("see the dispatcher: %v", err)
	}
	readFilled(t, v)
}

// fill stores something to read in the buckets and the object store.
func fill(t *testing.T, admin *bus.Bus) {
	t.Helper()
	ctx := within(t)
	for _, bucket := range []string{bus.BucketRunners, bus.BucketQueues, bus.BucketConfig} {
		kv, err := admin.JS.KeyValue(ctx, bucket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.PutString(ctx, "k", bucket); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := admin.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutBytes(ctx, "sha256-1", make([]byte, 300<<10)); err != nil {
		t.Fatal(err)
	}
}

// readFilled reads what fill has stored.
func readFilled(t *testing.T, b *bus.Bus) {
	t.Helper()
	ctx := within(t)
	for _, bucket := range []string{bus.BucketRunners, bus.BucketQueues, bus.BucketConfig} {
		kv, err := b.JS.KeyValue(ctx, bucket)
		if err != nil {
			t.Errorf("open bucket %s: %v", bucket, err)
			continue
		}
		if e, err := kv.Get(ctx, "k"); err != nil || string(e.Value()) != bucket {
			t.Errorf("read from bucket %s: %v", bucket, err)
		}
		if _, err := kv.Get(ctx, "none"); !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Errorf("read what is not in bucket %s: %v", bucket, err)
		}
	}
	objects, err := b.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		t.Fatalf("open object store: %v", err)
	}
	if got, err := objects.GetBytes(ctx, "sha256-1"); err != nil || len(got) != 300<<10 {
		t.Errorf("read object: %d bytes, %v", len(got), err)
	}
}

func conditional(subject string, seq uint64) *nats.Msg {
	m := &nats.Msg{Subject: subject}
	bus.ExpectSubjectSeq(m, subject, seq)
	return m
}

func TestIssue(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t, bustest.Bare())
	for _, name := range []string{"", "a.b", "a b", "*", ">", "ä", "{{name()}}", strings.Repeat("a", 65)} {
		if _, err := s.Keys().Issue(busserver.RoleRunner, name, 0); err == nil {
			t.Errorf("name %q is accepted", name)
		}
	}
	if _, err := s.Keys().Issue("root", "a", 0); err == nil {
		t.Error("an unknown role is accepted")
	}
	offline, err := busserver.OpenKeys(s.Options().Dir + "/keys")
	if err != nil {
		t.Fatal(err)
	}
	creds, err := offline.Issue(busserver.RoleViewer, "late_1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(within(t), bus.Options{URL: s.URL(), Creds: creds})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("viewer late_1", fmt.Sprint(b.Role, " ", b.User)); diff != "" {
		t.Error(diff)
	}
	if err := b.Close(within(t)); err != nil {
		t.Error(err)
	}
	if _, err := busserver.OpenKeys(t.TempDir()); err == nil || !strings.Contains(err.Error(), "first start") {
		t.Errorf("keys of a directory without any: %v", err)
	}
}

// TestCredentialsExpire waits for the shortest time a credential can last.
func TestCredentialsExpire(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t, bustest.Bare())
	creds, err := s.Keys().Issue(busserver.RoleViewer, "v", 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	cut := make(chan struct{})
	c, err := nats.Connect(s.URL(), nats.UserCredentialBytes(creds), nats.NoReconnect(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // the default one prints
		nats.ClosedHandler(func(*nats.Conn) { close(cut) }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case <-cut:
	case <-within(t).Done():
		t.Fatal("a connection outlives its credential")
	}
	// The server counts in whole seconds: it may let one in for what is left of
	// the last one.
	for ctx := within(t); ; {
		b, err := bus.Connect(ctx, bus.Options{URL: s.URL(), Creds: creds})
		if ctx.Err() != nil {
			t.Fatal("an expired credential connects")
		}
		if err != nil {
			break
		}
		if err := b.Close(ctx); err != nil {
			t.Log(err)
		}
	}
}
