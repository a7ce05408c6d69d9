"""What one probe found out: a name, a state, a detail for people and, where needed, the fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sealtune.tee.doctor.machine import Access, Machine

_DETAIL_MAX = 300


class State(StrEnum):
    """What is the matter with what a probe looked at."""

    OK = "ok"
    DEGRADED = "degraded"  # works, with a disadvantage that the detail names
    MISSING = "missing"
    NOT_APPLICABLE = "not-applicable"
    UNKNOWN = "unknown"


class Group(StrEnum):
    """The parts of the report, in its order."""

    MACHINE = "machine"
    MEMORY = "memory"
    KERNEL = "kernel"
    SNP_GUEST = "sev-snp"
    SNP_HOST = "snp-host"
    TDX_GUEST = "tdx"
    TDX_HOST = "tdx-host"
    SGX = "sgx"
    TPM = "tpm"
    AZURE = "azure"
    GPU = "gpu"
    TOOLS = "tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `as_root`: root would be told more."""

    name: str
    group: Group
    state: State
    detail: str
    fix: str = ""
    as_root: bool = False


Findings = Mapping[str, Finding]


@dataclass(frozen=True, slots=True)
class Found:
    """Makes the findings of one group."""

    group: Group

    def ok(self, name: str, detail: str) -> Finding:
        """Return that all is well."""
        return self._make(name, State.OK, detail)

    def degraded(self, name: str, detail: str, fix: str) -> Finding:
        """Return that it works, but."""
        return self._make(name, State.DEGRADED, detail, fix)

    def missing(self, name: str, detail: str, fix: str) -> Finding:
        """Return that it is not there, or does not work, and what to do."""
        return self._make(name, State.MISSING, detail, fix)

    def none(self, name: str, detail: str) -> Finding:
        """Return that it has no place on this machine."""
        return self._make(name, State.NOT_APPLICABLE, detail)

    def unknown(self, name: str, detail: str, fix: str = "", *, as_root: bool = False) -> Finding:
        """Return that it cannot be told, and what would tell."""
        return self._make(name, State.UNKNOWN, detail, fix, as_root=as_root)

    def all_none(self, names: Iterable[str], detail: str) -> tuple[Finding, ...]:
        """Return that none of these has a place on this machine."""
        return tuple(self.none(name, detail) for name in names)

    def usable(self, machine: Machine, name: str, path: str, *, absent: str, fix: str) -> Finding:
        """Return whether this user may read and write the device at `path`.

        `absent` says how to make the device appear, `fix` how to be allowed to use it.
        """
        node = machine.node(path)
        if node.access is Access.ABSENT:
            return self.missing(name, f"{path} is not there", absent)
        if node.access is not Access.OK:
            return self.unknown(name, f"{path}: {node.access}", as_root=not machine.root_user)
        if not node.usable:
            return self.missing(name, f"{path} is {node.permissions}: not yours to use", fix)
        return self.ok(name, f"{path} ({node.permissions})")

    def _make(
        self, name: str, state: State, detail: str, fix: str = "", *, as_root: bool = False
    ) -> Finding:
        line = " ".join(detail.split())
        short = line if len(line) <= _DETAIL_MAX else line[: _DETAIL_MAX - 1] + "…"
        return Finding(
            name=name,
            group=self.group,
            state=state,
            detail=short,
            fix=" ".join(fix.split()),
            as_root=as_root,
        )
