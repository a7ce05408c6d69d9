"""`sealtune measure snp`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from sealtune.attestation.snp_launch.digest import (
    NO_INITRD,
    VCPUS_MAX,
    DirectBoot,
    Launch,
    command_line_digest,
    launch_digest,
)
from sealtune.attestation.snp_launch.firmware import FIRMWARE_BYTES_MAX, parse_firmware
from sealtune.attestation.snp_launch.inputs import LaunchInputs, launch_inputs_from_dict
from sealtune.attestation.snp_launch.vmsa import CPU_TYPES, Vmm
from sealtune.cli.framework import Command
from sealtune.cli.output import emit, rows
from sealtune.cli.parameters import PATH
from sealtune.cli.places import about
from sealtune.core.canonical import parse_json
from sealtune.core.digest import Digest, sha256_file
from sealtune.core.files import read_bounded, storage_errors
from sealtune.core.limits import KIB

_INPUTS_BYTES_MAX: Final = 64 * KIB
_COUNTS_MAX: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


class Counts(click.ParamType[tuple[int, ...]]):
    """One or several numbers of processors, as 1,2,4."""

    name = "N[,N...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers, each once, in the order given."""
        if isinstance(value, tuple):
            return value
        texts = str(value).split(",")
        if len(texts) > _COUNTS_MAX or not all(t.isascii() and t.isdecimal() for t in texts):
            self.fail(f"{value!r} does not read 1,2,4", param, ctx)
        counts = tuple(dict.fromkeys(int(text[:8]) for text in texts))
        if not all(1 <= count <= VCPUS_MAX for count in counts):
            self.fail(f"a guest has 1 to {VCPUS_MAX} processors", param, ctx)
        return counts


class Number(click.ParamType[int]):
    """A number that is usually written in hexadecimal."""

    def __init__(self, *, bits: int) -> None:
        self.name = "NUMBER"
        self._limit = 1 << bits

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            number = value if isinstance(value, int) else int(str(value)[:32], 0)
        except ValueError:
            self.fail(f"{value!r} is no number", param, ctx)
        if not 0 <= number < self._limit:
            self.fail(f"{value!r} is out of range", param, ctx)
        return number


class _Sha256(click.ParamType[Digest]):
    """A SHA-256, with `sha256:` before it or without."""

    name = "SHA256"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Digest:
        """Return the digest."""
        text = str(value).removeprefix("sha256:")
        if len(text) != 64 or set(text) - _HEX:
            self.fail(f"{value!r} is not 64 lower-case hexadecimal digits", param, ctx)
        return Digest(f"sha256:{text}")


@click.command(
    "snp",
    cls=Command,
    examples=[
        "sealtune measure snp --ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img \\\n"
        "    --append 'console=ttyS0' --vcpus 1,2,4 --vcpu-type EPYC-Milan",
        "sealtune measure snp --launch-inputs launch_inputs.json --json",
    ],
)
@click.option("--ovmf", type=PATH, metavar="FILE", help="The OVMF image that the guest boots with.")
@click.option("--kernel", type=PATH, metavar="FILE", help="The kernel, if it is given directly.")
@click.option("--initrd", type=PATH, metavar="FILE", help="The initrd of that kernel.")
@click.option("--append", metavar="TEXT", help="The command line of that kernel.")
@click.option("--kernel-hash", type=_Sha256(), help="Instead of the file, the kernel's SHA-256.")
@click.option("--initrd-hash", type=_Sha256(), help="Instead of the file, the initrd's SHA-256.")
@click.option("--vcpus", type=Counts(), help="How many processors; one measurement for each.")
@click.option(
    "--vcpu-type",
    type=click.Choice(sorted(CPU_TYPES)),
    metavar="MODEL",
    help="The processor model that QEMU shows the guest; a wrong one lists all.",
)
@click.option(
    "--vcpu-signature", type=Number(bits=32), help="Instead of the model, its CPUID 1 EAX."
)
@click.option(
    "--guest-features", type=Number(bits=64), default="0x1", help="SEV_FEATURES of the guest."
)
@click.option(
    "--vmm",
    type=click.Choice([str(vmm) for vmm in Vmm]),
    default=str(Vmm.QEMU),
    help="Whose hypervisor starts the guest.",
)
@click.option(
    "--launch-inputs", type=PATH, metavar="FILE", help="All of this in JSON, as dstack writes it."
)
def measure_snp(**options: Any) -> None:
    """Compute the measurement of an AMD SEV-SNP guest before its launch.

    It depends on every file and number below, so a contract lists one measurement for each
    combination that it accepts. A kernel that is given directly is measured by the firmware's table
    of hashes; with a disk instead, the measurement says nothing about what boots from it.
    """
    launch, counts = _described(options) if options["launch_inputs"] else _given(options)
    found = {
        "measurements": {str(count): launch_digest(launch, vcpus=count).hex() for count in counts},
        "vmm": str(launch.vmm),
        "cpu_signature": f"{launch.signature:#010x}" if launch.vmm is Vmm.QEMU else None,
        "guest_features": f"{launch.features:#x}",
        "firmware_digest": launch.firmware.digest.hex(),
        "kernel": launch.boot.kernel if launch.boot else None,
        "initrd": launch.boot.initrd if launch.boot else None,
        "command_line": launch.boot.command_line if launch.boot else None,
    }
    emit(found, _lines)


def _described(options: Mapping[str, Any]) -> tuple[Launch, tuple[int, ...]]:
    path: Path = options["launch_inputs"]
    names = ("ovmf", "kernel", "initrd", "append", "kernel_hash", "initrd_hash")
    if any(options[name] is not None for name in (*names, "vcpu_type", "vcpu_signature")):
        raise click.UsageError("--launch-inputs describes the whole launch but for --vcpus")
    with about(path):
        data = read_bounded(path, limit=_INPUTS_BYTES_MAX, what="launch inputs")
        inputs: LaunchInputs = launch_inputs_from_dict(
            parse_json(data, limit=_INPUTS_BYTES_MAX, what="launch inputs")
        )
    return inputs.launch, options["vcpus"] or (inputs.vcpus,)


def _given(options: Mapping[str, Any]) -> tuple[Launch, tuple[int, ...]]:
    if options["ovmf"] is None or options["vcpus"] is None:
        raise click.UsageError("give --ovmf and --vcpus, or --launch-inputs")
    path: Path = options["ovmf"]
    with about(path):
        firmware = parse_firmware(read_bounded(path, limit=FIRMWARE_BYTES_MAX, what="firmware"))
        launch = Launch(
            firmware=firmware,
            boot=_boot(options),
            signature=_signature(options),
            features=options["guest_features"],
            vmm=Vmm(options["vmm"]),
        )
    return launch, options["vcpus"]


def _signature(options: Mapping[str, Any]) -> int:
    name, number = options["vcpu_type"], options["vcpu_signature"]
    if options["vmm"] != Vmm.QEMU:
        if name is not None or number is not None:
            raise click.UsageError("only QEMU's measurement depends on the processor model")
        return 0
    if (name is None) == (number is None):
        raise click.UsageError("give one of --vcpu-type and --vcpu-signature")
    return number if number is not None else CPU_TYPES[name]


def _boot(options: Mapping[str, Any]) -> DirectBoot | None:
    kernel = _digest(options, "kernel")
    initrd = _digest(options, "initrd")
    if kernel is None:
        if initrd is not None or options["append"] is not None:
            raise click.UsageError("an initrd and a command line are those of a --kernel")
        return None
    try:
        command_line = command_line_digest(options["append"] or "")
    except ValueError as error:
        raise click.UsageError(f"--append: {error}") from None
    return DirectBoot(kernel=kernel, initrd=initrd or NO_INITRD, command_line=command_line)


def _digest(options: Mapping[str, Any], name: str) -> Digest | None:
    path: Path | None = options[name]
    digest: Digest | None = options[f"{name}_hash"]
    if path is None:
        return digest
    if digest is not None:
        raise click.UsageError(f"give one of --{name} and --{name}-hash")
    with storage_errors(path):
        return sha256_file(path)


def _lines(found: dict[str, Any]) -> Iterable[str]:
    yield f"AMD SEV-SNP guest on {found['vmm']}, guest features {found['guest_features']}"
    yield from rows(
        [
            *((f"{count} vcpus", value) for count, value in found["measurements"].items()),
            *((name, found[name]) for name in ("kernel", "initrd") if found[name]),
        ]
    )
