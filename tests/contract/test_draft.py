"""From the TOML that people write to a contract (spec/contract §7, §9)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.writer import BundleWriter
from sealtune.contract.contract import canonical_contract, parse_contract
from sealtune.contract.draft import ADAPTER_BYTES_DEFAULT, draft_contract
from sealtune.contract.schema import MAX_RESUMES_DEFAULT, Contract
from sealtune.core.digest import Digest
from sealtune.core.limits import CONTRACT_BYTES_MAX
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, SealtuneError
from sealtune.testing.agreement import BROKERS, PARTIES, Agreement
from sealtune.training.recipe import Recipe

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "contract.md"


def seal(path: Path, agreement: Agreement, *, owner: str, kind: BundleKind) -> Digest:
    identity = agreement.identities[owner]
    with path.open("wb") as file:
        writer = BundleWriter(file, kind=kind, owner=identity.signing, key=ContentKey.generate())
        writer.add_entry("content", b"{}", media=Media.FILE)
        header = writer.finish(facts={}, recipients=[identity.public.recipient])
    return header.digest


@pytest.fixture
def folder(tmp_path: Path, agreement: Agreement) -> Path:
    for name in (*PARTIES, *BROKERS):
        (tmp_path / f"{name}.pub").write_text(agreement.identities[name].public.to_toml())
    seal(tmp_path / "notes.sealed", agreement, owner="hospital", kind=BundleKind.DATASET)
    seal(tmp_path / "encoder.sealed", agreement, owner="modelworks", kind=BundleKind.MODEL)
    (tmp_path / "job.toml").write_text(example())
    return tmp_path


def example() -> str:
    """The example of the specification, as it stands there."""
    (text,) = re.findall(r"```toml\n(.*?)```", SPEC.read_text(), re.DOTALL)
    return text


def draft(folder: Path, *changes: tuple[str, str]) -> Contract:
    text = example()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "job.toml").write_text(text)
    return draft_contract(folder / "job.toml")


def refused(folder: Path, *changes: tuple[str, str]) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        draft(folder, *changes)
    assert caught.value.message.startswith(str(folder / "job.toml"))
    return caught.value


def test_example_of_the_specification(folder: Path, agreement: Agreement) -> None:
    contract = draft(folder)
    assert parse_contract(canonical_contract(contract)) == contract
    notes, encoder = contract.inputs
    assert (notes.kind, notes.broker) == ("dataset", "hospital-broker")
    assert (encoder.kind, encoder.broker) == ("model", "modelworks-broker")
    hospital = agreement.identities["hospital"].public
    assert contract.parties["hospital"].signing == hospital.signing
    assert contract.parties["hospital"].recipient == hospital.recipient
    assert contract.validity.not_after == "2027-02-21T00:00:00Z"


def test_every_default_is_written_out(folder: Path) -> None:
    contract = draft(folder)
    assert contract.max_resumes == MAX_RESUMES_DEFAULT
    assert contract.outputs.kinds == ("adapter",)
    assert contract.outputs.max_bytes == ADAPTER_BYTES_DEFAULT
    assert contract.telemetry.allowed == ()
    assert not contract.insecure
    text = canonical_contract(contract).decode()
    for field in Recipe.__dataclass_fields__:
        assert f'"{field}":' in text
    assert "public_key_file" not in text
    assert ".sealed" not in text


def test_security_has_no_default(folder: Path) -> None:
    for line in (
        "max_runs = 2\n",
        "vmpl = [0]\n",
        "snp = 23\n",
        'recipients = ["clinic"]\n',
        "not_after = 2027-02-21T00:00:00Z\n",
        'method = "lora"\n',
        'roles = ["data_owner"]\n',
    ):
        assert refused(folder, (line, "")).code is Code.CONTRACT_FIELD


def test_size_of_a_full_model_has_no_default(folder: Path) -> None:
    error = refused(folder, ('method = "lora"', 'method = "full"'))
    assert "outputs.max_bytes: missing" in error.message
    size = ("[outputs]\n", "[outputs]\nmax_bytes = 1000\n")
    assert draft(folder, ('method = "lora"', 'method = "full"'), size).outputs.kinds == ("model",)


def test_pasted_public_identity(folder: Path, agreement: Agreement) -> None:
    pasted = agreement.identities["hospital"].public.to_toml()
    old = '[parties.hospital]\nroles = ["data_owner"]\npublic_key_file = "hospital.pub"\n'
    contract = draft(folder, (old, pasted + 'roles = ["data_owner"]\n'))
    assert contract == draft(folder)


def test_key_given_twice(folder: Path, agreement: Agreement) -> None:
    key = f'signing_key = "{agreement.identities["clinic"].public.signing.text}"\n'
    line = 'public_key_file = "hospital.pub"\n'
    error = refused(folder, (line, line + key))
    assert "parties.hospital.public_key_file: give the file or the keys" in error.message


def test_digest_given_twice(folder: Path) -> None:
    line = 'file = "notes.sealed"\n'
    error = refused(folder, (line, f'{line}digest = "sha256:{"0" * 64}"\n'))
    assert "inputs[0].file: give the file or the digest" in error.message


@pytest.mark.parametrize("line", ['public_key_file = "clinic.pub"', 'file = "notes.sealed"'])
@pytest.mark.parametrize("value", ["3", '""', '"a\\u0000b"', "[]"])
def test_file_name_that_is_none(folder: Path, line: str, value: str) -> None:
    field = line.split(" ", 1)[0]
    error = refused(folder, (line, f"{field} = {value}"))
    assert f".{field}: not a file name" in error.message


def test_missing_files_are_named_with_their_place(folder: Path) -> None:
    error = refused(folder, ("clinic.pub", "absent.pub"))
    assert error.code is Code.FILE_MISSING
    assert "parties.clinic.public_key_file: " in error.message
    error = refused(folder, ("notes.sealed", "absent.sealed"))
    assert error.code is Code.FILE_MISSING
    assert "inputs[0].file: " in error.message


def test_public_file_that_is_none(folder: Path) -> None:
    (folder / "clinic.pub").write_text("hello")
    assert refused(folder).code is Code.PUBLIC_KEY_MALFORMED


def test_bundle_of_another_kind_and_of_another_owner(folder: Path, agreement: Agreement) -> None:
    line = 'file = "notes.sealed"\n'
    error = refused(folder, (line, f'{line}kind = "model"\n'))
    assert error.code is Code.BUNDLE_KIND
    seal(folder / "notes.sealed", agreement, owner="hospital", kind=BundleKind.RESULT)
    assert refused(folder).code is Code.BUNDLE_KIND
    seal(folder / "notes.sealed", agreement, owner="datacentre", kind=BundleKind.DATASET)
    assert refused(folder).code is Code.BUNDLE_OWNER


def test_bundle_that_was_cut(folder: Path) -> None:
    path = folder / "notes.sealed"
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(folder).code is Code.BUNDLE_TRUNCATED


def test_two_brokers_leave_nothing_to_guess(folder: Path, agreement: Agreement) -> None:
    more = '[brokers.second]\nowner = "hospital"\npublic_key_file = "datacentre.pub"\n\n'
    error = refused(folder, ("[[inputs]]", more + "[[inputs]]"))
    assert "inputs[0].broker: missing" in error.message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('task = "text', 'learning_rte = 1e-4\ntask = "text', 'mean "learning_rate"'),
        ("max_runs = 2", "max_runs = 2\nmax_run = 3", 'mean "max_runs"'),
        ("vmpl = [0]", "vmpl = [0]\nmeasurement = []", 'mean "measurements"'),
    ],
)
def test_slips_are_named(folder: Path, old: str, new: str, words: str) -> None:
    error = refused(folder, (old, new))
    assert error.code is Code.CONTRACT_FIELD
    assert "unknown field" in error.message
    assert words in error.message


@pytest.mark.parametrize(
    "value",
    ["2026-11-23", "2026-11-23T00:00:00", "12:00:00", "2026-11-23T00:00:00.5Z", "3", "nan"],
)
def test_time_that_is_ambiguous(folder: Path, value: str) -> None:
    error = refused(folder, ("not_before = 2026-11-23T00:00:00Z", f"not_before = {value}"))
    assert error.code in (Code.CONTRACT_FIELD, Code.CONTRACT_MALFORMED)


def test_time_with_another_offset(folder: Path) -> None:
    contract = draft(folder, ("2026-11-23T00:00:00Z", "2026-11-23T01:00:00+01:00"))
    assert contract.validity.not_before == "2026-11-23T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "\ufeff\0",
        "a = [" + "[" * 5000,
        "parties = 3\nbrokers = []\ninputs = 5\noutputs = 1\nrecipe = 2",
        "inputs = [1, 2]",
        "[parties]\nclinic = 1",
        "[[parties]]\nname = 'x'",
        "max_runs = 9223372036854775807",
        "",
    ],
)
def test_text_that_is_no_contract(folder: Path, text: str) -> None:
    path = folder / "job.toml"
    path.write_text(text)
    with pytest.raises(SealtuneError) as caught:
        draft_contract(path)
    assert caught.value.code in (Code.CONTRACT_MALFORMED, Code.CONTRACT_FIELD)
    assert str(path) in caught.value.message


def test_bytes_that_are_no_text_or_too_many(folder: Path) -> None:
    path = folder / "job.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SealtuneError) as caught:
        draft_contract(path)
    assert caught.value.code is Code.CONTRACT_MALFORMED
    path.write_bytes(b"#" * (CONTRACT_BYTES_MAX + 1))
    with pytest.raises(SealtuneError) as caught:
        draft_contract(path)
    assert caught.value.code is Code.LIMIT_EXCEEDED
