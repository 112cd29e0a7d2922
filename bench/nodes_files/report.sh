#!/bin/sh
# One line about a light host: its name, the managed files' digests, modes and owners, whether package and service are there.
files='/etc/docker/daemon.json /etc/docker/certs.d/registry.bench.test:4000/ca.crt
/etc/systemd/system/docker.service.d/berth-bench.conf /etc/bench/hosts'
package=absent
dpkg-query -W -f '${Status}\n' ca-certificates | grep -qx 'install ok installed' && package=present
service=stopped
/etc/init.d/berth-bench status && service=running
# shellcheck disable=SC2046,SC2086  # words are meant to be split: no path or digest holds a blank
echo $(hostname) $(sha256sum $files | cut -d ' ' -f 1) $(stat -c %a:%U:%G $files) $package $service
