package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// longPoll is how long one request for work stays open, and answerTime how much
	// longer the server may take to say that there was none.
	longPoll   = 3 * time.Second
	answerTime = 500 * time.Millisecond
	// pullAgain is how long a queue is left alone that could not be asked.
	pullAgain = 250 * time.Millisecond
)

// puller takes the wake-ups of one queue, one at a time. It has one subscription for
// all of them: to the server each new one costs as much as a message, and the fetch
// of the client library makes one each time.
type puller struct {
	conn           *nats.Conn
	subject, inbox string
	sub            *nats.Subscription
	asked          uint64
}

func newPuller(b *bus.Bus, queue string) (*puller, error) {
	p := &puller{conn: b.Conn, subject: "$JS.API.CONSUMER.MSG.NEXT." + bus.StreamJobs + "." + queue, inbox: b.Conn.NewInbox()}
	var err error
	if p.sub, err = p.conn.SubscribeSync(p.inbox + ".*"); err != nil {
		return nil, fmt.Errorf("subscribe to wake-ups: %w", err)
	}
	return p, nil
}

// close ends the subscription. What was handed to it meanwhile is given back at once:
// others would have it only when the lease is over.
func (p *puller) close() {
	if err := p.sub.Drain(); err != nil {
		return // the connection is gone
	}
	for {
		msg, err := p.sub.NextMsg(answerTime)
		if err != nil {
			return
		}
		if msg.Reply != "" {
			_ = msg.Nak()
		}
	}
}

// next asks for one wake-up. Nil and no error mean that there was none in time.
func (p *puller) next(ctx context.Context) (*nats.Msg, error) {
	request, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
	}{1, longPoll})
	if err != nil {
		return nil, fmt.Errorf("ask for work: %w", err)
	}
	p.asked++
	reply := p.inbox + "." + strconv.FormatUint(p.asked, 10)
	if err := p.conn.PublishMsg(&nats.Msg{Subject: p.subject, Reply: reply, Data: request}); err != nil {
		return nil, fmt.Errorf("ask for work: %w", err)
	}
	wait, cancel := context.WithTimeout(ctx, longPoll+answerTime)
	defer cancel()
	for {
		msg, err := p.sub.NextMsgWithContext(wait)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("ask for work: %w", err)
		case msg.Reply != "": // a wake-up comes with the subject for its ack
			return msg, nil
		case msg.Subject != reply: // the end of an earlier request
			continue
		}
		switch status := msg.Header.Get("Status"); status {
		case "404", "408": // none there, none in time
			return nil, nil
		default:
			return nil, fmt.Errorf("ask for work: the server answers %s %s", status, msg.Header.Get("Description"))
		}
	}
}
