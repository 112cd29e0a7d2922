#!/bin/sh
# Runs inside a container of the base image: installs nginx and keepalived, then keeps only what they need to run, in
# /rootfs. /mnt holds apt's settings.
set -eu

export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/mnt/apt.conf
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/berth-build
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

apt-get update
apt-get install -y --no-install-recommends busybox curl dash iproute2 keepalived libnginx-mod-stream nginx

root=/rootfs
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/etc/ssl/certs" "$root/etc/keepalived" "$root/run" \
	"$root/var/lib/nginx" "$root/var/log/nginx" "$root/tmp" "$root/dev" "$root/proc" "$root/sys" "$root/root"
chmod 1777 "$root/tmp"
# The merged /usr of the base: /bin, /lib, ... are links.
for link in bin lib lib64 sbin; do
	[ -L "/$link" ] && cp -P "/$link" "$root/$link"
done

keep() { cp -a --parents "$@" "$root"; }
programs="/usr/sbin/nginx /usr/sbin/keepalived /usr/bin/curl /usr/bin/dash /usr/bin/busybox /usr/bin/ss"
for program in $programs; do
	keep "$program"
	ldd "$program" | awk '/=> \//{print $3} $1 ~ /^\/lib.*ld-linux/{print $1}' | while read -r library; do
		real=$(readlink -f "$library")
		mkdir -p "$root$(dirname "$(readlink -f "$(dirname "$library")")/x")"
		cp -a "$real" "$root$real"
		link=$(readlink -f "$(dirname "$library")")/$(basename "$library")
		[ "$link" = "$real" ] || cp -a "$link" "$root$link"
	done
done
ln -s dash "$root/usr/bin/sh"
for applet in cat chmod cp cut date env grep head hostname id ip kill ls mkdir mv nc pidof ping ps rm sed sleep sort \
	stat tail test touch tr true vi wget; do
	[ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
done
# The stream module is a file of its own in Debian; modules-enabled loads it.
keep /usr/lib/nginx/modules /usr/share/nginx/modules
keep /usr/share/nginx/modules-available /etc/nginx /etc/passwd /etc/group /etc/shadow /etc/nsswitch.conf /etc/os-release /usr/lib/os-release \
	/usr/share/zoneinfo/Etc/UTC
keep /etc/keepalived/keepalived.config-opts
keep /usr/share/doc/nginx/copyright /usr/share/doc/keepalived/copyright
chown www-data:adm "$root/var/log/nginx"
ln -s /dev/stdout "$root/var/log/nginx/access.log"
ln -s /dev/stderr "$root/var/log/nginx/error.log"
rm -rf "$root/etc/nginx/sites-enabled" "$root/etc/nginx/sites-available"
chroot "$root" /usr/sbin/nginx -v
chroot "$root" /usr/sbin/keepalived --version
chroot "$root" /usr/bin/curl --version
chroot "$root" /usr/bin/ss -V
dpkg-query -W -f '${Version}\n' nginx
