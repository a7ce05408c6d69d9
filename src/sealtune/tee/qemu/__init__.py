"""The host's side of a measured virtual machine: QEMU, its vTPM, its disks and its one channel.

Runs on the untrusted host, holds no secret, and is never part of an image.
"""
