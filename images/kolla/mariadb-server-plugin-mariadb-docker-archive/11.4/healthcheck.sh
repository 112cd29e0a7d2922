#!/bin/sh
# Stands in for the healthcheck of MariaDB's own container images, which are no package: takes the options that Kolla gives it.
# healthcheck.sh --defaults-file FILE --connect --galera_online
set -eu

file=
while [ $# -gt 0 ]; do
	case $1 in
	--defaults-file) file=$2 && shift ;;
	--defaults-file=*) file=${1#*=} ;;
	esac
	shift
done
mariadb ${file:+--defaults-file="$file"} --skip-column-names \
	--execute "SELECT 1 FROM information_schema.GLOBAL_STATUS
		WHERE VARIABLE_NAME = 'WSREP_LOCAL_STATE_COMMENT' AND VARIABLE_VALUE = 'Synced'" |
	grep -q 1
