package conn

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

// Errors a transport wraps so that callers can decide. Missing files are
// [fs.ErrNotExist], existing ones [fs.ErrExist], refused access
// [fs.ErrPermission].
var (
	// ErrUnreachable means that no session with the host could be made, or that
	// it broke: the host is down, the connection was refused or timed out.
	ErrUnreachable = errors.New("host unreachable")
	// ErrHostKey means that the host's key is unknown, changed or revoked.
	ErrHostKey = errors.New("host key not trusted")
	// ErrAuth means that the host refused every credential we have.
	ErrAuth = errors.New("authentication refused")
	// ErrBecome means that the other user's identity could not be taken on.
	ErrBecome = errors.New("cannot become the other user")
)

// Cmd is one command. Exactly one of Argv and Shell is set.
type Cmd struct {
	// Argv is the program and its arguments; no shell sees them.
	Argv []string
	// Shell is a command line for the host's /bin/sh.
	Shell string
	// Env is added to the environment the host gives the command. LANG=C is set
	// unless Env says otherwise. Transports keep it out of process lists.
	Env map[string]string
	// Dir is the working directory; empty means the user's home over SSH and the
	// process's own directory locally.
	Dir string
	// Stdin may be nil: the command then reads an empty input, and is killed with
	// its process group when the connection or this process is lost. A command
	// that is given an input is not: its input ends, and it may run on.
	Stdin io.Reader
	// ReadOnly promises that the command changes nothing on the host: its output
	// may be asked for before its turn and used once.
	ReadOnly bool
	// ForwardAgent lends the command the SSH agent of the user who runs this
	// process, on transports that were allowed to (see git over SSH).
	ForwardAgent bool
	// MaxOutput bounds how much of each output is collected, in bytes. Of more the
	// beginning and the end are, whole lines where it has lines, and between them a
	// line that says how much is missing. Zero means no bound.
	MaxOutput int
	// Stdout and Stderr, when not nil, receive the output as it comes, beside
	// what [Output] collects. They need not be safe for concurrent use with each
	// other unless they are the same writer.
	Stdout, Stderr io.Writer
}

// Output is what a command that ran left behind. A Code other than zero is not
// an error of Run.
type Output struct {
	Stdout, Stderr []byte
	// Code is the exit status, or 128 plus the signal's number.
	Code int
}

// FileInfo describes a file on the host.
type FileInfo struct {
	// Mode holds type and permission bits, setuid, setgid and sticky included.
	Mode    fs.FileMode
	Size    int64
	ModTime time.Time
	// UID and GID are numbers; Owner and Group are their names on the host, or
	// the numbers as text where the host knows no name.
	UID, GID     int
	Owner, Group string
}

// Attr says which attributes a file shall have. Zero members are left alone (or
// to the operation's default when the file is new).
type Attr struct {
	// Mode is the permission bits with setuid, setgid and sticky; nil leaves them.
	Mode *fs.FileMode
	// Owner and Group are names or decimal ids.
	Owner, Group string
	// NoFollow makes SetAttr change a symbolic link itself, where the link is the
	// last part of the path: its owner and group, as links have no mode of their
	// own. Other operations ignore it.
	NoFollow bool
}

// Look says what [Conn.Inspect] shall find out besides a file's attributes.
type Look struct {
	// NoFollow describes a symbolic link itself.
	NoFollow bool
	// Sum asks for the SHA-256 of a regular file. With Size zero or more only a
	// file of that size is summed up: the content of any other differs anyway.
	Sum  bool
	Size int64
	// Content asks for the content of a regular file of at most that many bytes.
	Content int64
}

// Inspection is what [Conn.Inspect] found.
type Inspection struct {
	FileInfo
	// Sum is the SHA-256 that was asked for; nil when there is none to have: the
	// file is not a regular one or has another size.
	Sum []byte
	// Content is the content that was asked for; nil when the file is not a
	// regular one or is larger, not nil when it is empty.
	Content []byte
}

// Become says whose identity to take on, and how. It is comparable. The zero
// value stands for the login user.
type Become struct {
	// User is a name or a decimal id.
	User string
	// Template is the command line that becomes another user, for the login
	// shell, instead of sudo. It holds two placeholders: {{jet_sudo_user}} stands
	// for the quoted name, {{jet_command}} for the quoted command line, which
	// must reach a shell as one argument (su {{jet_sudo_user}} -c {{jet_command}}).
	Template string
	// Password is given to sudo when it asks for one, on its standard input. It
	// is never in a command line. Without one, sudo is told never to ask.
	Password string
}

// Conn is an open connection to one host as one user. It is safe for concurrent
// use. All paths are absolute; every byte but NUL is legal in them. Every method
// honours its context: when it ends, a running command is killed with its
// process group and the method returns the context's cause.
//
// Methods return errors that name the operation and the path, and wrap
// [fs.ErrNotExist] and friends, or [ErrUnreachable] once the connection is lost.
type Conn interface {
	// User is the name of the user that operations run as.
	User() string
	// As returns a connection to the same host as another user, over the same
	// transport. It shares the life of its parent, may be called often (equal
	// values give the same connection) and need not be closed. An empty name or
	// the connection's own user gives the connection itself; the login user's
	// name gives the login connection. The identity is taken on when the first
	// operation needs it: that operation's error wraps [ErrBecome] when it is
	// refused.
	As(ctx context.Context, b Become) (Conn, error)

	// RTT is about how long the host takes to answer, measured when the
	// connection was made; zero on this machine.
	RTT() time.Duration

	// Run runs one command and waits for it. A program that is not there gives
	// the code 127, one that cannot be started 126, as in a shell; both are said
	// on the command's stderr. Output that a process left behind in the
	// background holds open is waited for a second, no longer.
	Run(ctx context.Context, c Cmd) (Output, error)

	// Stat and Lstat describe a file; Stat follows symbolic links.
	Stat(ctx context.Context, path string) (FileInfo, error)
	Lstat(ctx context.Context, path string) (FileInfo, error)
	// Inspect describes a file and, where asked for, its content, in as few
	// exchanges with the host as the transport can. It is as good as Stat (or
	// Lstat) followed by Checksum and Open, and fails as Stat does.
	Inspect(ctx context.Context, path string, l Look) (Inspection, error)
	// ReadLink returns a symbolic link's target as written.
	ReadLink(ctx context.Context, path string) (string, error)
	// ReadDir returns the names in a directory, sorted, without "." and "..".
	ReadDir(ctx context.Context, path string) ([]string, error)
	// Open opens a file for reading. The context covers the reads as well.
	Open(ctx context.Context, path string) (io.ReadCloser, error)
	// Checksum returns the SHA-256 of a file's content.
	Checksum(ctx context.Context, path string) ([]byte, error)

	// WriteFile replaces a file's content in one step: a temporary file beside
	// it, synced, with its attributes set, is renamed over it. Where a is zero
	// an existing file keeps its mode, owner and group; a new file gets 0644 and
	// the connection's user. A symbolic link is followed to the file it names. A
	// failure leaves the old file as it was and no temporary file behind.
	WriteFile(ctx context.Context, path string, content io.Reader, a Attr) error
	// Mkdir makes a directory, and the missing ones above it (0755). An existing
	// directory is an error that wraps fs.ErrExist.
	Mkdir(ctx context.Context, path string, a Attr) error
	// SetAttr changes attributes; symbolic links are followed, unless the
	// attributes say otherwise.
	SetAttr(ctx context.Context, path string, a Attr) error
	// Symlink makes path a symbolic link to target.
	Symlink(ctx context.Context, target, path string) error
	// Rename moves within one file system, replacing a file at the new path.
	Rename(ctx context.Context, from, to string) error
	// Copy makes a copy of a regular file's content on the host itself where the
	// host can, with the same promises as WriteFile.
	Copy(ctx context.Context, from, to string, a Attr) error
	// Remove removes a file, a symbolic link or an empty directory.
	Remove(ctx context.Context, path string) error
	// RemoveAll removes path and all below it; symbolic links are not followed.
	// A path that does not exist is not an error. "/" is refused.
	RemoveAll(ctx context.Context, path string) error

	// Close ends the connection and everything that runs over it.
	Close() error
}

// Target says which host to connect to and how. The zero values of User, Port
// and KeyFile leave the choice to the transport.
type Target struct {
	// Name is the host's name in the inventory; it appears in messages.
	Name string
	// Local selects this machine, with no network.
	Local bool
	// Address is a host name or an IP address; empty means Name.
	Address string
	Port    int
	User    string
	// KeyFile is a private key; KeyPassphrase opens it. A certificate beside it
	// (KeyFile-cert.pub) is offered first.
	KeyFile       string
	KeyPassphrase string
	// KeyComment chooses the agent's key with that comment, and no other.
	KeyComment string
	// Password is tried when it is not empty.
	Password string
	// Jump is the hosts to connect through, outermost first, as in ssh -J:
	// [user@]host[:port], separated by commas. "none" means none, whatever a
	// configuration file says. Their keys are checked like any other host's.
	Jump string
}

// Dialer opens connections.
type Dialer interface {
	Dial(ctx context.Context, t Target) (Conn, error)
}
