package shellfs

// Exit statuses of the scripts, beside zero.
const (
	invalid    = 70
	notExist   = 71
	exist      = 72
	permission = 73
	notDir     = 74
	loop       = 75
	isDir      = 76
	// short means that less, or more, arrived than was announced.
	short = 77
	// changed means that the file was replaced while it was read.
	changed = 78
	// noTool means that the host lacks a program.
	noTool = 79
	// Any other, 80 as a rule, means that the tool's own words have to say why.
)

// prelude comes before every script. It keeps to what dash, BusyBox, ksh and old
// versions of bash agree on.
//
//	walk PATH  follows PATH to its end, links included, to $at; false when there
//	           is nothing at the end. It exits when the way there is barred.
//	seek PATH  exits with the reason when there is nothing at PATH.
//	room PATH  exits with the reason when nothing can be made beside PATH.
const prelude = `LC_ALL=C; export LC_ALL
nl='
'
walk() {
  left=$1 at= hops=0
  while [ -n "$left" ]; do
    step=${left%%/*}
    case $left in */*) left=${left#*/} ;; *) left= ;; esac
    case $step in '' | .) continue ;; esac
    [ -d "${at:-/}" ] || exit 74
    [ -x "${at:-/}" ] || exit 73
    next=$at/$step
    if [ -L "$next" ]; then
      hops=$((hops+1))
      [ "$hops" -le 40 ] || exit 75
      link=$(readlink "$next" && echo .) || exit 79
      link=${link%"$nl."}
      case $link in /*) at= ;; esac
      left=$link${left:+/$left}
    elif [ -e "$next" ]; then
      at=$next
    elif [ -z "$left" ]; then
      at=$next
      return 1
    else
      exit 71
    fi
  done
}
seek() { [ -e "$1" ] || walk "$1" || exit 71; }
room() {
  dir=${1%/*}
  seek "${dir:-/}"
  [ -d "${dir:-/}" ] || exit 74
  [ -x "${dir:-/}" ] && [ -w "${dir:-/}" ] || exit 73
}
`

// lookScript is started as: PATH FOLLOW SUM LIMIT
//
// It prints a line with MODE SIZE MTIME UID GID, a plus or minus sign that says
// whether the content follows after the line, and what the program for sums
// printed. MODE is the number in hexadecimal, or letters in the way of ls.
//
// FOLLOW is L or empty. SUM is all, the size that a file must have, or empty; a
// file whose content is sent is not summed up. LIMIT is the largest file whose
// content is wanted, or empty.
const lookScript = `bare() {
  case $1 in [bc]*) s="$1 0 - $3 $4" ;; *) s="$1 $5 - $3 $4" ;; esac
}
digest() {
  if command -v sha256sum >/dev/null; then sha256sum
  elif command -v sha256 >/dev/null; then sha256 -q
  elif command -v shasum >/dev/null; then shasum -a 256
  elif command -v openssl >/dev/null; then openssl dgst -sha256; fi
}
[ -z "$2" ] && [ -L "$1" ] || seek "$1"
s=$(stat -c '%f %s %Y %u %g' ${2:+-L} "$1" 2>/dev/null) ||
s=$(stat -f '%Xp %z %m %u %g' ${2:+-L} "$1" 2>/dev/null) || {
  set -f
  bare $(ls -ldn ${2:+-L} "$1")
  set +f
  case $s in
  l*) ;;
  *) t=$(date -r "$1" +%s 2>/dev/null) && s="${s%% - *} $t ${s#* - }" ;;
  esac
}
case $s in [0-9a-zA-Z-]*) ;; *) exit 80 ;; esac
c=- h=
if [ -f "$1" ] && { [ -n "$2" ] || ! [ -L "$1" ]; }; then
  size=${s#* } size=${size%% *}
  if [ -n "$4" ] && [ "$size" -le "$4" ]; then
    c=+
  elif [ "$3" != all ] && [ "$3" != "$size" ]; then
    set -- "$1" "$2" "" ""
  fi
  if [ -n "$3$4" ]; then
    [ -r "$1" ] || exit 73
  fi
  if [ -n "$3" ] && [ "$c" = - ]; then
    h=$(digest <"$1") || exit 80
  fi
fi
printf '%s\n' "$s $c $h"
[ "$c" = - ] || head -c "$(($4+1))" <"$1" || exit 80
exit 0`

// readScript is started as: PATH SKIP COUNT INODE
//
// It prints a line with the file's inode, and COUNT bytes after the first SKIP
// blocks of 64 KiB. An INODE that is not empty must be the file's.
const readScript = `[ -d "$1" ] && exit 76
seek "$1"
[ -r "$1" ] || exit 73
n=$(ls -diL "$1") || exit 80
n=${n#"${n%%[0-9]*}"} n=${n%%[!0-9]*}
[ -z "$4" ] || [ "$n" = "$4" ] || exit 78
printf '%s\n' "$n"
{
  [ "$2" = 0 ] || dd bs=65536 "skip=$2" count=0 2>/dev/null || exit 80
  head -c "$3" || exit 80
} <"$1" || exit 80
exit 0`

// linkScript is started as: PATH.
const linkScript = `if ! [ -L "$1" ]; then
  seek "$1"
  echo "it is not a symbolic link" >&2
  exit 80
fi
command -v readlink >/dev/null || exit 79
readlink "$1" || exit 80
exit 0`

// listScript is started as: PATH
//
// It prints names with a slash after each, which no name holds.
const listScript = `seek "$1"
[ -d "$1" ] || exit 74
[ -r "$1" ] && CDPATH= cd "$1" 2>/dev/null || exit 73
list() {
  # A pattern that nothing matches stands for itself.
  [ $# -gt 1 ] || [ -e "$1" ] || [ -L "$1" ] || return 0
  printf '%s/' "$@" || exit 80
}
list *
list .*
exit 0`

// owning is functions about attributes:
//
//	facts PATH        finds out the $mode, in octal, the $uid and the $gid of a
//	                  file, or of what a link leads to
//	own PATH UID GID  changes the owner, the group or both; empty leaves one alone
const owning = `bits() {
  mode=0
  case $1 in ?r*) mode=$((mode+256)) ;; esac
  case $1 in ??w*) mode=$((mode+128)) ;; esac
  case $1 in ???[xs]*) mode=$((mode+64)) ;; esac
  case $1 in ????r*) mode=$((mode+32)) ;; esac
  case $1 in ?????w*) mode=$((mode+16)) ;; esac
  case $1 in ??????[xs]*) mode=$((mode+8)) ;; esac
  case $1 in ???????r*) mode=$((mode+4)) ;; esac
  case $1 in ????????w*) mode=$((mode+2)) ;; esac
  case $1 in ?????????[xt]*) mode=$((mode+1)) ;; esac
  case $1 in ???[sS]*) mode=$((mode+2048)) ;; esac
  case $1 in ??????[sS]*) mode=$((mode+1024)) ;; esac
  case $1 in ?????????[tT]*) mode=$((mode+512)) ;; esac
  mode=$(printf %o "$mode") uid=$3 gid=$4
}
facts() {
  f=$(stat -L -c '%a %u %g' "$1" 2>/dev/null) || f=$(stat -L -f '%Mp%Lp %u %g' "$1" 2>/dev/null) || {
    set -f
    bits $(ls -ldnL "$1")
    set +f
    return
  }
  mode=${f%% *} uid=${f#* } gid=${f##* }
  uid=${uid%% *}
}
own() { [ -z "$2$3" ] || chown $4 "$2${3:+:$3}" "$1"; }
`

// mkdirScript is started as: PATH MODE UID GID.
const mkdirScript = owning + `umask 077
mkdir "$1" || {
  if [ -e "$1" ] || [ -L "$1" ]; then exit 72; fi
  room "$1"
  exit 80
}
own "$1" "$3" "$4" && chmod "0$2" "$1" && exit 0
rmdir "$1"
exit 80`

// attrScript is started as: PATH MODE UID GID LINK
//
// LINK is not empty when a link's own owner is meant.
const attrScript = owning + `if [ -n "$5" ] && [ -L "$1" ]; then
  own "$1" "$3" "$4" -h && exit 0
  exit 80
fi
seek "$1"
m=$2
if [ -n "$3$4" ]; then
  facts "$1"
  if [ "${3:-$uid}" != "$uid" ] || [ "${4:-$gid}" != "$gid" ]; then
    own "$1" "$3" "$4" || exit 80
    case $mode in [2-7]???) m=${m:-$mode} ;; esac
  fi
fi
[ -z "$m" ] || chmod "0$m" "$1" || exit 80
exit 0`

// symlinkScript is started as: PATH TARGET.
const symlinkScript = `if [ -e "$1" ] || [ -L "$1" ]; then exit 72; fi
ln -s -- "$2" "$1" && exit 0
room "$1"
exit 80`

// moving is a function: into FROM TO renames as the system's call does. An mv
// without -T, nor -h, moves into a directory that it finds, and that of BusyBox
// takes a link to a directory for one.
const moving = `into() {
  mv -f -T "$1" "$2" 2>/dev/null && return
  mv -f -h "$1" "$2" 2>/dev/null && return
  [ -e "$1" ] || [ -L "$1" ] || return
  if [ -d "$2" ]; then
    if [ -L "$2" ]; then
      rm -f "$2" || return
    else
      [ -d "$1" ] && ! [ -L "$1" ] && rmdir "$2" || return
    fi
  fi
  mv -f "$1" "$2"
}
`

// renameScript is started as: FROM TO.
const renameScript = moving + `[ -L "$1" ] || seek "$1"
[ "$1" = "$2" ] && exit 0
into "$1" "$2" && exit 0
if [ -d "$2" ] && ! [ -L "$2" ] && ! [ -d "$1" ]; then exit 76; fi
room "$1"
room "$2"
exit 80`

// removeScript is started as: PATH.
const removeScript = `if [ -d "$1" ] && ! [ -L "$1" ]; then
  rmdir "$1" && exit 0
else
  [ -L "$1" ] || seek "$1"
  rm -f "$1" && exit 0
fi
room "$1"
exit 80`

// removeAllScript is started as: PATH.
const removeAllScript = `rm -rf "$1" && exit 0
exit 80`

// putScript is started as: PATH NAME SIZE MARK MODE UID GID FROM
//
// It makes a file NAME of its input, or of the file FROM, and puts it in the
// place of PATH, or of what PATH leads to. Whether the input is complete shows by
// its SIZE, where that is not empty, or by the MARK that comes after it: when a
// connection breaks, the input just ends.
const putScript = owning + moving + `umask 077
tmp=
drop() { [ -z "$tmp" ] || rm -f "$tmp"; exit "$1"; }
trap 'drop 80' HUP INT TERM PIPE
mode=644 uid= gid=
if [ -n "$8" ]; then
  seek "$8"
  [ -f "$8" ] || exit 70
  [ -r "$8" ] || exit 73
fi
to=$1
if [ -e "$to" ] || [ -L "$to" ]; then
  if [ -L "$to" ]; then
    walk "$to"
    to=$at
  fi
  if [ -e "$to" ]; then
    [ -f "$to" ] || exit 72
    facts "$to"
  fi
fi
new=${to%/*}/$2
set -C
{ tmp=$new; if [ -n "$8" ]; then cat "$8"; else cat; fi; } >"$new" || {
  [ -z "$tmp" ] || drop 80
  room "$new"
  exit 80
}
if [ -z "$8" ]; then
  n=$(wc -c <"$tmp") || drop 80
  n=$((n))
  if [ -n "$3" ]; then
    [ "$n" = "$3" ] || drop 77
  else
    [ "$(tail -c "${#4}" "$tmp")" = "$4" ] || drop 77
    dd if=/dev/null of="$tmp" bs=1 seek="$((n-${#4}))" 2>/dev/null || drop 80
  fi
fi
own "$tmp" "${6:-$uid}" "${7:-$gid}" && chmod "0${5:-$mode}" "$tmp" || drop 80
sync "$tmp" 2>/dev/null
into "$tmp" "$to" || drop 80
exit 0`
