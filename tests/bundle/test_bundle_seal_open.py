"""Sealing data and models, opening to a folder, rewrapping, inspecting."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sealtune.bundle.dataset import RecordFields, Task
from sealtune.bundle.format import BundleKind
from sealtune.bundle.open import inspect_bundle, open_to_folder, rewrap
from sealtune.bundle.reader import open_bundle_file, registration, verify_body
from sealtune.bundle.records import parse_shard
from sealtune.bundle.registration import parse_registration
from sealtune.bundle.seal import SealSummary, seal_data, seal_model
from sealtune.core.limits import MIB
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ConfigError, FormatError, StorageError, VerificationError
from sealtune.testing.bundle_parts import BundleParts, HostileOwner, flip

SealData = Callable[..., SealSummary]


@pytest.fixture
def seal(tmp_path: Path, owner: Identity, broker: Identity) -> SealData:
    """A function that seals text as a file of records."""

    def run(text: str, *, name: str = "d.jsonl", task: Any = None, **more: Any) -> SealSummary:
        source = tmp_path / name
        source.write_text(text)
        output = tmp_path / "d.bundle"
        return seal_data(source, output, owner=owner, recipients=[broker.public], task=task, **more)

    return run


def model_folder(folder: Path, values: tuple[float, ...] = (1.0, 2.0)) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "custom.py").write_text("import os")
    data = struct.pack(f"<{len(values)}f", *values)
    row = {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, len(data)]}
    header = json.dumps({"layer.weight": row}).encode()
    packed = struct.pack("<Q", len(header)) + header + data
    (folder / "model.safetensors").write_bytes(packed)
    return folder


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith((".part", ".bundle"))]


def test_records_are_sealed_with_their_facts(seal: SealData, broker: Identity) -> None:
    text = '{"label":"b","text":"one"}\n{"label":"a","text":"two"}\n'
    summary = seal(text, task="text-classification")
    assert (summary.records, summary.bytes, summary.entries) == (2, len(text), 1)
    assert summary.kind is BundleKind.DATASET
    with open_bundle_file(summary.path) as bundle:
        assert bundle.digest == summary.digest
        reader = bundle.unlock(bundle.unwrap(broker.recipient))
        assert reader.facts == {"labels": ["a", "b"], "records": 2, "task": "text-classification"}
        (entry,) = reader.entries
        assert (entry.name, entry.count) == ("shard-00000", 2)
        assert parse_shard(reader.read(entry), name=entry.name)[1] == {"label": "a", "text": "two"}


def test_csv_with_fields_of_other_names(seal: SealData, broker: Identity) -> None:
    fields = RecordFields(text="abstract", label="condition")
    summary = seal(
        "condition,abstract\n3,a\n1,b\n",
        name="d.csv",
        task=Task.TEXT_CLASSIFICATION,
        fields=fields,
        labels=["1", "2", "3"],
    )
    with open_bundle_file(summary.path) as bundle:
        facts = bundle.unlock(bundle.unwrap(broker.recipient)).facts
        assert facts["labels"] == ["1", "2", "3"]


def test_records_fill_several_shards(
    seal: SealData, broker: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealtune.bundle.seal.SHARD_BYTES", 1000)
    seen: list[tuple[int, int]] = []
    text = "".join(f'{{"text":"{"x" * 80} {i}"}}\n' for i in range(100))
    summary = seal(text, task="causal-lm", progress=lambda done, total: seen.append((done, total)))
    assert summary.entries > 5
    assert seen == sorted(seen)
    assert seen[-1] == (len(text), len(text))
    opened = open_to_folder(summary.path, tmp_path / "out", recipient=broker)
    assert (opened.records, opened.files) == (100, ("records.jsonl",))
    assert (tmp_path / "out" / "records.jsonl").read_text() == text


@pytest.mark.parametrize(
    ("text", "more", "code"),
    [
        ("", {}, Code.RECORDS_EMPTY),
        ("\n \n", {}, Code.RECORDS_EMPTY),
        ('{"text":"a"}\nno json\n', {}, Code.RECORD_MALFORMED),
        ('{"text":"a"}\n{"text":""}\n', {"task": "causal-lm"}, Code.RECORD_FIELD),
        (
            '{"text":"a","label":"x"}\n{"text":"a","label":"y"}\n',
            {"task": "text-classification", "labels": ["x"]},
            Code.LABEL_OUT_OF_RANGE,
        ),
    ],
)
def test_bad_records_are_refused_and_leave_nothing(
    text: str, more: dict[str, Any], code: Code, seal: SealData, tmp_path: Path
) -> None:
    with pytest.raises(FormatError) as caught:
        seal(text, **more)
    assert caught.value.code is code
    assert str(tmp_path / "d.jsonl") in caught.value.message
    assert code is Code.RECORDS_EMPTY or "d.jsonl:2: " in caught.value.message
    assert leftovers(tmp_path) == []


def test_a_csv_without_rows_is_empty(seal: SealData) -> None:
    with pytest.raises(FormatError) as caught:
        seal("a,b\n", name="d.csv")
    assert caught.value.code is Code.RECORDS_EMPTY


def test_a_model_is_sealed_and_opens_as_a_folder(
    tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    folder = model_folder(tmp_path / "m")
    seen: list[tuple[int, int]] = []
    summary = seal_model(
        folder,
        tmp_path / "m.bundle",
        owner=owner,
        recipients=[broker.public, owner.public],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert summary.notes == ("not sealed: custom.py (code never runs in the enclave)",)
    assert (summary.entries, summary.records, summary.bytes) == (2, 0, 8 + 22)
    assert seen[-1] == (8, 8)
    opened = open_to_folder(summary.path, tmp_path / "out", recipient=broker)
    assert opened.files == ("config.json", "model.safetensors")
    assert (opened.tensors, opened.digest, opened.owner) == (
        1,
        summary.digest,
        owner.signing.public,
    )
    again = seal_model(tmp_path / "out", tmp_path / "again.bundle", owner=owner, recipients=[])
    with open_bundle_file(again.path) as bundle:
        reader = bundle.unlock(bundle.unwrap(owner.recipient))
        assert reader.facts == {"tensors": 1}
        assert reader.read(reader.find("layer.weight")) == struct.pack("<2f", 1, 2)
    assert b"layer.weight" not in summary.path.read_bytes()


def test_opened_files_are_private(make_bundle: Callable[..., Path], broker: Identity) -> None:
    path = make_bundle()
    open_to_folder(path, path.parent / "out", recipient=broker)
    modes = {item.stat().st_mode & 0o777 for item in (path.parent / "out").iterdir()}
    assert modes == {0o600}
    assert (path.parent / "out").stat().st_mode & 0o777 == 0o700


def test_a_model_with_nan_is_refused_and_leaves_nothing(tmp_path: Path, owner: Identity) -> None:
    folder = model_folder(tmp_path / "m", (1.0, float("nan")))
    with pytest.raises(FormatError) as caught:
        seal_model(folder, tmp_path / "m.bundle", owner=owner, recipients=[])
    assert caught.value.code is Code.TENSOR_NOT_FINITE
    assert leftovers(tmp_path) == []


def test_a_model_streams_from_its_file(
    tmp_path: Path, owner: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bounded read reserves its bound, which would hide what is measured here.
    for module in ("model", "seal"):
        monkeypatch.setattr(f"sealtune.bundle.{module}.MODEL_FILE_BYTES_MAX", MIB)
    folder = model_folder(tmp_path / "m", (0.0,) * (12 * MIB))
    tracemalloc.start()
    try:
        seal_model(folder, tmp_path / "m.bundle", owner=owner, recipients=[])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_an_existing_target_is_never_replaced(
    tmp_path: Path, make_bundle: Callable[..., Path], owner: Identity, broker: Identity
) -> None:
    path = make_bundle(recipients=[owner, broker])
    before = path.read_bytes()
    source = tmp_path / "d.jsonl"
    source.write_text("{}\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for attempt in (
        lambda: seal_data(source, path, owner=owner, recipients=[], task=None),
        lambda: seal_model(tmp_path, path, owner=owner, recipients=[]),
        lambda: rewrap(path, path, owner=owner, recipients=[]),
        lambda: open_to_folder(path, tmp_path / "folder", recipient=broker),
        lambda: open_to_folder(path, tmp_path / "link", recipient=broker),
    ):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert caught.value.code is Code.FILE_EXISTS
    assert path.read_bytes() == before


def test_inspecting_shows_what_is_public(
    make_bundle: Callable[..., Path], owner: Identity, broker: Identity
) -> None:
    path = make_bundle(recipients=[owner, broker])
    info = inspect_bundle(path)
    parts = BundleParts.read(path)
    assert info.digest == verify_body(path).digest
    assert (info.kind, info.owner) == (BundleKind.RESULT, owner.signing.public)
    assert info.recipients == (owner.public.recipient.key_id, broker.public.recipient.key_id)
    assert (info.size, info.body_length) == (path.stat().st_size, len(parts.body))
    assert info.manifest_length == len(parts.manifest)
    assert info.bundle_id == parts.header["bundle_id"]


def test_rewrapping_changes_the_slots_alone(
    make_bundle: Callable[..., Path], owner: Identity, broker: Identity, stranger: Identity
) -> None:
    path = make_bundle(recipients=[owner, broker])
    output = path.with_name("rewrapped.bundle")
    header = rewrap(path, output, owner=owner, recipients=[stranger.public])
    old, new = BundleParts.read(path), BundleParts.read(output)
    assert (old.body, old.manifest, old.header_block) == (new.body, new.manifest, new.header_block)
    assert header.digest == inspect_bundle(path).digest == inspect_bundle(output).digest
    for identity in (owner, stranger):
        with open_bundle_file(output) as bundle:
            reader = bundle.unlock(bundle.unwrap(identity.recipient))
            assert reader.read(reader.entries[0]) == b"first file"
    with open_bundle_file(output) as bundle, pytest.raises(ConfigError) as caught:
        bundle.unwrap(broker.recipient)
    assert caught.value.code is Code.BUNDLE_NO_SLOT
    sealed = parse_registration(registration(output))
    assert sealed.unwrap(stranger.recipient)


def test_rewrapping_needs_the_owner_and_a_whole_body(
    make_bundle: Callable[..., Path], owner: Identity, broker: Identity
) -> None:
    path = make_bundle(recipients=[owner, broker])
    output = path.with_name("rewrapped.bundle")
    with pytest.raises(VerificationError) as caught:
        rewrap(path, output, owner=broker, recipients=[])
    assert caught.value.code is Code.BUNDLE_OWNER
    parts = BundleParts.read(path)
    parts.body = flip(parts.body, -1)
    with pytest.raises(VerificationError) as caught:
        rewrap(parts.write(path), output, owner=owner, recipients=[])
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    assert leftovers(path.parent) == [path.name]


def test_a_damaged_bundle_opens_to_nothing(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    path = make_bundle()
    parts = BundleParts.read(path)
    parts.body = flip(parts.body, -1)
    with pytest.raises(VerificationError):
        open_to_folder(parts.write(path), path.parent / "out", recipient=broker)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_signed_lie_about_the_body_opens_to_nothing(
    tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    hostile = HostileOwner(
        signing=owner.signing, key=ContentKey.generate(), recipients=(broker.public.recipient,)
    )
    rows = [{"length": 1, "media": "file", "name": "a"}]
    changes = {"body_digest": "blake3:" + "0" * 64}
    parts = hostile.bundle([b"a"], {"entries": rows, "facts": {}}, header_changes=changes)
    with pytest.raises(VerificationError) as caught:
        open_to_folder(parts.write(tmp_path / "x.bundle"), tmp_path / "out", recipient=broker)
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    assert not (tmp_path / "out").exists()


def test_a_file_named_as_what_we_make_is_refused(
    tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    hostile = HostileOwner(
        signing=owner.signing, key=ContentKey.generate(), recipients=(broker.public.recipient,)
    )
    tensor = {"length": 1, "media": "tensor", "name": "t", "dtype": "U8", "shape": []}
    file = {"length": 1, "media": "file", "name": "model.safetensors"}
    for number, rows in enumerate(([tensor, file], [file, tensor])):
        parts = hostile.bundle([b"a", b"b"], {"entries": rows, "facts": {}})
        path = parts.write(tmp_path / f"{number}.bundle")
        with pytest.raises(FormatError) as caught:
            open_to_folder(path, tmp_path / "out", recipient=broker)
        assert caught.value.code is Code.ENTRY_NAME_UNSAFE
        assert not (tmp_path / "out").exists()


def test_a_result_may_hold_a_whole_model_as_files(
    make_bundle: Callable[..., Path], broker: Identity
) -> None:
    files = {"model.safetensors": b"weights", "config.json": b"{}", "records.jsonl": b"{}\n"}
    path = make_bundle(files=files)
    opened = open_to_folder(path, path.parent / "out", recipient=broker)
    assert {name: (opened.folder / name).read_bytes() for name in opened.files} == files


def test_real_abstracts_survive_the_round_trip(
    shared_dir: Path, tmp_path: Path, owner: Identity, broker: Identity
) -> None:
    summary = seal_data(
        shared_dir / "data" / "medical-abstracts" / "abstracts.csv",
        tmp_path / "d.bundle",
        owner=owner,
        recipients=[broker.public],
        task=Task.TEXT_CLASSIFICATION,
        fields=RecordFields(text="medical_abstract", label="condition_label"),
    )
    assert summary.records == 2888
    opened = open_to_folder(summary.path, tmp_path / "out", recipient=broker)
    lines = (opened.folder / "records.jsonl").read_text().splitlines()
    assert {json.loads(line)["condition_label"] for line in lines} == set("12345")
