package modules

import (
	"strings"
	"testing"
)

// The keys and signatures are those that minisign and ssh-keygen wrote, of the
// text "test".
const (
	minisignPublic = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
	minisignHashed = `untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335	file:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==
`
	minisignPlain = `untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966	file:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==
`
	ed25519Public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGkvveueml8gvjGGm8jCkTD+oZQuM3ePLOktuZmas+W test"
	ed25519Signed = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgcaS+9656aXyC+MYabyMKRMP6hl
C4zd48s6S25mZqz5YAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAED6rRsvwrEfoQRwzoUxEGegdhr6pPONun+Gd1vrdU7rzOwDbi9CDZM00WmNId3q6o
Ur+fxN8MXEgmS1A+2CbSgK
-----END SSH SIGNATURE-----
`
	// gitSigned is a signature of the same text for another purpose.
	gitSigned = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgcaS+9656aXyC+MYabyMKRMP6hl
C4zd48s6S25mZqz5YAAAADZ2l0AAAAAAAAAAZzaGE1MTIAAABTAAAAC3NzaC1lZDI1NTE5
AAAAQOAyrDbFOf8loKs7HAtURmZgTLxByc9xpXBKmtNuAjAvovLBPqBsYRaWTZM5f4FoiX
U6XanM6OwRqLZ1PF6VcQc=
-----END SSH SIGNATURE-----
`
	ecdsaPublic = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEVbAi5UcXguFeiizY5skKAAVL+DKpYA/5HMSkKuJqvnFnLPvES6i+ISkN/fM/8aX5wRcyWuWzATCwYRkPwXR/c= test"
	ecdsaSigned = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EERVsCLlRxeC4V6KLNjmyQoABUv4MqlgD/kcxKQq4mq+cWcs+8RLqL4hKQ398z/xpfnBFz
Ja5bMBMLBhGQ/BdH9wAAAARmaWxlAAAAAAAAAAZzaGE1MTIAAABlAAAAE2VjZHNhLXNoYT
ItbmlzdHAyNTYAAABKAAAAIQDbAuD6rNO31J8TrMq1g0MMQiiR6rzv6icwPX5wTJT0ugAA
ACEAvPqOoFb8JDdPS6M5TRjr8PyL4URcch+dvN6UYYeAfwg=
-----END SSH SIGNATURE-----
`
	rsaPublic = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCb95wtCTu8Hj9zSSriFZ6/M/6bLLctJDjsxJYjNBbRPFbjRPiyDL3WI/s4WfR2Os8WSeeqjTx9cRgj8tvJNhQTkIT74cFYN5J8/B4UR50vZ0sw6N/Nxzy9DKLDxqUaSMtCsKYUz9uIVUiVDUtruTdVwI82yHrBnBrKeNWKhfXEKck1+eyW/rpWL9oXvDOe5pi2ZrpwH+53Pb0XhvY/WMQcCWqql1PFpLpvTuzmDCH1IoQazg7e/HTrCdF8kkNMxAwHfbYbzgsFDOd90cW0kOpETAGaT7Jf4CLXfgx/mDTwpeLrcrIGMFBmIaA/Mt8hTG5n4B3axSlYcKkJIUXCrOkv test"
	rsaSigned = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAARcAAAAHc3NoLXJzYQAAAAMBAAEAAAEBAJv3nC0JO7weP3NJKuIVnr
8z/pssty0kOOzEliM0FtE8VuNE+LIMvdYj+zhZ9HY6zxZJ56qNPH1xGCPy28k2FBOQhPvh
wVg3knz8HhRHnS9nSzDo383HPL0MosPGpRpIy0KwphTP24hVSJUNS2u5N1XAjzbIesGcGs
p41YqF9cQpyTX57Jb+ulYv2he8M57mmLZmunAf7nc9vReG9j9YxBwJaqqXU8Wkum9O7OYM
IfUihBrODt78dOsJ0XySQ0zEDAd9thvOCwUM533RxbSQ6kRMAZpPsl/gItd+DH+YNPCl4u
tysgYwUGYhoD8y3yFMbmfgHdrFKVhwqQkhRcKs6S8AAAAEZmlsZQAAAAAAAAAGc2hhNTEy
AAABFAAAAAxyc2Etc2hhMi01MTIAAAEAJwTQMtZd9i28aUOmp92eNZrMGgbrvpvkKlLQFP
u+pY8LzHpCZSNx61b7pOWCKVgT+mCJJjPDJo7DH1W2EeZr82eMXV+VoTQt9aKc+zMKCESd
cOklBHsOpFcP0aqa1vMePEbjWeH9Vf206TXHpqvykGWubmLBvt0sKxBmufUUwskvoejVn7
KMp2ZBGXTrJhftiMXwb3oGRInsj3iXBap0Jj5CzXoSvtkYlOIJURtoYqr/XCX7VPxm4llH
FsJq9JgG3WQCvAu63PSEyakiRon6U39kiJftR/Si0opVGfBkIGj4AhEYW/FJRfDkTf9ANJ
QKUgtAQv7ma1FxVjr5Lma8mw==
-----END SSH SIGNATURE-----
`
)

func TestSignatures(t *testing.T) {
	t.Parallel()
	comment := strings.Replace(minisignHashed, "1556193335", "1556193336", 1)
	for name, c := range map[string]struct{ key, text, signature, err string }{
		"minisign":             {minisignPublic, "test", minisignHashed, ""},
		"minisign, key file":   {"untrusted comment: minisign public key\n" + minisignPublic + "\n", "test", minisignHashed, ""},
		"minisign, crlf":       {minisignPublic, "test", strings.ReplaceAll(minisignHashed, "\n", "\r\n"), ""},
		"minisign, old":        {minisignPublic, "test", minisignPlain, ""},
		"minisign, other text": {minisignPublic, "Test", minisignHashed, "is not that of public_key"},
		"minisign, old, other": {minisignPublic, "Test", minisignPlain, "is not that of public_key"},
		"minisign, comment":    {minisignPublic, "test", comment, "is not that of public_key"},
		"minisign, other key":  {"RWQg" + minisignPublic[4:], "test", minisignHashed, "made with another key"},
		"minisign, other kind": {minisignPublic, "test", ed25519Signed, "not one of minisign"},
		"minisign, damaged":    {minisignPublic, "test", strings.Replace(minisignHashed, "RUQf", "RU", 1), "is damaged"},
		"minisign, new kind":   {minisignPublic, "test", strings.Replace(minisignHashed, "RUQf", "RUUf", 1), "unknown kind"},
		"minisign, empty":      {minisignPublic, "test", "", "not one of minisign"},
		"ssh":                  {ed25519Public, "test", ed25519Signed, ""},
		"ssh, other text":      {ed25519Public, "Test", ed25519Signed, "is not that of public_key"},
		"ssh, other key":       {rsaPublic, "test", ed25519Signed, "made with another key"},
		"ssh, other purpose":   {ed25519Public, "test", gitSigned, `is for "git"`},
		"ssh, other kind":      {ed25519Public, "test", minisignHashed, "not one of ssh-keygen"},
		"ssh, damaged":         {ed25519Public, "test", strings.Replace(ed25519Signed, "U1NI", "U1NJ", 1), "is damaged"},
		"ecdsa":                {ecdsaPublic, "test", ecdsaSigned, ""},
		"rsa":                  {rsaPublic, "test", rsaSigned, ""},
		"rsa, other text":      {rsaPublic, "test\n", rsaSigned, "is not that of public_key"},
	} {
		key, err := parseSigningKey(c.key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		err = key.verify(strings.NewReader(c.text), []byte(c.signature))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
	}
}

func TestPublicKeysRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "key", "c2VjcmV0", minisignPublic[:40], `command="x" ` + ed25519Public, ed25519Public + "\n" + rsaPublic,
		strings.Repeat("A", 1<<20), "-----BEGIN PUBLIC KEY-----",
	} {
		if k, err := parseSigningKey(text); err == nil {
			t.Errorf("%.60q is taken as %T", text, k.verifier)
		}
	}
}
