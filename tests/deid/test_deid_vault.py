"""The way back: for the owner with the key alone, and only where there is one."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sealtune.core.digest import Digest, sha256_file
from sealtune.deid import vault as vaults
from sealtune.deid.config import PROFILES, Action, FieldRule, Role
from sealtune.deid.entities import EntityType
from sealtune.deid.key import DeidKey
from sealtune.deid.reidentify import reidentify
from sealtune.deid.run import deidentify
from sealtune.deid.transforms.replaced import Change
from sealtune.deid.vault import Entries, merge_parts, open_vault, seal_part, write_vault
from sealtune.errors import Code, ConfigError, FormatError, StorageError, VerificationError

_KEY, _OTHER = DeidKey(b"k" * 32), DeidKey(b"o" * 32)
_DIGEST = Digest("sha256:" + "0" * 64)
_CONFIGURATION = PROFILES["gdpr-pseudonymous"].model_copy(
    update={"fields": {"patient": FieldRule(role=Role.SUBJECT)}}
)


def _entries(*pairs: tuple[str, str]) -> Entries:
    entries = Entries()
    for surrogate, original in pairs:
        entries.add(surrogate, original)
    return entries


_PAIRS = (
    ("Luke Haley", "John Smith"),
    ("Haley", "Smith"),
    ("(705) 555-0189", "(617) 867-5309"),
    ("93948012", "84713059"),
    ("Kerry Moss", "Jordan Lane"),
    ("Kerry Moss", "jordan lane"),
)


def _vault(folder: Path) -> Path:
    path = folder / "clean.vault"
    _write(path, _entries(*_PAIRS))
    return path


def _write(path: Path, entries: Entries, dataset: Digest = _DIGEST) -> None:
    write_vault(path, entries, key=_KEY, dataset=dataset, configuration=_CONFIGURATION)


def _change(original: str, replacement: str, action: Action) -> Change:
    return Change(0, 1, 0, 1, original, replacement, EntityType.PERSON, action)


def test_a_vault_opens_with_its_key_alone(tmp_path: Path) -> None:
    path = _vault(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    opened = open_vault(path, key=_KEY)
    assert opened.entries.originals["Haley"] == ["Smith"]
    assert opened.configuration == _CONFIGURATION
    assert "Smith" not in repr(opened)
    with pytest.raises(VerificationError) as caught:
        open_vault(path, key=_OTHER)
    assert caught.value.code is Code.STREAM_FORGED
    for name in (b"Smith", b"Haley", b"8471"):
        assert name not in path.read_bytes()


def test_claiming_another_key_or_dataset_does_not_help(tmp_path: Path) -> None:
    # Story: somebody puts his own key's id, or another dataset's digest, into the first line.
    path = _vault(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(_KEY.id.encode(), _OTHER.id.encode()))
    with pytest.raises(VerificationError):
        open_vault(path, key=_OTHER)
    path.write_bytes(whole.replace(b"sha256:0", b"sha256:1"))
    with pytest.raises(VerificationError):
        open_vault(path, key=_KEY)


@pytest.mark.parametrize("at", [-1, -20, 200])
def test_a_changed_vault_does_not_open(tmp_path: Path, at: int) -> None:
    path = _vault(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationError):
        open_vault(path, key=_KEY)


@pytest.mark.parametrize("data", [b"", b"{}\n", b'{"format":1}\nx', b"x" * 9000 + b"\n"])
def test_another_file_is_no_vault(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "clean.vault"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        open_vault(path, key=_KEY)
    assert caught.value.code is Code.DEID_VAULT_MALFORMED


def test_only_what_leads_back_is_noted() -> None:
    entries = Entries()
    entries.see(
        [
            _change("Ann Lee", "Eve Fox", Action.SURROGATE),
            _change("Ann", "[PERSON]", Action.REDACT),
            _change("1985-03-14", "1985", Action.GENERALIZE),
            _change("Bob", "Bob", Action.KEEP),
            _change("not understood", "[DATE]", Action.SHIFT),
            _change("A.", "K.", Action.SURROGATE),
        ]
    )
    assert entries.originals == {"Eve Fox": ["Ann Lee"]}


def test_parts_are_merged_in_their_order_alone() -> None:
    parts = [seal_part(_entries(pair), key=_KEY, index=at) for at, pair in enumerate(_PAIRS)]
    merged = merge_parts(parts, key=_KEY)
    assert merged.originals == _entries(*_PAIRS).originals
    with pytest.raises(VerificationError):
        merge_parts(parts[::-1], key=_KEY)
    with pytest.raises(VerificationError):
        merge_parts(parts, key=_OTHER)


def test_a_vault_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "VAULT_ENTRIES_MAX", 3)
    with pytest.raises(FormatError) as caught:
        _entries(*((f"surrogate {number}", "original") for number in range(5)))
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_originals_return_to_json_lines(tmp_path: Path) -> None:
    source, output = tmp_path / "clean.jsonl", tmp_path / "again.jsonl"
    records = [
        {"text": "Luke Haley (Haley's) called (705) 555-0189.", "mrn": 93948012, "n": [-5, 1.5]},
        {"text": "Kerry Moss met Haleyson and Luke.", "deep": {"Haley": "Haley"}, "none": None},
    ]
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    path = _vault(tmp_path)
    done = reidentify(source, output, vault=path, key=_KEY)
    assert [json.loads(line) for line in output.read_text().splitlines()] == [
        {"text": "John Smith (Smith's) called (617) 867-5309.", "mrn": 84713059, "n": [-5, 1.5]},
        {"text": "Kerry Moss met Haleyson and Luke.", "deep": {"Smith": "Smith"}, "none": None},
    ]
    assert (done.records, done.ambiguous, done.replaced) == (2, 1, 6)
    assert not done.same_output
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    _write(path, _entries(*_PAIRS), sha256_file(source))
    again = reidentify(source, tmp_path / "third.jsonl", vault=path, key=_KEY)
    assert again.same_output


def test_originals_return_to_tables_and_text(tmp_path: Path) -> None:
    table, text = tmp_path / "clean.csv", tmp_path / "clean.txt"
    table.write_text('name,note\r\nLuke Haley,"two\nlines, Haley"\r\n', newline="")
    text.write_text("Haley\n\nno newline: Luke Haley")
    path = _vault(tmp_path)
    reidentify(table, tmp_path / "again.csv", vault=path, key=_KEY)
    reidentify(text, tmp_path / "again.txt", vault=path, key=_KEY)
    again = (tmp_path / "again.csv").read_bytes()
    assert again == b'name,note\r\nJohn Smith,"two\nlines, Smith"\r\n'
    assert (tmp_path / "again.txt").read_text() == "Smith\n\nno newline: John Smith"


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_dates_that_several_subjects_share_return_by_their_subject(
    tmp_path: Path, suffix: str
) -> None:
    # Four hundred subjects and ten days: every moved date stands for several.
    records = [
        {"patient": f"MRN-{number:05}", "text": f"Seen on 2024-03-{number % 10 + 1:02} by us."}
        for number in range(400)
    ]
    source, clean, again = (tmp_path / f"{name}.{suffix}" for name in ("in", "clean", "again"))
    _write_records(source, records)
    deidentify(source, clean, configuration=_CONFIGURATION, key=_KEY)
    assert clean.read_text() != source.read_text()
    vault = tmp_path / f"clean.{suffix}.vault"
    shared = open_vault(vault, key=_KEY).entries.originals
    assert any(len(known) > 1 for moved, known in shared.items() if moved.startswith("202"))
    done = reidentify(clean, again, vault=vault, key=_KEY)
    assert again.read_text().split() == source.read_text().split()
    assert done.ambiguous == 0
    # Without their subject they stay, and are counted.
    alone, kept = tmp_path / "alone.txt", tmp_path / "kept.txt"
    alone.write_text(clean.read_text())
    assert reidentify(alone, kept, vault=vault, key=_KEY).ambiguous > 0


def test_a_code_that_looks_like_a_date_is_not_moved(tmp_path: Path) -> None:
    vault, source = tmp_path / "clean.vault", tmp_path / "clean.jsonl"
    pairs = (("MRN-1", "MRN-00001"), ("20240311", "84713059"), ("20240311", "84713060"))
    _write(vault, _entries(*pairs))
    source.write_text('{"patient": "MRN-1", "text": "account 20240311"}\n')
    done = reidentify(source, tmp_path / "again.jsonl", vault=vault, key=_KEY)
    again = json.loads((tmp_path / "again.jsonl").read_text())
    assert again == {"patient": "MRN-00001", "text": "account 20240311"}
    assert done.ambiguous == 1


def _write_records(path: Path, records: list[dict[str, str]]) -> None:
    if path.suffix == ".csv":
        rows = ["patient,text", *(f"{one['patient']},{one['text']}" for one in records)]
        path.write_text("".join(row + "\r\n" for row in rows), newline="")
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_without_a_vault_there_is_no_way_back(tmp_path: Path) -> None:
    source, output = tmp_path / "clean.txt", tmp_path / "again.txt"
    source.write_text("Haley")
    with pytest.raises(ConfigError) as caught:
        reidentify(source, output, vault=tmp_path / "none.vault", key=_KEY)
    assert caught.value.code is Code.DEID_IRREVERSIBLE
    with pytest.raises(VerificationError):
        reidentify(source, output, vault=_vault(tmp_path), key=_OTHER)
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "data"), [("a.txt", b"Haley\xff\n"), ("a.jsonl", b"{]\n"), ("a.csv", b"\xff,\n")]
)
def test_a_bad_line_leaves_no_output(tmp_path: Path, name: str, data: bytes) -> None:
    source, output = tmp_path / name, tmp_path / "again"
    source.write_bytes(data)
    with pytest.raises(FormatError):
        reidentify(source, output, vault=_vault(tmp_path), key=_KEY)
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([name, "clean.vault"])


def test_an_output_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("Haley")
    with pytest.raises(StorageError) as caught:
        reidentify(source, source, vault=_vault(tmp_path), key=_KEY)
    assert caught.value.code is Code.FILE_EXISTS
