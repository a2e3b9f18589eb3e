package sftpfs

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
)

// namesOf asks for the names of ids.
func (f *flight) namesOf(uids, gids []int) *call {
	return f.extended(extNames, typeReply, numbers(uids), numbers(gids))
}

func numbers(ids []int) string {
	var b []byte
	for _, id := range ids {
		b = binary.BigEndian.AppendUint32(b, uint32(id)) //nolint:gosec // an id that came as such a number
	}
	return string(b)
}

// NamesOf implements [files.Namer].
func (s *System) NamesOf(ctx context.Context, uids, gids []int) (users, groups []string, ok bool, err error) {
	c, err := s.session.client(ctx)
	if err != nil || !c.offers[extNames] {
		return nil, nil, false, err
	}
	isRoot := func(id int) bool { return id == 0 }
	if !slices.ContainsFunc(uids, not(isRoot)) && !slices.ContainsFunc(gids, not(isRoot)) && c.root != nil {
		if a, err := c.wait(ctx, c.root); err == nil {
			users, groups, ok = readNames(a.data, 1, 1)
			return users[:min(len(users), len(uids))], groups[:min(len(groups), len(gids))], ok, nil
		}
	}
	f := c.flight()
	q := f.namesOf(uids, gids)
	if err := f.send(ctx); err != nil {
		return nil, nil, false, err
	}
	a, err := c.wait(ctx, q)
	if _, refused := errors.AsType[*statusError](err); refused {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	users, groups, ok = readNames(a.data, len(uids), len(gids))
	return users, groups, ok, nil
}

func not(f func(int) bool) func(int) bool { return func(id int) bool { return !f(id) } }

// readNames reads the answer about so many users and groups.
func readNames(reply []byte, users, groups int) (ofUsers, ofGroups []string, ok bool) {
	d := decoder{rest: reply}
	first, second := decoder{rest: d.bytes()}, decoder{rest: d.bytes()}
	for range users {
		ofUsers = append(ofUsers, string(first.bytes()))
	}
	for range groups {
		ofGroups = append(ofGroups, string(second.bytes()))
	}
	return ofUsers, ofGroups, !d.bad && !first.bad && !second.bad
}
