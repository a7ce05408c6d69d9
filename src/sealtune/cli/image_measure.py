"""`sealtune image measure` and `sealtune image reference-values`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

import sealtune
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES
from sealtune.cli.framework import Command, Group
from sealtune.cli.measure_snp import Counts, Number
from sealtune.cli.output import done, emit, hint, rows
from sealtune.cli.parameters import PATH, passphrase_file_option
from sealtune.cli.passphrases import load_key
from sealtune.cli.places import about
from sealtune.contract.reference_values import (
    REFERENCE_VALUES_BYTES_MAX,
    read_reference_values,
    sign_reference_values,
    verify_reference_values,
)
from sealtune.core.files import read_bounded, write_atomic
from sealtune.core.limits import CONTRACT_MEASUREMENTS_MAX
from sealtune.image.measure_files import SnpFirmware, VmFirmware, measure_image


@click.command(
    "measure",
    cls=Command,
    examples=[
        "sealtune image measure image --ovmf OVMF.amdsev.fd \\\n"
        "    --vcpu-type EPYC-Milan --vcpu-type EPYC-Genoa --vcpus 1,2,4",
        "sealtune image measure image --firmware OVMF_CODE_4M.fd \\\n"
        "    --key modelworks.key -o image.reference.json",
    ],
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "--ovmf", type=PATH, metavar="FILE", help="The OVMF file that SEV-SNP guests are launched with."
)
@click.option(
    "--vcpu-type",
    "vcpu_types",
    type=click.Choice(sorted(CPU_TYPES)),
    multiple=True,
    metavar="MODEL",
    help="An allowed processor model of SEV-SNP guests. Give it once for each.",
)
@click.option("--vcpus", type=Counts(), help="The allowed numbers of processors of these.")
@click.option(
    "--guest-features", type=Number(bits=64), default="0x1", help="SEV_FEATURES of these."
)
@click.option(
    "--firmware",
    type=PATH,
    metavar="FILE",
    help="The OVMF file that machines with a TPM, and TDX guests, boot with.",
)
@click.option(
    "--record",
    type=PATH,
    metavar="LOG",
    help="The event log of a boot of this image with --firmware, which tells its PCR 0 and 7.",
)
@click.option(
    "--sigstruct", type=PATH, metavar="FILE", help="The .sig file that Gramine's signer wrote."
)
@click.option("--key", type=PATH, help="The .key file that signs the values; with -o.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Where they go, signed.")
@passphrase_file_option
def measure(
    folder: Path,
    key: Path | None,
    output: Path | None,
    passphrase_file: Path | None,
    **options: Any,
) -> None:
    """Compute what evidence shows of a machine that boots the image in DIR.

    From the files alone: SEV-SNP launch digests with --ovmf, TPM registers and TDX's RTMR1 and 2
    with --firmware, MRENCLAVE with --sigstruct. Signed, a contract takes them in by name. TDX's
    values have not been compared with hardware.
    """
    if (key is None) != (output is None):
        raise click.UsageError("give both --key and -o, or neither")
    values = measure_image(
        folder, snp=_snp(options), vm=_vm(options), sigstruct=options["sigstruct"]
    )
    if key is not None and output is not None:
        identity = load_key(key, passphrase_file)
        write_atomic(output, sign_reference_values(values, key=identity.signing))
    emit(
        {**values.to_dict(), "written": output},
        lambda shown: [*_lines(shown), *_next(output)],
    )


@click.group("reference-values", cls=Group)
def reference_values() -> None:
    """Read what somebody signed that an image measures to."""


@reference_values.command(
    "show", examples=["sealtune image reference-values show image.reference.json"]
)
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Show reference values without checking who signed them."""
    with about(file):
        values = read_reference_values(_content(file))
    emit(
        {**values.to_dict(), "verified": False},
        lambda shown: [*_lines(shown), "", hint("signature not checked: use verify --key PUB")],
    )


@reference_values.command(
    "verify",
    examples=["sealtune image reference-values verify image.reference.json --key modelworks.pub"],
)
@click.argument("file", type=PATH)
@click.option(
    "--key", type=PATH, required=True, metavar="PUB", help="The .pub file of who must have signed."
)
def verify(file: Path, key: Path) -> None:
    """Check that the party in PUB signed reference values, and show them.

    This proves whose word they are. Whether they are right shows `image measure` of the same files.
    """
    signer = sealtune.load_public_identity(key)
    with about(file):
        verified = verify_reference_values(_content(file), key=signer.signing)
    emit(
        {**verified.values.to_dict(), "verified": True, "signer": signer.name},
        lambda shown: [done(f"signed by {shown['signer']}"), *_lines(shown)],
    )


def _content(file: Path) -> bytes:
    return read_bounded(file, limit=REFERENCE_VALUES_BYTES_MAX, what="reference values")


def _snp(options: dict[str, Any]) -> SnpFirmware | None:
    given = (options["ovmf"], options["vcpu_types"], options["vcpus"])
    if not any(given):
        return None
    if not all(given):
        raise click.UsageError("SEV-SNP needs --ovmf, --vcpu-type and --vcpus together")
    if len(set(options["vcpu_types"])) * len(options["vcpus"]) > CONTRACT_MEASUREMENTS_MAX:
        raise click.UsageError(f"a contract lists at most {CONTRACT_MEASUREMENTS_MAX} launches")
    return SnpFirmware(
        ovmf=options["ovmf"],
        vcpu_types=tuple(dict.fromkeys(options["vcpu_types"])),
        vcpus=options["vcpus"],
        features=options["guest_features"],
    )


def _vm(options: dict[str, Any]) -> VmFirmware | None:
    if options["firmware"] is None:
        if options["record"] is not None:
            raise click.UsageError("--record is of a boot with --firmware, which is missing")
        return None
    return VmFirmware(ovmf=options["firmware"], recorded=options["record"])


def _lines(shown: dict[str, Any]) -> Iterator[str]:
    yield from rows([("image", shown["image"])])
    for name, entry in shown["entries"].items():
        yield ""
        yield f"{name} ({entry['note']})" if entry["note"] else name
        values = {"measurement": entry["measurements"], **entry["registers"]}
        yield from rows([(what, "\n".join(listed)) for what, listed in values.items() if listed])


def _next(output: Path | None) -> Iterable[str]:
    if output is None:
        return ["", hint("for a contract, sign them: --key NAME.key -o FILE")]
    return ["", done(f"signed and written to {output}")]
