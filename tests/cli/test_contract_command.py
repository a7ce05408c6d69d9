"""`sealtune contract`: the how-to's contract, and everything that can be wrong with it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.howto import LABELS, contract_toml
from cli.said import Said, Sealtune
from sealtune.bundle.safetensors import safetensors_header

SIGNERS = ("hospital", "modelworks", "clinic")


@pytest.fixture
def desk(tmp_path: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the how-to's contract names; the test stands in it."""
    monkeypatch.chdir(tmp_path)
    for name in (*SIGNERS, "hospital-broker", "modelworks-broker", "stranger"):
        sealtune_("key", "create", name)
    Path("notes.jsonl").write_text(f'{{"text": "a", "label": "{LABELS[0]}"}}\n')
    Path("encoder").mkdir()
    tensors = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    Path("encoder/model.safetensors").write_bytes(safetensors_header(tensors) + bytes(4))
    Path("encoder/config.json").write_text("{}")
    for kind, path, owner in (("data", "notes", "hospital"), ("model", "encoder", "modelworks")):
        source = f"{path}.jsonl" if kind == "data" else path
        to = ("--owner", f"{owner}.key", "--to", f"{owner}-broker.pub")
        assert sealtune_("seal", kind, source, "-o", f"{path}.sealed", *to).status == 0
    write_toml()
    return tmp_path


def write_toml(*, since: int = -1, until: int = 30) -> Path:
    """Write contract.toml, valid from `since` to `until` days from now."""
    now = datetime.now(UTC).replace(microsecond=0)
    values = {
        "MEASUREMENT": "ab" * 48,
        "ROOT": "sha256:" + "cd" * 32,
        "TODAY": (now + timedelta(days=since)).isoformat(),
        "NEXT_MONTH": (now + timedelta(days=until)).isoformat(),
    }
    text = re.sub("|".join(values), lambda found: values[found[0]], contract_toml())
    path = Path("contract.toml")
    path.write_text(text)
    return path


def draft(sealtune_: Sealtune) -> Said:
    return sealtune_("contract", "draft", "contract.toml", "-o", "contract.json", "--json")


def sign(sealtune_: Sealtune, name: str) -> Said:
    return sealtune_("contract", "sign", "contract.json", "--key", f"{name}.key", "--json")


def test_from_draft_to_verified(desk: Path, sealtune_: Sealtune) -> None:
    drafted = draft(sealtune_).json
    assert (drafted["insecure"], drafted["signed_by"]) == (True, [])
    assert set(drafted["missing"]) == set(SIGNERS)
    for name in SIGNERS:
        last = sealtune_("contract", "verify", "contract.json", "--json")
        assert (last.status, last.error["code"]) == (5, "contract-unsigned")
        assert name in last.error["message"]
        assert sign(sealtune_, name).json["digest"] == drafted["digest"]
    verified = sealtune_("contract", "verify", "contract.json", "--json").json
    assert verified["digest"] == drafted["digest"]
    assert verified["signed_by"] == sorted(SIGNERS)


def test_a_simulated_enclave_is_called_insecure_everywhere(desk: Path, sealtune_: Sealtune) -> None:
    draft(sealtune_)
    for arguments in (
        ("draft", "contract.toml", "-o", "contract.json"),
        ("show", "contract.json"),
        ("sign", "contract.json", "--key", "hospital.key"),
        ("diff", "contract.json", "contract.toml"),
    ):
        said = sealtune_("contract", *arguments)
        assert "INSECURE" in said.out.splitlines()[0], arguments
        json_form = sealtune_("contract", *arguments, "--json").json
        assert json_form["insecure"] is True


def test_show_has_all_fingerprints(desk: Path, sealtune_: Sealtune) -> None:
    draft(sealtune_)
    shown = " ".join(sealtune_("contract", "show", "contract.json").out.split())
    for name in SIGNERS:
        fingerprint = sealtune_("key", "show", f"{name}.pub", "--json").json["fingerprint"]
        assert fingerprint in shown


def test_diff_says_what_is_newly_permitted(desk: Path, sealtune_: Sealtune) -> None:
    draft(sealtune_)
    path = Path("contract.toml")
    path.write_text(path.read_text().replace("max_runs = 2", "max_runs = 3"))
    found = sealtune_("contract", "diff", "contract.json", "contract.toml", "--json").json
    assert found["permits_more"] is True
    assert [change["path"] for change in found["changes"]] == ["max_runs"]
    same = sealtune_("contract", "diff", "contract.json", "contract.json", "--json").json
    assert (same["changes"], same["permits_more"]) == ([], False)


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("max_runs = 2", "max_runs = ", "contract-malformed", "line 3"),
        ("max_runs = 2", "max_rums = 2", "contract-field", "max_runs"),
        ("max_runs = 2", "max_runs = 0", "contract-field", "max_runs"),
        ('file = "notes.sealed"', 'file = "encoder.sealed"', "bundle-owner", "inputs[0]"),
        ('file = "notes.sealed"', 'file = "gone.sealed"', "file-missing", "gone.sealed"),
        ('file = "notes.sealed"', 'file = "notes.jsonl"', "bundle-malformed", "inputs[0]"),
        ('"hospital.pub"', '"notes.jsonl"', "public-key-malformed", "parties.hospital"),
        ("insecure_accept_simulated = true\n", "", "contract-field", "enclaves[0]"),
    ],
)
def test_a_bad_draft_names_the_place(
    desk: Path, sealtune_: Sealtune, old: str, new: str, code: str, place: str
) -> None:
    path = Path("contract.toml")
    path.write_text(path.read_text().replace(old, new))
    said = draft(sealtune_)
    assert said.error["code"] == code
    assert "contract.toml" in said.error["message"]
    assert place in said.error["message"]
    assert not Path("contract.json").exists()


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [(-9, -1, "contract-expired"), (1, 9, "contract-not-yet-valid")],
)
def test_time(desk: Path, sealtune_: Sealtune, since: int, until: int, code: str) -> None:
    write_toml(since=since, until=until)
    draft(sealtune_)
    for name in SIGNERS:
        sign(sealtune_, name)
    said = sealtune_("contract", "verify", "contract.json", "--json")
    assert (said.status, said.error["code"]) == (5, code)


def test_who_is_not_named_cannot_sign(desk: Path, sealtune_: Sealtune) -> None:
    draft(sealtune_)
    before = Path("contract.json").read_bytes()
    said = sign(sealtune_, "stranger")
    assert (said.status, said.error["code"]) == (5, "contract-wrong-signer")
    assert Path("contract.json").read_bytes() == before


def test_a_changed_byte_is_refused(desk: Path, sealtune_: Sealtune) -> None:
    draft(sealtune_)
    for name in SIGNERS:
        sign(sealtune_, name)
    path = Path("contract.json")
    text = path.read_text()
    signature = text.index('"sig":"') + 10
    swapped = "B" if text[signature] == "A" else "A"
    path.write_text(text[:signature] + swapped + text[signature + 1 :])
    for verb in (("verify", "contract.json"), ("sign", "contract.json", "--key", "clinic.key")):
        said = sealtune_("contract", *verb, "--json")
        assert (said.status, said.error["code"]) == (5, "signature-invalid")


def test_a_toml_file_is_not_signed(desk: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("contract", "sign", "contract.toml", "--key", "clinic.key", "--json")
    assert said.error["code"] == "contract-malformed"
    assert "contract draft" in said.error["remedy"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "json-malformed"),
        ("[]", "contract-malformed"),
        ('{"format":"sealtune-receipt/1"}', "contract-malformed"),
        ('{"purpose":"x"}', "contract-field"),
        ('{"payloadType":1}', "envelope-malformed"),
    ],
)
def test_what_is_no_contract(desk: Path, sealtune_: Sealtune, content: str, code: str) -> None:
    Path("x.json").write_text(content)
    said = sealtune_("contract", "show", "x.json", "--json")
    assert said.error["family"] == "format"
    assert "x.json" in said.error["message"]
    assert said.error["code"] == code
