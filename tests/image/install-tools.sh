#!/bin/sh
# Installs what building an image and its slow tests need on Debian 12; run it as root.
# squashfs-tools only looks into the finished image, e2fsprogs makes small disks to fill: a build
# brings its own tools. Booting what was built needs tests/tee/install-tools.sh as well.
set -eu
apt-get update
apt-get install --yes --no-install-recommends \
    apt dpkg debian-archive-keyring mmdebstrap squashfs-tools cpio e2fsprogs
