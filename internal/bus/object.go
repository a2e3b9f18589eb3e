package bus

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// objectPiece is how much of an object one message carries: little enough that
	// a heartbeat on the same connection never waits for long.
	objectPiece = 128 << 10
	// objectFresh is how old an object may be to stand for the same one stored
	// again: objects are kept from their own beginning on.
	objectFresh = time.Hour
)

// ObjectStream is the stream that an object store is made of.
func ObjectStream(store string) string { return "OBJ_" + store }

// objectRecord is where the record of an object is, objectData where its pieces
// are. Both are those of the client library, which reads what is stored here.
func objectRecord(store, name string) string {
	return "$O." + store + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

func objectData(store, id string) string { return "$O." + store + ".C." + id }

// Object is what a store knows of an object.
type Object struct {
	Name string
	// Size is in bytes.
	Size uint64
	// Stored is when, by the server's clock; Seq is its record's sequence on the
	// store's stream.
	Stored time.Time
	Seq    uint64

	id     string
	digest string
}

// PutObject stores data as an object and returns once all of it is durable. The name
// must say what it holds, as a digest does: an object of that name that was stored
// within the last hour is left as it is. The pieces go out one after the other, each
// when the one before is acknowledged. While the bus does not answer it tries again,
// until ctx ends.
//
// It fails with [ErrFull], [ErrDenied], or, when ctx has ended, [ErrUnavailable] or
// [ErrUnknownOutcome]. What was stored of the object then stays until it is too old.
func (b *Bus) PutObject(ctx context.Context, store, name string, data []byte) error {
	old, err := b.object(ctx, store, name)
	switch {
	case err == nil && time.Since(old.Stored) < objectFresh:
		return nil
	case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnavailable):
		return fmt.Errorf("look for object %s in %s: %w", name, store, err)
	}
	sum := sha256.Sum256(data)
	info := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: objectPiece}},
		Bucket:     store, NUID: rand.Text(), Size: uint64(len(data)),
		Digest: "SHA-256=" + base64.URLEncoding.EncodeToString(sum[:]),
	}
	for len(data) > 0 {
		piece := data[:min(len(data), objectPiece)]
		data = data[len(piece):]
		info.Chunks++
		msg := &nats.Msg{Subject: objectData(store, info.NUID), Header: nats.Header{}, Data: piece}
		msg.Header.Set(headerMsgID, info.NUID+"."+strconv.FormatUint(uint64(info.Chunks), 10))
		if err := b.insistOn(ctx, msg); err != nil {
			return fmt.Errorf("store object %s in %s: %w", name, store, err)
		}
	}
	record, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode the record of object %s: %w", name, err)
	}
	msg := &nats.Msg{Subject: objectRecord(store, name), Header: nats.Header{}, Data: record}
	msg.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	if err := b.insistOn(ctx, msg); err != nil {
		return fmt.Errorf("store the record of object %s in %s: %w", name, store, err)
	}
	return nil
}

// insistOn publishes a message that may be repeated until it is stored.
func (b *Bus) insistOn(ctx context.Context, msg *nats.Msg) error {
	for attempt := 1; ; attempt++ {
		_, _, err := b.Publish(ctx, msg)
		again := errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknownOutcome)
		if !again || !pause(ctx, attempt) {
			return err
		}
	}
}

// GetObject returns an object, all of it in memory. It fails with [ErrNotFound] if
// it is not there, or only in part.
func (b *Bus) GetObject(ctx context.Context, store, name string) ([]byte, error) {
	o, err := b.object(ctx, store, name)
	if err != nil {
		return nil, fmt.Errorf("read object %s of %s: %w", name, store, err)
	}
	var data []byte
	for m, err := range b.Tail(ctx, ObjectStream(store), objectData(store, o.id), TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("read object %s of %s: %w", name, store, err)
		}
		data = append(data, m.Data...)
	}
	if sum := sha256.Sum256(data); o.digest != "SHA-256="+base64.URLEncoding.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("read object %s of %s: %w: %d of its %d bytes are there", name, store, ErrNotFound, len(data), o.Size)
	}
	return data, nil
}

// object reads the record of an object.
func (b *Bus) object(ctx context.Context, store, name string) (Object, error) {
	m, err := b.Last(ctx, ObjectStream(store), objectRecord(store, name))
	if err != nil {
		return Object{}, err
	}
	o, ok, err := objectOf(m)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return o, err
}

// objectOf decodes the record of an object; ok is false for a deleted one.
func objectOf(m Msg) (o Object, ok bool, err error) {
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return Object{}, false, fmt.Errorf("decode %s: %w", m.Subject, err)
	}
	o = Object{Name: info.Name, Size: info.Size, Stored: m.Time, Seq: m.Seq, id: info.NUID, digest: info.Digest}
	return o, !info.Deleted, nil
}

// Objects lists what is in an object store, the oldest first.
func (b *Bus) Objects(ctx context.Context, store string) ([]Object, error) {
	var all []Object
	for m, err := range b.Tail(ctx, ObjectStream(store), "$O."+store+".M.>", TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list the objects of %s: %w", store, err)
		}
		o, ok, err := objectOf(m)
		if err != nil {
			return nil, fmt.Errorf("list the objects of %s: %w", store, err)
		}
		if ok {
			all = append(all, o)
		}
	}
	return all, nil
}

// RemoveObject removes an object as it was listed. If it was stored again since,
// the new one stays. It needs the role admin or bus.
func (b *Bus) RemoveObject(ctx context.Context, store string, o Object) error {
	stream := ObjectStream(store)
	// The record first: whoever finds none stores the object anew, under an id of
	// its own.
	if err := b.Purge(ctx, stream, objectRecord(store, o.Name), o.Seq+1); err != nil {
		return fmt.Errorf("remove object %s: %w", o.Name, err)
	}
	if err := b.Purge(ctx, stream, objectData(store, o.id), 0); err != nil {
		return fmt.Errorf("remove object %s: %w", o.Name, err)
	}
	return nil
}

// Purge removes the messages of a stream that match filter and have a sequence
// below before; zero means all of them. It needs the role admin or bus.
func (b *Bus) Purge(ctx context.Context, stream, filter string, before uint64) error {
	request := map[string]any{"filter": filter}
	if before > 0 {
		request["seq"] = before
	}
	var answer struct {
		Purged uint64 `json:"purged"`
	}
	if err := b.ask(ctx, "$JS.API.STREAM.PURGE."+stream, request, &answer); err != nil {
		return fmt.Errorf("purge %s of %s: %w", filter, stream, err)
	}
	return nil
}
