# shellcheck shell=sh
dpkg-query -W -f '${Status}\n' ca-certificates | grep -qx 'install ok installed' || apt-get install -y ca-certificates
