#!/bin/sh
# Runs in a container of the lab node's image, in which nothing is started. /mnt holds apt's settings.
set -eu

export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/mnt/apt.conf
apt-get update
apt-get install -y --no-install-recommends cloud-init ignition netplan.io
apt-get clean
rm -rf /var/lib/apt/lists/*
