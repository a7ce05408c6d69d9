#!/bin/sh
# Installs what the tests of Attesters, launchers and machines use beside Python: QEMU 10 and UEFI
# firmware of 2025.02 (docs/spec/vm.md §1.6), a TPM in software and the tools that speak to it, FUSE
# for a configfs that behaves like the kernel's, a kernel to boot, and what watches and confines a
# worker. Debian 12 and newer, and what is made from them. Needs root. A test that misses one of
# them skips and says so; tests/image/install-tools.sh has what building an image needs.
set -eu
install() { apt-get install --yes --no-install-recommends "$@"; }

apt-get update
. /etc/os-release
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
    # Its own QEMU and firmware measure another kernel than the image's. From the same mirror, and
    # of the newer release nothing but what is named below.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Codename: bookworm' | sort -u | head -n 1)
    cat >/etc/apt/sources.list.d/sealtune-tests.sources <<SOURCES
Types: deb
URIs: $mirror
Suites: bookworm-backports trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    cat >/etc/apt/preferences.d/sealtune-tests <<PINS
Package: *
Pin: release n=trixie
Pin-Priority: 50
PINS
    apt-get update
    install --target-release bookworm-backports qemu-system-x86
    install ovmf/trixie
else
    install qemu-system-x86 ovmf
fi
install swtpm swtpm-tools tpm2-tools fuse3 util-linux busybox-static strace bubblewrap
# tests/tee/test_qemu_boot.py boots the newest kernel in /boot, or SEALTUNE_TEST_KERNEL.
case ${ID:-} in
ubuntu) install linux-image-virtual ;;
*) install linux-image-cloud-amd64 ;;
esac
