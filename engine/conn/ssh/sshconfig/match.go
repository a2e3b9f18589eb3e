package sshconfig

import "strings"

// wild reports whether text fits a pattern of * and ?.
func wild(pattern, text string) bool {
	// star and mark are where to go on when what follows the last star does not
	// fit there.
	star, mark, p, t := -1, 0, 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Matches reports whether text fits one of the patterns, and none of those with
// an exclamation mark: the PATTERNS of ssh_config(5), which known_hosts has too.
func Matches(patterns []string, text string) bool {
	fits := false
	for _, p := range patterns {
		negated, is := strings.CutPrefix(p, "!")
		if is {
			if wild(negated, text) {
				return false
			}
			continue
		}
		fits = fits || wild(p, text)
	}
	return fits
}

// applies reports whether the block that d begins is for the host.
func (d *directive) applies(alias, name string) bool {
	if d.key == "host" {
		patterns := make([]string, len(d.args))
		for i, a := range d.args {
			patterns[i] = a.text
		}
		return Matches(patterns, alias)
	}
	words := d.criteria()
	for len(words) > 0 {
		criterion, negated := strings.CutPrefix(strings.ToLower(words[0]), "!")
		words = words[1:]
		if criterion == "all" {
			if negated {
				return false
			}
			continue
		}
		if criterion != "host" && criterion != "originalhost" || len(words) == 0 {
			return false
		}
		text := name
		if criterion == "originalhost" {
			text = alias
		}
		patterns := strings.Split(strings.ToLower(words[0]), ",")
		words = words[1:]
		if Matches(patterns, strings.ToLower(text)) == negated {
			return false
		}
	}
	return true
}

// criteria are the words of a Match line; a criterion and its value may be joined
// by an equals sign.
func (d *directive) criteria() []string {
	var words []string
	for _, a := range d.args {
		if key, value, ok := strings.Cut(a.text, "="); ok && !strings.ContainsAny(key, "*?,") {
			words = append(words, key)
			if value != "" {
				words = append(words, value)
			}
			continue
		}
		words = append(words, a.text)
	}
	return words
}
