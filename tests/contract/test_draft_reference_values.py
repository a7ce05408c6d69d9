"""Enclaves that a draft takes in from signed reference values (spec/contract §7.3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealtune.attestation.evidence import EvidenceKind
from sealtune.contract.contract import canonical_contract
from sealtune.contract.draft import draft_contract_text
from sealtune.contract.reference_values import (
    ReferenceEntry,
    ReferenceValues,
    sign_reference_values,
)
from sealtune.contract.schema import Contract
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, SealtuneError
from sealtune.testing.agreement import BROKERS, PARTIES, Agreement

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "contract.md"
SNP = tuple(f"{n:096x}" for n in (1, 2))
RTMRS = {"rtmr1": (f"{3:096x}",), "rtmr2": (f"{4:096x}",)}
VALUES = ReferenceValues(
    image=sha256_digest(b"image.json"),
    entries={
        "sev-snp": ReferenceEntry(
            kind=EvidenceKind.SEV_SNP, measurements=SNP, registers={}, note=""
        ),
        "tdx": ReferenceEntry(kind=EvidenceKind.TDX, measurements=(), registers=RTMRS, note=""),
    },
)
REFERENCE = 'reference_values = "image.json"\nreference_values_key = "modelworks.pub"\n'
SNP_ENTRY = REFERENCE + 'entry = "sev-snp"\n'
TDX_ENTRY = REFERENCE + 'entry = "tdx"\ntcb_statuses = ["UpToDate"]\n'


@pytest.fixture
def folder(tmp_path: Path, agreement: Agreement) -> Path:
    for name in (*PARTIES, *BROKERS):
        (tmp_path / f"{name}.pub").write_text(agreement.identities[name].public.to_toml())
    key = agreement.identities["modelworks"].signing
    (tmp_path / "image.json").write_bytes(sign_reference_values(VALUES, key=key))
    return tmp_path


def draft(folder: Path, enclave: str, *, floor: bool = True) -> Contract:
    """Draft the specification's example with `enclave` in the place of kind and measurements."""
    (text,) = re.findall(r"```toml\n(.*?)```", SPEC.read_text(), re.DOTALL)
    for name in ("notes", "encoder"):
        digest = sha256_digest(name.encode())
        kind = "dataset" if name == "notes" else "model"
        text = text.replace(f'file = "{name}.sealed"', f'digest = "{digest}"\nkind = "{kind}"')
    text = re.sub(r'kind = "sev-snp"\nmeasurements = .*\n', lambda _match: enclave, text)
    if not floor:
        text = re.sub(r"vmpl = .*\n", "", text)
        text = re.sub(r"\[enclaves\.minimum_tcb\.genoa\]\n(?:.+\n)+", "", text)
    return draft_contract_text(text.encode(), folder=folder, what="job.toml")


def refused(folder: Path, enclave: str) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        draft(folder, enclave)
    assert caught.value.message.startswith("job.toml: enclaves[0]")
    return caught.value


def test_an_entry_is_written_out_as_if_it_stood_there(folder: Path) -> None:
    listed = ", ".join(f'"{value}"' for value in SNP)
    by_hand = draft(folder, f'kind = "sev-snp"\nmeasurements = [{listed}]\n')
    taken_in = draft(folder, SNP_ENTRY)
    assert taken_in == by_hand
    assert b"reference_values" not in canonical_contract(taken_in)


def test_registers_are_taken_in_and_what_an_entry_leaves_open_may_be_added(folder: Path) -> None:
    mrtd = f"{5:096x}"
    (enclave,) = draft(folder, TDX_ENTRY + f'measurements = ["{mrtd}"]\n', floor=False).enclaves
    assert (enclave.kind, enclave.measurements) == (EvidenceKind.TDX, (mrtd,))
    assert enclave.registers == RTMRS


def test_what_an_entry_leaves_open_and_nobody_adds_is_missing(folder: Path) -> None:
    with pytest.raises(SealtuneError) as caught:
        draft(folder, TDX_ENTRY, floor=False)
    assert caught.value.code is Code.CONTRACT_FIELD


@pytest.mark.parametrize(
    "field",
    [
        pytest.param('kind = "sev-snp"\n', id="kind"),
        pytest.param(f'measurements = ["{SNP[0]}"]\n', id="measurements"),
    ],
)
def test_what_an_entry_gives_is_given_once(folder: Path, field: str) -> None:
    error = refused(folder, SNP_ENTRY + field)
    assert error.code is Code.CONTRACT_FIELD
    assert "not both" in error.message


@pytest.mark.parametrize("name", ["reference_values", "reference_values_key", "entry"])
def test_file_signer_and_entry_come_together(folder: Path, name: str) -> None:
    error = refused(folder, re.sub(rf"{name} = .*\n", "", SNP_ENTRY))
    assert error.code is Code.CONTRACT_FIELD
    assert f"{name}: missing" in error.message


def test_another_signer_is_refused(folder: Path) -> None:
    error = refused(folder, SNP_ENTRY.replace("modelworks", "hospital"))
    assert error.code is Code.SIGNATURE_MISSING


def test_changed_values_are_refused(folder: Path, agreement: Agreement) -> None:
    key = agreement.identities["modelworks"].signing
    other = ReferenceValues(image=VALUES.image, entries={"sev-snp": VALUES.entries["sev-snp"]})
    payload = sign_reference_values(other, key=key).split(b'"payload":"')[1].split(b'"')[0]
    mine = sign_reference_values(VALUES, key=key).split(b'"payload":"')[1].split(b'"')[0]
    data = sign_reference_values(VALUES, key=key).replace(mine, payload)
    (folder / "image.json").write_bytes(data)
    assert refused(folder, SNP_ENTRY).code is Code.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param('"image.json"', '"missing.json"', Code.FILE_MISSING, id="no-file"),
        pytest.param('"image.json"', '"hospital.pub"', Code.JSON_MALFORMED, id="another-file"),
        pytest.param('"image.json"', "7", Code.CONTRACT_FIELD, id="no-file-name"),
        pytest.param('"modelworks.pub"', '"missing.pub"', Code.FILE_MISSING, id="no-key"),
        pytest.param(
            '"modelworks.pub"', '"image.json"', Code.PUBLIC_KEY_MALFORMED, id="another-key-file"
        ),
        pytest.param('"sev-snp"', '"sev-snp-7"', Code.CONTRACT_FIELD, id="no-such-entry"),
        pytest.param('"sev-snp"', "[1]", Code.CONTRACT_FIELD, id="entry-is-no-name"),
    ],
)
def test_errors_name_the_place(folder: Path, old: str, new: str, code: Code) -> None:
    assert refused(folder, SNP_ENTRY.replace(old, new)).code is code
