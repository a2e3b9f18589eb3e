package rules

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/Masterminds/semver/v3"
)

func versionFunctions() []function {
	version := param{kind: versionKind, prepare: func(s string) (any, error) { return parseVersion(s) }}
	return []function{
		{
			Function: Function{
				"semver", "semver(text) version",
				"The [semantic version](https://semver.org) that the text is, with or without a `v` before it; what it lacks " +
					"of MAJOR.MINOR.PATCH is 0. Versions compare with each other by `<`, `<=`, `==`, `!=`, `>=` and `>`, and a " +
					"prerelease comes before its release.",
				[]Example{
					{`semver(event.data.tag) >= semver("2.0.0")`, `{"tag": "v2.10.1"}`, `true`},
					{`semver("1.0.0-rc.1") < semver("1.0.0")`, ``, `true`},
				},
			},
			params: []param{version}, least: 1, returns: returns[*semver.Version](),
			body: func(c *call) (any, error) { return c.args[0], nil },
		},
		{
			Function: Function{
				"semverIn", "semverIn(version, ranges) bool",
				"Whether a version is in one of the ranges, which `||` stands between. A range is conditions that must all " +
					"hold: `=`, `!=`, `<`, `<=`, `>`, `>=` and a version; `1.2 - 1.4`; `~1.2` for 1.2.x; `^1.2` for 1.2 up to " +
					"before 2.0; `1.x`. A prerelease is only in ranges that name a prerelease themselves, such as `>=1.2.0-0`.",
				[]Example{
					{`semverIn(event.data.tag, ">=1.2.0 <2 || ~3.1")`, `{"tag": "v3.1.4"}`, `true`},
					{`semverIn("2.0.0", "^1.2")`, ``, `false`},
					{`semverIn("2.0.0-rc.1", ">=1.0.0")`, ``, `false`},
					{`semverIn("2.0.0-rc.1", ">=1.0.0-0")`, ``, `true`},
				},
			},
			params: []param{version, {kind: textKind, prepare: prepareRanges}}, least: 2, returns: returns[bool](),
			body: func(c *call) (any, error) {
				return c.args[1].(*semver.Constraints).Check(c.args[0].(*semver.Version)), c.run.charge(1)
			},
		},
		{
			Function: Function{
				"cidr", "cidr(network, ip) bool",
				"Whether an IP address is in a network, or in one of a list of networks.",
				[]Example{
					{`cidr("10.0.0.0/8", event.data.ip)`, `{"ip": "10.1.2.3"}`, `true`},
					{`cidr(["192.168.0.0/16", "fe80::/10"], "fe80::1")`, ``, `true`},
				},
			},
			params:  []param{{kind: networkKind, prepare: prepareNet}, {kind: textKind}},
			least:   2,
			returns: returns[bool](), body: inNet,
		},
	}
}

func parseVersion(s string) (*semver.Version, error) {
	if len(s) > 256 {
		return nil, errors.New("a version has at most 256 characters")
	}
	v, err := semver.NewVersion(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a version such as 1.2.3", short(s))
	}
	return v, nil
}

func prepareRanges(s string) (any, error) {
	ranges, err := semver.NewConstraint(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a range of versions such as >=1.2.0 <2 || ~3.1", short(s))
	}
	return ranges, nil
}

func compareVersions(holds func(int) bool) func(...any) (any, error) {
	return func(params ...any) (any, error) {
		a, okA := params[0].(*semver.Version)
		b, okB := params[1].(*semver.Version)
		if !okA || !okB {
			return nil, errors.New("a version compares with a version only")
		}
		return holds(a.Compare(b)), nil
	}
}

func prepareNet(s string) (any, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8", short(s))
	}
	p = p.Masked()
	return &p, nil
}

func inNet(c *call) (any, error) {
	networks := []any{c.args[0]}
	if isList(c.args[0]) {
		networks = c.list(0)
	}
	if err := c.run.charge(len(networks)); err != nil {
		return nil, err
	}
	a, err := netip.ParseAddr(c.text(1))
	if err != nil {
		return nil, fmt.Errorf("%q is not an IP address", short(c.text(1)))
	}
	in := false
	for _, n := range networks {
		p, ok := n.(*netip.Prefix)
		if !ok {
			s, ok := n.(string)
			if !ok {
				return nil, fmt.Errorf("cidr takes a list of networks, not of %s", kindOf(n))
			}
			v, err := prepareNet(s)
			if err != nil {
				return nil, err
			}
			p = v.(*netip.Prefix)
		}
		in = in || p.Contains(a.Unmap())
	}
	return in, nil
}
