#!/bin/sh
# A stand-in for an app: it notes what was asked of it beside itself.
set -eu
home=$(cd "$(dirname "$0")" && pwd)
case "${1:-}" in
install) : >"$home/installed" ;;
restart) date -u +%Y-%m-%dT%H:%M:%SZ >>"$home/restarts" ;;
*)
	echo "usage: app.sh install | restart" >&2
	exit 2
	;;
esac
