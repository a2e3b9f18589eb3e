package cli

import "github.com/jet-bus/jet-bus/internal/source/webhook"

// kindInfo says what those need to know who set up a webhook at its sender.
type kindInfo = webhook.KindInfo

// kinds are all kinds.
func kinds() []kindInfo { return webhook.Kinds() }
