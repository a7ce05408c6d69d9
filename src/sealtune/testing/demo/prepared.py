"""What the owners bring: notes and an encoder with canaries in them, sealed on their machines.

The hospital de-identifies its notes first, and seals them with the report on that.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealtune.bundle.dataset import Task
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.seal import seal_data, seal_model
from sealtune.deid.binding import bind_report_file
from sealtune.deid.config import PROFILES, Configuration, FieldRule, Role
from sealtune.deid.key import DeidKey, create_deid_key
from sealtune.deid.run import deidentify
from sealtune.testing.demo.encoder import copy_encoder
from sealtune.testing.demo.stage import BROKER_OF, Stage
from sealtune.testing.demo.terms import DemoSize
from sealtune.testing.notes import (
    LABELS,
    make_canary,
    make_notes,
    make_spoken_canary,
    with_identifiers,
    write_notes,
)

PROFILE = "hipaa-safe-harbor"
_NOTE_CANARIES = 5
_WINDOW_BYTES = 32
_WINDOW_VALUES_MIN = 16  # different byte values, so that no run of zeros is taken for a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Sealed inputs, and the byte strings that nobody but owners and enclave may see.

    `inputs` lie with their owners; `older_notes` is another sealed dataset of the hospital's;
    `reports` say how the notes of each were de-identified.
    """

    inputs: Mapping[str, Path]
    older_notes: Path
    reports: Mapping[str, Path]
    secrets: Mapping[str, bytes]


def prepare_inputs(stage: Stage, *, encoder: Path, size: DemoSize, seed: int) -> Prepared:
    """Make the notes, copy the model in `encoder`, and seal both.

    Raises:
        FormatError: the model cannot be used.
    """
    note_canaries = [make_spoken_canary() for _ in range(_NOTE_CANARIES)]
    key = create_deid_key(stage.home("hospital") / "hospital.deid-key")
    made = make_notes(size.records, seed=seed, canaries=note_canaries)
    notes = with_identifiers(made, seed=seed)
    sealed_notes, report = _seal_notes(stage, notes, name="notes", key=key)
    older = with_identifiers(make_notes(max(size.records // 10, 1), seed=seed + 1), seed=seed)
    sealed_older, older_report = _seal_notes(stage, older, name="older-notes", key=key)

    in_file, in_tensor = make_canary(), make_canary()
    folder = stage.home("modelvendor") / "encoder"
    weights = copy_encoder(encoder, folder, file_canary=in_file, tensor_canary=in_tensor)
    sealed_encoder = folder.with_suffix(".sealed")
    broker = stage.brokers[BROKER_OF["modelvendor"]]
    seal_model(folder, sealed_encoder, owner=stage.identities["modelvendor"], recipients=[broker])

    secrets = {
        f"canary {number} in the notes": c.encode() for number, c in enumerate(note_canaries)
    }
    secrets |= {
        "a whole note": notes[-1]["text"].encode(),
        "canary in the model's config.json": in_file.encode(),
        "canary in a tensor": in_tensor.encode(),
        "base weights": weights,
        "ContentKey of the notes": _content_key(stage, "hospital", sealed_notes),
        "ContentKey of the encoder": _content_key(stage, "modelvendor", sealed_encoder),
    }
    inputs = {"notes": sealed_notes, "encoder": sealed_encoder}
    return Prepared(
        inputs=inputs,
        older_notes=sealed_older,
        reports={"notes": report, "older-notes": older_report},
        secrets=secrets,
    )


def hand_over(stage: Stage, files: Mapping[str, Path]) -> dict[str, Path]:
    """Copy sealed files to the operator; return where they lie there."""
    folder = stage.operator / "inputs"
    folder.mkdir(exist_ok=True)
    handed = {}
    for name, path in files.items():
        handed[name] = folder / path.name
        shutil.copyfile(path, handed[name])
    return handed


def secrets_of_result(folder: Path) -> dict[str, bytes]:
    """Return byte strings out of the opened result's weights.

    Raises:
        ValueError: the weights are all alike.
    """
    content = (folder / "adapter_model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    quarter = (len(content) - start) // 4
    places = [start, start + quarter, start + 2 * quarter]
    return {
        f"result, window {number}": _window(content, place) for number, place in enumerate(places)
    }


def _window(content: bytes, start: int) -> bytes:
    for place in range(start, len(content) - _WINDOW_BYTES, _WINDOW_BYTES):
        window = content[place : place + _WINDOW_BYTES]
        if len(set(window)) >= _WINDOW_VALUES_MIN:
            return window
    raise ValueError("the result's weights are all alike")


def _seal_notes(
    stage: Stage, notes: list[dict[str, str]], *, name: str, key: DeidKey
) -> tuple[Path, Path]:
    home, owner = stage.home("hospital"), stage.identities["hospital"]
    raw, clean, sealed = (home / f"{name}{end}" for end in ("-raw.jsonl", ".jsonl", ".sealed"))
    write_notes(raw, notes)
    done = deidentify(raw, clean, configuration=_configuration(), key=key, owner=owner)
    if done.report is None:
        raise RuntimeError("an owner was given, so there is a report")
    seal_data(
        clean,
        sealed,
        owner=owner,
        recipients=[stage.brokers[BROKER_OF["hospital"]]],
        task=Task.TEXT_CLASSIFICATION,
        labels=LABELS,
        deidentification=bind_report_file(done.report, owner=owner.signing.public),
    )
    return sealed, done.report


def _configuration() -> Configuration:
    return PROFILES[PROFILE].model_copy(update={"fields": {"label": FieldRule(role=Role.SAFE)}})


def _content_key(stage: Stage, owner: str, bundle: Path) -> bytes:
    with open_bundle_file(bundle) as sealed:
        return sealed.unwrap(stage.identities[owner].recipient).reveal()
