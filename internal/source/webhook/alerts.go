package webhook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// maxAlerts is the most alerts of one delivery, maxAlertBytes the most bytes that they
// may take as events: what they share is in each of them.
const (
	maxAlerts     = 1000
	maxAlertBytes = 16 << 20
)

// alertAdapter is the adapter for Alertmanager and for Grafana, whose payloads have the
// same form: each alert is an event of its own. Only payloads of the version are taken,
// if it is not empty.
func alertAdapter(prefix, version string) adapter {
	return func(hook string, _ http.Header, body []byte) ([]item, error) {
		p, err := parsePayload(body)
		if err != nil {
			return nil, err
		}
		if v := p.text("version"); version != "" && v != version {
			return nil, fmt.Errorf("the payload is of version %q, only version %s is understood", v, version)
		}
		sent, ok := p.tree["alerts"].([]any)
		if !ok {
			return nil, errors.New("the body has no list of alerts")
		}
		if len(sent) == 0 {
			return nil, errIgnored
		}
		if len(sent) > maxAlerts {
			return nil, refusalError{http.StatusRequestEntityTooLarge, fmt.Sprintf(
				"a delivery holds at most %d alerts and this has %d, set a limit at the sender or group the alerts", maxAlerts, len(sent))}
		}
		items, size := make([]item, 0, len(sent)), 0
		for i, one := range sent {
			alert, ok := one.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("alert %d is not an object", i+1)
			}
			list, err := adaptAlert(prefix, "/hooks/"+hook, p, payload{tree: alert})
			if err != nil {
				return nil, fmt.Errorf("alert %d: %w", i+1, err)
			}
			for _, one := range list {
				size += len(one.event.Data())
			}
			if size > maxAlertBytes {
				return nil, refusalError{http.StatusRequestEntityTooLarge, fmt.Sprintf(
					"the alerts take more than %d MiB, each with what all share, set a limit at the sender or group the alerts", maxAlertBytes>>20)}
			}
			items = append(items, list...)
		}
		return items, nil
	}
}

// adaptAlert makes one alert of a delivery an event, with what they share around it.
func adaptAlert(prefix, fallback string, all, alert payload) ([]item, error) {
	status, starts := alert.text("status"), alert.text("startsAt")
	if status != "firing" && status != "resolved" {
		return nil, fmt.Errorf("the status %q is none of firing, resolved", status)
	}
	if starts == "" {
		return nil, errors.New("it has no startsAt")
	}
	identity, err := fingerprint(alert)
	if err != nil {
		return nil, err
	}
	env := envelope{
		typ: prefix + status, source: cmp.Or(all.text("externalURL"), fallback),
		subject: alert.text("labels.alertname"), time: alert.time("startsAt"),
	}
	if status == "resolved" {
		ends := alert.text("endsAt")
		env.id, env.time = identity+":"+starts+":"+ends+":"+status, alert.time("endsAt", "startsAt")
	} else {
		env.id = identity + ":" + starts + ":" + status
	}
	for _, name := range []string{"receiver", "groupLabels", "commonLabels", "externalURL"} {
		if v, ok := all.tree[name]; ok {
			alert.tree[name] = v
		}
	}
	if alert.raw, err = compactJSON(alert.tree); err != nil {
		return nil, err
	}
	return alert.one(env)
}

// fingerprint returns what Alertmanager tells alerts apart by: it follows from the
// labels. Versions that do not send it have the labels' digest instead.
func fingerprint(alert payload) (string, error) {
	if sent := alert.text("fingerprint"); sent != "" {
		return sent, nil
	}
	labels, err := compactJSON(alert.tree["labels"])
	if err != nil {
		return "", err
	}
	return digest(labels)[:16], nil
}

// compactJSON is v in JSON, with its texts as they are.
func compactJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the alert: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
