"""A machine's tree on disk: what probes were told, so that they can be told it again elsewhere.

A tree holds the files that probes read, `machine.json` (who may use which device, what could not be
read, CPUID leaves) and `commands.json` (what the commands said). Whoever sends one sends no serial
numbers, addresses, UUIDs or user names: `scrub.py` takes them out before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sealtune.core.canonical import parse_json
from sealtune.core.files import read_bounded
from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError, StorageError
from sealtune.tee.doctor.machine import (
    COMMANDS,
    READ_BYTES_MAX,
    Access,
    CpuidLeaf,
    Machine,
    Node,
    Outcome,
    Reading,
    as_reading,
    failure,
    list_folder,
    printable,
    read_start,
)
from sealtune.tee.doctor.scrub import scrub_bytes, scrub_name, scrub_text

MACHINE_FILE: Final = "machine.json"
COMMANDS_FILE: Final = "commands.json"
_SIDECAR_BYTES_MAX: Final = 1 * MIB  # 20x what a host with 8 GPUs is recorded as
_OUTSIDE: Final = "leads out of the recorded tree"

Short = Annotated[str, Field(max_length=256)]
Word = Annotated[int, Field(ge=0, lt=2**32)]
Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Node(_Strict):
    mode: Annotated[str, Field(pattern=r"^[0-7]{4}$")]
    owner: Short
    group: Short
    usable: bool


class _Unreadable(_Strict):
    access: Literal["denied", "failed"]
    why: Short


class MachineFile(_Strict):
    """`machine.json`."""

    format: Literal["sealtune-machine/1"]
    root_user: bool
    nodes: dict[Short, _Node]
    unreadable: dict[Short, _Unreadable]
    bindings: bool | None
    cpuid: dict[
        Annotated[str, Field(pattern=r"^[0-9a-f]{8}\.[0-9]{1,4}$")], tuple[Word, Word, Word, Word]
    ]


class _Command(_Strict):
    status: int | None
    output: str
    why: Short


class CommandsFile(_Strict):
    """`commands.json`: a command line as probes name it, and how it ended."""

    commands: dict[Short, _Command]


@dataclass(frozen=True, slots=True)
class RecordedMachine:
    """A machine as it was when its tree was recorded."""

    folder: Path
    machine: MachineFile
    commands: CommandsFile

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the machine in `folder`.

        Raises:
            FormatError: its sidecar files are not as `sealtune doctor --record` writes them.
            StorageError: they are not there or cannot be read.
        """
        if not folder.is_dir():
            raise StorageError(Code.FILE_MISSING, f"{folder}: no such folder")
        return cls(
            folder.resolve(),
            _load(folder / MACHINE_FILE, MachineFile),
            _load(folder / COMMANDS_FILE, CommandsFile),
        )

    @property
    def root_user(self) -> bool:
        """See `Machine`."""
        return self.machine.root_user

    def read(self, path: str, *, limit: int = READ_BYTES_MAX) -> Reading:
        """See `Machine`."""
        access, data, why = self._bytes(path, limit + 1)
        return as_reading(access, data, why=why, limit=limit)

    def read_bytes(self, path: str, *, limit: int) -> tuple[Access, bytes]:
        """See `Machine`."""
        access, data, _ = self._bytes(path, limit)
        return access, data

    def present(self, path: str) -> Access:
        """See `Machine`."""
        if path in self.machine.nodes:
            return Access.OK
        if path in self.machine.unreadable:
            return Access(self.machine.unreadable[path].access)
        place = self._place(path)
        return Access.OK if place is not None and place.exists() else Access.ABSENT

    def children(self, path: str) -> tuple[str, ...]:
        """See `Machine`."""
        place = self._place(path)
        return () if place is None else list_folder(place)

    def node(self, path: str) -> Node:
        """See `Machine`."""
        node = self.machine.nodes.get(path)
        if node is None:
            access = self.present(path)
            return Node(access=Access.FAILED if access is Access.OK else access)
        return Node(
            access=Access.OK,
            mode=int(node.mode, 8),
            owner=printable(node.owner.encode()),
            group=printable(node.group.encode()),
            usable=node.usable,
        )

    def run(self, command: str) -> Outcome:
        """See `Machine`."""
        if command not in COMMANDS:
            raise ValueError("not one of the commands that probes may run")
        told = self.commands.commands.get(command)
        if told is None:
            return Outcome(status=None, why="not recorded")
        output, why = (printable(text.encode(errors="replace")) for text in (told.output, told.why))
        return Outcome(status=told.status, output=output, why=why)

    def cpuid(self, leaf: int, subleaf: int = 0) -> CpuidLeaf | None:
        """See `Machine`."""
        words = self.machine.cpuid.get(f"{leaf:08x}.{subleaf}")
        if words is None:
            return None
        return CpuidLeaf(eax=words[0], ebx=words[1], ecx=words[2], edx=words[3])

    def has_bindings(self) -> bool | None:
        """See `Machine`."""
        return self.machine.bindings

    def _bytes(self, path: str, limit: int) -> tuple[Access, bytes, str]:
        refused = self.machine.unreadable.get(path)
        if refused is not None:
            return Access(refused.access), b"", printable(refused.why.encode(errors="replace"))
        place = self._place(path)
        if place is None:
            return Access.FAILED, b"", _OUTSIDE
        try:
            return Access.OK, read_start(place, limit=limit), ""
        except OSError as error:
            return failure(error), b"", error.strerror or type(error).__name__

    def _place(self, path: str) -> Path | None:
        # A tree comes from somebody else: a link in it must not show this machine's files.
        try:
            place = (self.folder / path.lstrip("/")).resolve()
        except (OSError, RuntimeError):
            return None
        return place if place.is_relative_to(self.folder) else None


def _load(path: Path, model: type[Model]) -> Model:
    data = read_bounded(path, limit=_SIDECAR_BYTES_MAX, what="recorded machine")
    value = parse_json(data, limit=_SIDECAR_BYTES_MAX, what=str(path))
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part)[:40] for part in first["loc"]) or type(value).__name__
        raise FormatError(Code.JSON_MALFORMED, f"{path}: {place}: {first['msg']}") from None


@dataclass(frozen=True, slots=True)
class RecordingMachine:
    """Passes every question on to another machine and keeps the scrubbed answers."""

    inner: Machine
    files: dict[str, bytes] = field(default_factory=dict)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    nodes: dict[str, _Node] = field(default_factory=dict)
    unreadable: dict[str, _Unreadable] = field(default_factory=dict)
    commands: dict[str, _Command] = field(default_factory=dict)
    leaves: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    @property
    def root_user(self) -> bool:
        """See `Machine`."""
        return self.inner.root_user

    def read(self, path: str, *, limit: int = READ_BYTES_MAX) -> Reading:
        """See `Machine`."""
        reading = self.inner.read(path, limit=limit)
        if reading.access is Access.OK:
            self.files[path] = scrub_text(path, reading.text).encode()
        else:
            self._refused(path, reading.access, reading.why)
        return reading

    def read_bytes(self, path: str, *, limit: int) -> tuple[Access, bytes]:
        """See `Machine`."""
        access, data = self.inner.read_bytes(path, limit=limit)
        if access is Access.OK:
            self.files[path] = scrub_bytes(path, data)
        else:
            self._refused(path, access, "")
        return access, data

    def present(self, path: str) -> Access:
        """See `Machine`."""
        access = self.inner.present(path)
        if access is Access.OK:
            self.seen.add(path)
        else:
            self._refused(path, access, "")
        return access

    def children(self, path: str) -> tuple[str, ...]:
        """See `Machine`."""
        self.folders[path] = self.inner.children(path)
        return self.folders[path]

    def node(self, path: str) -> Node:
        """See `Machine`."""
        node = self.inner.node(path)
        if node.access is Access.OK:
            self.nodes[path] = _Node(
                mode=f"{node.mode:04o}",
                owner=scrub_name(node.owner),
                group=scrub_name(node.group),
                usable=node.usable,
            )
        else:
            self._refused(path, node.access, "")
        return node

    def run(self, command: str) -> Outcome:
        """See `Machine`."""
        told = self.inner.run(command)
        self.commands[command] = _Command(
            status=told.status, output=scrub_text("", told.output), why=told.why[:256]
        )
        return told

    def cpuid(self, leaf: int, subleaf: int = 0) -> CpuidLeaf | None:
        """See `Machine`."""
        found = self.inner.cpuid(leaf, subleaf)
        if found is not None:
            self.leaves[f"{leaf:08x}.{subleaf}"] = (found.eax, found.ebx, found.ecx, found.edx)
        return found

    def has_bindings(self) -> bool | None:
        """See `Machine`."""
        return self.inner.has_bindings()

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write what was answered to the new folder `folder`; return the files.

        Raises:
            StorageError: the folder exists already, or the disk refuses.
        """
        from sealtune.tee.doctor.tree import write_tree

        machine = MachineFile(
            format="sealtune-machine/1",
            root_user=self.root_user,
            nodes=self.nodes,
            unreadable=self.unreadable,
            bindings=self.has_bindings(),
            cpuid=self.leaves,
        )
        return write_tree(
            folder,
            files=self.files,
            folders=self.folders,
            seen=self.seen,
            sidecars={
                MACHINE_FILE: machine.model_dump_json(indent=1).encode(),
                COMMANDS_FILE: CommandsFile(commands=self.commands)
                .model_dump_json(indent=1)
                .encode(),
            },
        )

    def _refused(self, path: str, access: Access, why: str) -> None:
        if access is Access.DENIED:
            self.unreadable[path] = _Unreadable(access="denied", why=why[:256])
        elif access is Access.FAILED:
            self.unreadable[path] = _Unreadable(access="failed", why=why[:256])
