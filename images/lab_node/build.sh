#!/bin/sh
# Runs inside a container of the base image and turns it into a lab node. /mnt holds apt's settings, /media this folder.
set -eu

export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/mnt/apt.conf
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/berth-build
# Nothing may start while it is being installed.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

# Dpkg never writes documentation that nobody reads in a container; copyright files stay.
cat >/etc/dpkg/dpkg.cfg.d/berth-slim <<'EOF'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
EOF

apt-get update
apt-get install -y --no-install-recommends \
	ca-certificates chrony curl dbus docker-cli docker.io etcd-client etcd-server iproute2 iptables iputils-ping kmod netbase \
	nftables openssh-server procps python3-dbus python3-docker sudo systemd systemd-sysv tzdata

cp -R /media/rootfs/. /
find /etc/berth /usr/local/libexec -type d -exec chmod 0755 {} +
find /etc/berth /usr/local/libexec/berth /etc/ssh/sshd_config.d /etc/systemd/system -type f -exec chmod 0644 {} +
chmod 0755 /usr/local/libexec/berth/*

# The program uploads the host key that it has pinned; a key from the image would be everybody's key.
rm -f /etc/ssh/ssh_host_*
systemctl mask -- \
	getty.target getty@.service console-getty.service serial-getty@.service systemd-logind.service \
	systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
	systemd-modules-load.service sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
	sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount systemd-remount-fs.service \
	systemd-firstboot.service systemd-machine-id-commit.service systemd-networkd.service systemd-resolved.service \
	systemd-timesyncd.service sshd-keygen.service ssh.socket sshd-unix-local.socket sshd-vsock.socket \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
	systemd-tmpfiles-clean.timer 2>&1
systemctl enable berth-lab-hosts.service berth-lab-mounts.service ssh.service docker.service chrony.service
systemctl set-default multi-user.target
# It runs on the nodes with that role, and never with the package's own settings.
systemctl disable etcd.service

# The clock is the host's: four daemons that set it would fight over it. They run, and answer, without touching it.
sed -i 's/^DAEMON_OPTS=.*/DAEMON_OPTS="-F 1 -x"/' /etc/default/chrony
grep -q -- '-x' /etc/default/chrony
# Nothing of the image needs systemd's first-boot work (linker cache, journal catalogue): half a second at each boot.
touch /etc/.updated /var/.updated

ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
echo Etc/UTC >/etc/timezone
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id

# Back to what a fresh Debian has: the build's mirror, keys and authorities were mounted and are gone with the container.
echo '# Name a mirror of Debian packages here to install more.' >/etc/apt/sources.list
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
	/var/log/alternatives.log /var/log/bootstrap.log /usr/share/man/* /usr/share/locale/* /usr/share/info/* \
	/usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d/berth-build
find /usr/share/doc -type f ! -name copyright -delete
find / -xdev -name __pycache__ -prune -exec rm -rf {} +
dpkg-query -W -f '${Version}\n' docker.io
