#!/bin/sh
# build.sh TAG ARCHIVE COMMAND…: the command writes the archive of a root file system, and docker gets it as an image.
# Called under a lock: whoever comes second finds the image there.
set -eu
umask 022
tag=$1 archive=$2
shift 2
docker image inspect "$tag" >/dev/null 2>&1 && exit 0
trap 'rm -f "$archive"' EXIT
"$@"
docker import --change 'CMD ["/etc/board/init.sh"]' "$archive" "$tag"
