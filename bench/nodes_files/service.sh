# shellcheck shell=sh
/etc/init.d/berth-bench status || /etc/init.d/berth-bench start
