"""One line of one source is another: which measurements change, in images that are really built."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from attestation.ovmf import Ovmf
from image.built import built_image, plan
from sealtune.attestation.event_log import Bank
from sealtune.image import build, initrd
from sealtune.image.build import BuildPlan
from sealtune.image.inputs import own_file
from sealtune.image.manifest import Image
from sealtune.image.measure_files import SnpFirmware, boot_files, measure_image
from sealtune.image.pcr import LoadOptions, boot_digests, pcr4, pcr9
from sealtune.image.root import SourceFile

pytestmark = pytest.mark.slow
LINE = b"# One line more.\n"


@pytest.fixture(scope="module")
def planned() -> BuildPlan:
    return plan()


@pytest.fixture(scope="module")
def agreed(planned: BuildPlan) -> Image:
    return built_image(planned)


def measured(image: Image, folder: Path) -> dict[str, object]:
    """What a contract could name of `image`, for a machine with a TPM and for SEV-SNP."""
    digests = boot_digests(
        boot_files(image), load_options=LoadOptions.INITRD_LAST, bank=Bank.SHA256
    )
    ovmf = folder / "ovmf"
    ovmf.write_bytes(Ovmf().image())
    snp = SnpFirmware(ovmf=ovmf, vcpu_types=("EPYC-v4",), vcpus=(1,), features=1)
    entries = measure_image(image.folder, snp=snp, vm=None, sigstruct=None).entries
    return {
        "pcr4": pcr4(digests),
        "pcr9": pcr9(digests),
        "sev-snp": entries["sev-snp"].measurements,
    }


def changed(one: Image, other: Image, folder: Path) -> set[str]:
    """Return what differs between two images, of their files and of what they measure to."""
    files = {
        name
        for name in ("kernel", "initrd", "root")
        if getattr(one.manifest, name).sha256 != getattr(other.manifest, name).sha256
    }
    before, after = measured(one, folder), measured(other, folder)
    return files | {name for name in before if before[name] != after[name]}


def test_a_line_of_the_worker_changes_the_root_and_what_names_it(
    planned: BuildPlan, agreed: Image, tmp_path: Path
) -> None:
    """The root is on no register itself: its hash on the command line is, so in PCR 9."""
    gate = "sealtune/worker/gate.py"
    files = tuple(
        SourceFile(path=file.path, source=file.source + LINE * (file.path == gate))
        for file in planned.sources.files
    )
    assert files != planned.sources.files
    sources = dataclasses.replace(planned.sources, files=files)
    other = built_image(dataclasses.replace(planned, sources=sources))
    assert changed(agreed, other, tmp_path) == {"root", "pcr9", "sev-snp"}
    assert agreed.manifest.verity.root_hash != other.manifest.verity.root_hash
    words = [set(image.manifest.cmdline.split()) for image in (agreed, other)]
    assert {word.split("=")[0] for word in words[0] ^ words[1]} <= {
        "verity.roothash",
        "verity.hashoffset",
    }


def test_a_line_of_the_first_script_changes_the_initrd_alone(
    planned: BuildPlan, agreed: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edited(name: str) -> bytes:
        return own_file(name) + LINE * (name == "initrd_init")

    monkeypatch.setattr(initrd, "own_file", edited)
    monkeypatch.setattr(build, "own_file", edited)
    other = built_image(planned)
    assert changed(agreed, other, tmp_path) == {"initrd", "pcr9", "sev-snp"}
    assert agreed.manifest.cmdline == other.manifest.cmdline
