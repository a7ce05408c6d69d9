"""What `sealtune run` makes of the options that describe a virtual machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import sealtune
from sealtune.core.limits import MIB

if TYPE_CHECKING:
    from sealtune import SnpHost, TdxHost, Tee, UnixQuotes, VmHost, VmLaunch, VsockQuotes

# Emulation without KVM takes ten seconds to the first word on an idle machine, KVM two.
_GREETING_SECONDS: Final = 300.0
_VSOCK_PORT_END: Final = 2**32
_HOST_CID: Final = 2
_QUOTE_PORT: Final = 4050  # Intel's service listens here, as distributions configure it


@dataclass(frozen=True, slots=True, kw_only=True)
class VmOptions:
    """The options as they were given; None where they were left out."""

    tpm: Path | None
    firmware: Path | None
    variables: Path | None
    vcpu_type: str | None
    quotes: UnixQuotes | VsockQuotes | None
    memory: int
    output_size: int
    processors: int
    acpi: bool

    @property
    def given(self) -> bool:
        """Whether any was, of those that have no default."""
        listed = (self.tpm, self.firmware, self.variables, self.vcpu_type, self.quotes)
        return any(option is not None for option in listed)


class QuoteService(click.ParamType[Any]):
    """Where a TDX host makes quotes: `unix:PATH` or `vsock:CID:PORT`."""

    name = "PLACE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> UnixQuotes | VsockQuotes:
        """Return the service."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]  # click converts a converted value again
        kind, _, rest = value.partition(":")
        if kind == "unix" and rest.startswith("/"):
            return sealtune.UnixQuotes(path=Path(rest))
        cid, _, port = rest.partition(":")
        if kind == "vsock" and _is_number(cid) and _is_number(port):
            return sealtune.VsockQuotes(cid=int(cid), port=int(port))
        self.fail(f"{value!r} is neither unix:/PATH nor vsock:CID:PORT", param, ctx)


def vm_launch(tee: Tee, folder: Path, *, run: Path, options: VmOptions) -> VmLaunch:
    """Return the machine that runs the image in `folder`, every file of it verified.

    Raises:
        FormatError, StorageError, VerificationError: the image is damaged or not whole.
    """
    from sealtune.image.measure import without_acpi

    host = _host(tee, run=run, options=options)
    image = sealtune.read_image(folder)
    manifest = image.manifest
    boot = sealtune.Boot(
        kernel=image.path(manifest.kernel),
        initrd=image.path(manifest.initrd),
        cmdline=manifest.cmdline if options.acpi else without_acpi(manifest.cmdline),
    )
    return sealtune.VmLaunch(
        image=sealtune.VmImage(boot=boot, root=image.path(manifest.root), debug=False),
        host=host,
        size=sealtune.VmSize(
            processors=options.processors,
            memory_mib=options.memory,
            output_bytes=options.output_size * MIB,
        ),
        greeting_seconds=_GREETING_SECONDS,
    )


def _host(tee: Tee, *, run: Path, options: VmOptions) -> VmHost | SnpHost | TdxHost:
    vm, snp, tdx = sealtune.Tee.VM, sealtune.Tee.SEV_SNP, sealtune.Tee.TDX
    _only("--tpm", options.tpm, tee, vm)
    _only("--variables", options.variables, tee, vm)
    _only("--vcpu-type", options.vcpu_type, tee, snp)
    _only("--quotes", options.quotes, tee, tdx)
    if not options.acpi and (tee is not snp or options.processors != 1):
        raise click.UsageError("--no-acpi is for --tee sev-snp with one processor")
    if tee is snp:
        if options.vcpu_type is None:
            # It is measured: a guess would be refused by the brokers, for reasons hard to see.
            raise click.UsageError("SEV-SNP needs --vcpu-type: one that the contract's image lists")
        return sealtune.SnpHost(firmware=options.firmware, processor=options.vcpu_type)
    if tee is tdx:
        return sealtune.TdxHost(
            firmware=options.firmware, quotes=options.quotes or _quote_service()
        )
    variables = options.variables
    if options.firmware is not None and variables is None:
        variables = options.firmware.with_name(options.firmware.name.replace("CODE", "VARS"))
        if variables == options.firmware:
            raise click.UsageError(f"{options.firmware}: name its --variables too")
    return sealtune.VmHost(
        tpm=options.tpm or run / "tpm", firmware=options.firmware, variables=variables
    )


def _only(name: str, value: object, tee: Tee, wanted: Tee) -> None:
    if value is not None and tee is not wanted:
        raise click.UsageError(f"{name} is for --tee {wanted}")


def _quote_service() -> UnixQuotes | VsockQuotes:
    for place in map(Path, sealtune.QUOTE_SOCKETS):
        if place.is_socket():
            return sealtune.UnixQuotes(path=place)
    return sealtune.VsockQuotes(cid=_HOST_CID, port=_QUOTE_PORT)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < _VSOCK_PORT_END
