"""Programs that launch, simulate or question a TEE, and the versions that they tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sealtune.tee.doctor.finding import Finding, Found, Group
from sealtune.tee.doctor.machine import Access, Machine

_VERSION: Final = re.compile(r"(?<![\w.])(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?", re.ASCII)
_TEXT_MAX: Final = 2_000
_INSTALL: Final = {
    "gramine": "it has its own package repository, see https://gramine.readthedocs.io",
    "swtpm": "the package swtpm (a virtual TPM for guests)",
    "tpm2-tools": "the package tpm2-tools",
}


@dataclass(frozen=True, slots=True)
class Version:
    """A version as a program told it: to compare, and as it stood there."""

    numbers: tuple[int, int, int]
    text: str


def find_version(text: str) -> Version | None:
    """Return the first thing in `text` that looks like a version."""
    match = _VERSION.search(text[:_TEXT_MAX])
    if match is None:
        return None
    return Version((int(match[1]), int(match[2]), int(match[3] or 0)), match[0])


def first_present(machine: Machine, paths: tuple[str, ...]) -> str:
    """Return the first of `paths` that is there, or an empty text."""
    return next((path for path in paths if machine.present(path) is Access.OK), "")


def qemu_version(machine: Machine) -> Version | None:
    """Return QEMU's version, under either of the names that distributions give it."""
    for command in ("qemu-system-x86_64 --version", "qemu-kvm --version"):
        told = machine.run(command)
        if told.status == 0:
            return find_version(told.output)
    return None


def probe_tools(machine: Machine, qemu: Version | None) -> tuple[Finding, ...]:
    """Return the findings of the group `tools`."""
    found = Found(Group.TOOLS)
    return (
        _qemu(found, qemu),
        _ovmf(found, machine),
        _tool(found, machine, "gramine", "gramine-sgx --version"),
        _tool(found, machine, "swtpm", "swtpm --version"),
        _tool(found, machine, "tpm2-tools", "tpm2_getcap --version"),
    )


def _qemu(found: Found, qemu: Version | None) -> Finding:
    if qemu is None:
        return found.none("qemu", "not installed: only a host of virtual machines needs it")
    return found.ok("qemu", f"QEMU {qemu.text}")


def _ovmf(found: Found, machine: Machine) -> Finding:
    for command in ("dpkg-query -W ovmf ovmf-amdsev ovmf-inteltdx", "rpm -q edk2-ovmf"):
        # dpkg-query fails if one of the three is not there, and still lists the others.
        lines = machine.run(command).output.splitlines()
        packages = [" ".join(line.split()) for line in lines if _is_package(line)]
        if packages:
            return found.ok("ovmf", ", ".join(packages)[:200])
    return found.none("ovmf", "not installed: only a host of virtual machines needs it")


def _is_package(line: str) -> bool:
    words = line.split()
    deb = len(words) == 2 and words[0].startswith("ovmf")
    return deb or (len(words) == 1 and words[0].startswith("edk2-ovmf-"))


def _tool(found: Found, machine: Machine, name: str, command: str) -> Finding:
    told = machine.run(command)
    if told.status is None and told.why == "not installed":
        return found.none(name, f"not installed: {_INSTALL[name]}")
    version = find_version(told.output)
    if told.status != 0 or version is None:
        why = told.why or "its answer holds no version"
        return found.unknown(name, f"`{command}`: {why}")
    return found.ok(name, f"{name} {version.text}")
