"""`sealtune image measure`, and `sealtune image reference-values`."""

from __future__ import annotations

from pathlib import Path

import pytest

from attestation.ovmf import Ovmf
from cli.said import Sealtune
from image.folders import write_image

SNP = ("--vcpu-type", "EPYC-Genoa", "--vcpus", "1,4")
MEASURE = ("image", "measure")


@pytest.fixture
def folder(keys: Path) -> Path:
    write_image(keys / "image")
    (keys / "ovmf").write_bytes(Ovmf().image())
    (keys / "firmware").write_bytes(b"some firmware")
    return keys


@pytest.fixture
def signed(folder: Path, sealtune_: Sealtune) -> Path:
    said = sealtune_(
        *(*MEASURE, folder / "image", "--ovmf", folder / "ovmf", *SNP),
        *("--key", folder / "owner.key", "-o", folder / "values.json"),
    )
    assert said.status == 0, said.err
    assert "signed and written" in said.out
    return folder / "values.json"


def test_values_are_shown_by_name(folder: Path, sealtune_: Sealtune) -> None:
    common = (*MEASURE, folder / "image", "--ovmf", folder / "ovmf", *SNP)
    found = sealtune_(*common, "--json").json
    names = {"sev-snp", "sev-snp-EPYC-Genoa-1", "sev-snp-EPYC-Genoa-4"}
    names |= {"sev-snp-no-acpi", "sev-snp-no-acpi-EPYC-Genoa"}
    assert found["entries"].keys() == names
    assert found["written"] is None
    text = sealtune_(*common).out
    assert found["image"] in text
    for name, entry in found["entries"].items():
        assert name in text
        assert all(value in text for value in entry["measurements"])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--ovmf", "ovmf"), id="firmware-without-machines"),
        pytest.param(SNP, id="machines-without-firmware"),
        pytest.param(("--record", "log"), id="record-without-firmware"),
        pytest.param(("--firmware", "firmware", "--key", "owner.key"), id="key-without-output"),
        pytest.param(("--firmware", "firmware", "-o", "values"), id="output-without-key"),
        pytest.param(("--ovmf", "ovmf", "--vcpu-type", "Nehalem", "--vcpus", "1"), id="no-type"),
    ],
)
def test_options_that_belong_together(
    folder: Path, sealtune_: Sealtune, options: tuple[str, ...]
) -> None:
    assert sealtune_(*MEASURE, folder / "image", *options).status == 2


def test_nothing_asked_and_unknown_firmware_say_what_to_do(
    folder: Path, sealtune_: Sealtune
) -> None:
    said = sealtune_(*MEASURE, folder / "image", "--json")
    assert said.error["code"] == "config-invalid"
    assert "--firmware" in said.error["remedy"]
    said = sealtune_(*MEASURE, folder / "image", "--firmware", folder / "firmware", "--json")
    assert said.error["code"] == "config-invalid"
    assert "--record" in said.error["remedy"]


def test_a_changed_image_is_not_measured(folder: Path, sealtune_: Sealtune) -> None:
    (folder / "image" / "root").write_bytes(b"another root")
    said = sealtune_(*MEASURE, folder / "image", "--ovmf", folder / "ovmf", *SNP, "--json")
    assert said.error["code"] == "image-mismatch"


def test_more_launches_than_a_contract_lists_are_refused(folder: Path, sealtune_: Sealtune) -> None:
    counts = ",".join(str(count) for count in range(1, 41))
    types = ("--vcpu-type", "EPYC-Genoa", "--vcpu-type", "EPYC-Milan", "--vcpus", counts)
    said = sealtune_(*MEASURE, folder / "image", "--ovmf", folder / "ovmf", *types)
    assert said.status == 2


def test_signed_values_are_shown_and_verified(
    folder: Path, signed: Path, sealtune_: Sealtune
) -> None:
    shown = sealtune_("image", "reference-values", "show", signed, "--json").json
    assert shown["verified"] is False
    common = ("image", "reference-values", "verify", signed, "--key", folder / "owner.pub")
    verified = sealtune_(*common, "--json").json
    assert (verified["verified"], verified["signer"]) == (True, "owner")
    assert verified["entries"] == shown["entries"]
    assert "not checked" in sealtune_("image", "reference-values", "show", signed).out
    assert "signed by owner" in sealtune_(*common).out


def test_another_signer_is_refused(folder: Path, signed: Path, sealtune_: Sealtune) -> None:
    said = sealtune_(
        *("image", "reference-values", "verify", signed, "--key", folder / "clinic.pub", "--json")
    )
    assert said.error["code"] == "signature-missing"
    assert said.status == 5


def test_verifying_needs_a_key(signed: Path, sealtune_: Sealtune) -> None:
    assert sealtune_("image", "reference-values", "verify", signed).status == 2
