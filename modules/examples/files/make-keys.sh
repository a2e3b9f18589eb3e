#!/bin/sh
# make-keys.sh DIRECTORY: make a random key in a directory, for root alone.
set -eu
umask 077
mkdir -p -- "$1"
head -c 32 /dev/urandom | base64 >"$1/signing.key.new"
mv -- "$1/signing.key.new" "$1/signing.key"
