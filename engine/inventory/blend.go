package inventory

// Blend lays high over low: mappings are merged, entry by entry and at every
// depth; lists are appended, those of low first; a null over a mapping leaves the
// mapping; anything else of high replaces what low has. The result shares no list
// or mapping with either argument.
func Blend(low, high any) any {
	switch h := high.(type) {
	case nil:
		if l, ok := low.(map[string]any); ok {
			return clone(l)
		}
	case map[string]any:
		if l, ok := low.(map[string]any); ok {
			return blendMaps(l, h)
		}
	case []any:
		if l, ok := low.([]any); ok {
			return append(clone(l).([]any), clone(h).([]any)...)
		}
	}
	return clone(high)
}

func blendMaps(low, high map[string]any) map[string]any {
	out := clone(low).(map[string]any)
	for k, v := range high {
		if l, ok := low[k]; ok {
			out[k] = Blend(l, v)
		} else {
			out[k] = clone(v)
		}
	}
	return out
}

// clone copies lists and mappings at every depth; other values are immutable.
func clone(v any) any {
	switch t := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))

		for k, e := range t {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = clone(e)
		}
		return out
	default:
		return v
	}
}
