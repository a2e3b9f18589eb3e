package modules_test

import "testing"

const (
	askUser  = "/bin/sh -c … jet ann"
	annEntry = "ann:x:1001:1001:Ann:/home/ann:/bin/sh\nann\nann sudo docker\n"
)

// TestSystem goes through what the modules for accounts ask and do.
func TestSystem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		task   string
		expect []exchange
		want   string
	}{
		"group: absent": {
			task: "!group {group: web, gid: 1500, users: [bob, ann]}", want: "created",
			expect: []exchange{
				{argv: "getent group web", code: 2},
				{argv: "getent passwd bob ann", out: "bob:x:1:\nann:x:2:\n"},
				{argv: "groupadd -g 1500 web"},
				{argv: "gpasswd -M ann,bob web"},
			},
		},
		"group: members that are not there": {
			task: "!group {group: web, users: [bob, ann, eve]}", want: "failed: adding users to group web: there is no user bob,eve",
			expect: []exchange{{argv: "getent group web", code: 2}, {argv: "getent passwd bob ann eve", code: 2, out: "ann:x:2:\n"}},
		},
		"group: system": {
			task: "!group {group: web, system: true}", want: "created",
			expect: []exchange{{argv: "getent group web", code: 2}, {argv: "groupadd -r web"}},
		},
		"group: as described": {
			task: "!group {group: web, gid: 1500, users: [bob, ann]}", want: "matched",
			expect: []exchange{{argv: "getent group web", out: "web:x:1500:ann,bob\n"}},
		},
		"group: no members": {
			task: "!group {group: web, users: []}", want: "matched",
			expect: []exchange{{argv: "getent group web", out: "web:x:1500:\n"}},
		},
		"group: members to lose": {
			task: "!group {group: web, users: []}", want: "modified(Users)",
			expect: []exchange{{argv: "getent group web", out: "web:x:1500:ann\n"}, {argv: "gpasswd -M  web"}},
		},
		"group: append": {
			task: "!group {group: web, users: [ann, bob], append: true}", want: "modified(Users)",
			expect: []exchange{
				{argv: "getent group web", out: "web:x:1500:ann,eve\n"},
				{argv: "getent passwd bob", out: "bob:x:1:\n"},
				{argv: "gpasswd -a bob web"},
			},
		},
		"group: another number": {
			task: "!group {group: web, gid: 1501}", want: "modified(Gid)",
			expect: []exchange{{argv: "getent group web", out: "web:x:1500:ann\n"}, {argv: "groupmod -g 1501 web"}},
		},
		"group: remove": {
			task: "!group {group: web, remove: true}", want: "removed",
			expect: []exchange{{argv: "getent group web", out: "web:x:1500:\n"}, {argv: "groupdel web"}},
		},
		"group: nothing to remove": {
			task: "!group {group: web, remove: true}", want: "matched", expect: []exchange{{argv: "getent group web", code: 2}},
		},
		"group: a database that fails": {
			task: "!group {group: web}", want: "failed: running getent: exit status 1: broken",
			expect: []exchange{{argv: "getent group web", code: 1, err: "broken"}},
		},
		"group: a number for a name": {
			task: "!group {group: 1500}",
			want: `refused: playbook.yml:4:22: "1500" is no name of a user or group: letters, digits, _, - and ., beginning with a letter or _`,
		},
		"user: absent": {
			task: "!user {user: ann, groups: [sudo, docker], shell: /bin/bash, gecos: Ann B}", want: "created",
			expect: []exchange{{argv: askUser, code: 4}, {argv: "useradd -m -U -G docker,sudo -c Ann B -s /bin/bash ann"}},
		},
		"user: a home that would be another field": {
			task: `!user {user: ann, home: "/home/ann:/bin/sh"}`,
			want: `refused: playbook.yml:4:7: home "/home/ann:/bin/sh" holds a colon or a control character, which no field of an account can`,
		},
		"user: with a group": {
			task: "!user {user: ann, gid: 100, uid: 1001, create_home: false}", want: "created",
			expect: []exchange{{argv: askUser, code: 4}, {argv: "useradd -M -N -g 100 -u 1001 ann"}},
		},
		"user: as described": {
			task: "!user {user: ann, uid: 1001, gid: 1001, groups: [docker, sudo], shell: /bin/sh, gecos: Ann}", want: "matched",
			expect: []exchange{{argv: askUser, out: annEntry}},
		},
		"user: the group by name": {
			task: "!user {user: ann, gid: ann}", want: "matched", expect: []exchange{{argv: askUser, out: annEntry}},
		},
		"user: other fields": {
			task: "!user {user: ann, uid: 1002, shell: /bin/zsh, groups: [sudo]}", want: "modified(Uid,Shell,Groups)",
			expect: []exchange{{argv: askUser, out: annEntry}, {argv: "usermod -u 1002 -s /bin/zsh -G sudo ann"}},
		},
		"user: append": {
			task: "!user {user: ann, groups: [sudo, web], append: true}", want: "modified(Groups)",
			expect: []exchange{{argv: askUser, out: annEntry}, {argv: "usermod -a -G sudo,web ann"}},
		},
		"user: no groups": {
			task: "!user {user: ann, groups: []}", want: "modified(Groups)",
			expect: []exchange{{argv: askUser, out: annEntry}, {argv: "usermod -G  ann"}},
		},
		"user: remove": {
			task: "!user {user: ann, remove: true, cleanup: true}", want: "removed",
			expect: []exchange{{argv: askUser, out: annEntry}, {argv: "userdel -r ann"}},
		},
		"user: a colon": {
			task: `!user {user: ann, gecos: "a:b"}`, want: "refused: playbook.yml:4:32: must be one line of text without a colon or a control character",
		},
		"user: a group of its own and another": {
			task: "!user {user: ann, gid: 100, create_user_group: true}",
			want: "refused: playbook.yml:4:7: create_user_group makes the account's own group, and gid names another: give one of them",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tell(t, tt.task, false, tt.expect...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
