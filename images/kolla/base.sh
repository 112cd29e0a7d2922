#!/bin/sh
# Runs inside a container of the bare Debian and gives it what builds on top of it need: a mirror, and whom to trust.
# /mnt holds apt's settings and the machine's own authorities.
set -eu

export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/mnt/apt.conf
# Nothing may start while it is being installed.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
cat >/etc/dpkg/dpkg.cfg.d/berth <<'EOF'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
EOF

apt-get update
apt-get install -y --no-install-recommends ca-certificates
find /mnt/authorities -name "*.crt" -exec cp {} /usr/local/share/ca-certificates/ \;
update-ca-certificates

# Builds on top have no mounts. Proxies and logins stay out: whoever has the image would read them.
mkdir -p /etc/apt/keyrings
[ ! -e /mnt/keyring.gpg ] || cp /mnt/keyring.gpg /etc/apt/keyrings/mirror.gpg
sed 's,/mnt/keyring.gpg,/etc/apt/keyrings/mirror.gpg,' /mnt/sources.list >/etc/apt/sources.list
grep -E '^Acquire::[A-Z]|^APT::' /mnt/apt.conf >/etc/apt/apt.conf.d/80build

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
	/var/log/alternatives.log /var/log/bootstrap.log /usr/share/man/* /usr/share/locale/* /usr/share/info/*
find /usr/share/doc -type f ! -name copyright -delete
