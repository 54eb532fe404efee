#!/bin/sh
# The board's first process: makes the control groups writable, which docker mounts read-only, and becomes systemd.
# They are the container's own (a private cgroup namespace), so that no board sees another's units or its limits.
set -e
while read -r _ point kind _; do
  case $kind in
    cgroup | cgroup2) mount -o remount,bind,rw "$point" ;;
  esac
done </proc/self/mounts
exec /sbin/init "$@"
