#!/bin/sh
# Installs what the Attesters' tests use beside Python (Debian, Ubuntu): a TPM in software, the
# tools that speak to it, and FUSE for a configfs that behaves like the kernel's. Needs root; the
# tests that miss one of them skip and say so.
set -eu
apt-get update
apt-get install --yes --no-install-recommends swtpm swtpm-tools tpm2-tools fuse3
