#!/bin/sh
# A stand-in for an app: it counts its restarts.
set -eu
case "${1:-}" in
restart) echo restarted >>/srv/app/restarts ;;
*) exit 2 ;;
esac
