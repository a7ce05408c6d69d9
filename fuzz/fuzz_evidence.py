"""Evidence that is almost honest: bytes of a fuzzer, read as a list of changes to mock evidence.

A parser behind a signature sees nothing that random bytes could reach, so a change is made before
the mock signs, after it, or to the endorsements.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial

from fuzz_world import NOW, Base, bases

from sealtune.attestation.endorsements import Endorsement, Endorsements
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.examine import Question, examine
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import authenticate_evidence
from sealtune.contract.presets import preset
from sealtune.errors import SealtuneError

_CHANGES_MAX = 16
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


class _Script:
    """Reads a fuzzer's bytes; there are zeros after their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def more(self) -> bool:
        return self._place < len(self._data)

    def number(self, size: int) -> int:
        return int.from_bytes(self.octets(size), "little")

    def octets(self, size: int) -> bytes:
        taken = self._data[self._place : self._place + size]
        self._place += size
        return taken.ljust(size, b"\0")


def verification(data: bytes) -> Callable[[], object]:
    """Return the verification of the evidence that `data` makes of honest evidence."""
    return partial(_authenticate, *_made(_Script(data)))


def examination(data: bytes) -> Callable[[], object]:
    """Return a look at such evidence as people take it; the last bit says whether by a policy."""
    policy = preset("cloud").accepted() if data[-1:] > b"\x7f" else None
    return partial(_examine, *_made(_Script(data)), policy)


def _made(script: _Script) -> tuple[Evidence, Base, Endorsements]:
    names = sorted(bases())
    base = bases()[names[script.number(1) % len(names)]]
    where = script.number(1) % 4
    evidence, endorsements = base.evidence, base.endorsements
    if where == 0:
        evidence = base.rebuild(_changed({"signed": base.signed}, script)["signed"])
    elif where == 1 and endorsements.items:
        endorsements = _endorsements(endorsements, script)
    if where >= 2 or script.more:
        evidence = _evidence(evidence, script)
    return evidence, base, endorsements


def _examine(
    evidence: Evidence,
    base: Base,
    endorsements: Endorsements,
    policy: tuple[AcceptedEnclave, ...] | None,
) -> None:
    found = examine(
        (evidence,),
        question=Question(accepted=policy, report_data=None, host_data=None),
        anchors=base.anchors,
        endorsements=endorsements,
        now=NOW,
    )
    # What is shown is JSON, whatever the evidence says.
    json.dumps(found.to_dict(), allow_nan=False)
    if found.refusal is not None:
        raise found.refusal


def _authenticate(evidence: Evidence, base: Base, endorsements: Endorsements) -> object:
    return authenticate_evidence(
        evidence, anchors=base.anchors, endorsements=endorsements, now=NOW, steps=Steps()
    )


def _endorsements(endorsements: Endorsements, script: _Script) -> Endorsements:
    pieces = {str(index): item.data for index, item in enumerate(endorsements.items)}
    changed = _changed(pieces, script)
    return Endorsements(
        items=tuple(
            Endorsement(type=endorsements.items[int(name)].type, data=data)
            for name, data in changed.items()
        )
    )


def _evidence(evidence: Evidence, script: _Script) -> Evidence:
    """Return `evidence` with changes anywhere in it, or as it is where it has no room for them."""
    certificates = {f"c{index}": item for index, item in enumerate(evidence.certificates)}
    pieces = _changed({"report": evidence.report, **evidence.parts, **certificates}, script)
    devices = evidence.devices
    if devices and script.more:
        place = script.number(1) % len(devices)
        device = _evidence(devices[place], script)
        devices = (*devices[:place], device, *devices[place + 1 :])
    try:
        return dataclasses.replace(
            evidence,
            report=pieces["report"],
            parts={name: pieces[name] for name in evidence.parts},
            certificates=tuple(pieces[name] for name in certificates),
            devices=devices,
        )
    except SealtuneError:  # larger than evidence may be
        return evidence


def _changed(pieces: Mapping[str, bytes], script: _Script) -> dict[str, bytes]:
    changed = dict(pieces)
    names = list(pieces)
    for _ in range(_CHANGES_MAX):
        if not script.more:
            break
        name = names[script.number(1) % len(names)]
        other = changed[names[script.number(1) % len(names)]]
        changed[name] = _change(changed[name], other, script)
    return changed


def _change(data: bytes, other: bytes, script: _Script) -> bytes:
    what, place, count = script.number(1) % 9, script.number(2), script.number(1)
    place %= len(data) + 1
    head, tail = data[:place], data[place:]
    if what == 0 and tail:
        return head + bytes((tail[0] ^ (count or 1),)) + tail[1:]
    if what == 1:
        return head + script.octets(count) + tail
    if what == 2:
        return head + tail[count:]
    if what == 3:
        return head + script.octets(count) + tail[count:]
    if what == 4:
        return head
    if what == 5:
        return head + other[: 64 * count] + tail
    size = 1 << what % 3
    number = _NUMBERS[count % len(_NUMBERS)] & ((1 << 8 * size) - 1)
    order = "little" if count & 0x80 else "big"
    return head + number.to_bytes(size, order) + tail[size:]  # type: ignore[arg-type]
