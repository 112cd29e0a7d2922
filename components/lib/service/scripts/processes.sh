#!/bin/sh
# Bounds the processes of container $1 to $2, from now on and over restarts of container and daemon.
set -eu
docker update --pids-limit "$2" "$1" >/dev/null
