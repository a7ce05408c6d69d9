"""`sealtune image sign`, and what `image build --tee sgx` makes of its options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import done, emit, hint, rows
from sealtune.cli.parameters import PATH, Named, unique
from sealtune.core.limits import GIB
from sealtune.errors import Code, ConfigError
from sealtune.image.sgx.manifest import read_sgx_image
from sealtune.image.sgx.sign import sign_image
from sealtune.image.sgx.template import ENCLAVE_BYTES_MAX, THREADS_MAX, Enclave

F = TypeVar("F", bound=Callable[..., Any])
_SIZE: Final = re.compile(r"([1-9][0-9]{0,3})G", re.ASCII)


class EnclaveSize(click.ParamType[int]):
    """A power of two of GiB, as `8G`."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value))
        size = int(match[1]) * GIB if match else 0
        if size.bit_count() != 1 or size > ENCLAVE_BYTES_MAX:
            self.fail(f"{value!r} is none of 1G, 2G, 4G ... 1024G", param, ctx)
        return size


_OPTIONS: Final = (
    click.option(
        "--enclave-size", type=EnclaveSize(), help="sgx: the enclave's memory, a power of two."
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, THREADS_MAX),
        metavar="N",
        help="sgx: how many threads compute; left out, those of --job, or 1.",
    ),
    click.option(
        "--job",
        type=PATH,
        metavar="CONTRACT",
        help="sgx: make the enclave large enough for this contract's or draft's job.",
    ),
    click.option(
        "--input",
        "inputs",
        type=Named(),
        multiple=True,
        metavar="NAME=FILE",
        help="sgx: where an input of --job is, for its size.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveOptions:
    """What describes an enclave, as it was given."""

    enclave_size: int | None
    threads: int | None
    job: Path | None
    inputs: Sequence[tuple[str, str]]

    @property
    def given(self) -> bool:
        """Whether any was."""
        return any((self.enclave_size, self.threads, self.job, self.inputs))

    def enclave(self) -> Enclave:
        """Return the enclave that they describe.

        Raises:
            ConfigError: no enclave is large enough for the job.
            FormatError, StorageError, VerificationError: a file of the job cannot be read.
        """
        if (self.enclave_size is None) == (self.job is None):
            raise click.UsageError("--tee sgx needs --enclave-size, or --job with its --input")
        if self.job is None and self.inputs:
            raise click.UsageError("--input is for --job")
        if self.enclave_size is not None:
            return Enclave(bytes=self.enclave_size, threads=self.threads or 1)
        return _enclave_for(self)


def enclave_options(command: F) -> F:
    """Add what describes an enclave."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _enclave_for(options: EnclaveOptions) -> Enclave:
    if options.job is None:
        raise ValueError("without a job nothing is computed")
    contract = sealtune.read_contract_file(options.job).contract
    inputs = _inputs(options, wanted=(contract.recipe.model, *contract.recipe.datasets))
    threads = options.threads or contract.recipe.threads
    if not threads:
        raise click.UsageError("the recipe leaves the number of threads open: give --threads")
    size = sealtune.enclave_size(sealtune.job_peak(contract, inputs), threads=threads)
    if size > ENCLAVE_BYTES_MAX:
        message = f"the job may need {size // GIB} GiB, an enclave has at most"
        message += f" {ENCLAVE_BYTES_MAX // GIB}"
        remedy = "agree on a smaller batch_size or max_length, or on a confidential VM"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    return Enclave(bytes=size, threads=threads)


def _inputs(options: EnclaveOptions, *, wanted: Iterable[str]) -> Mapping[str, Path]:
    given = unique(options.inputs, option="--input")
    if missing := sorted(set(wanted) - given.keys()):
        raise click.UsageError(f"add --input {missing[0]}=FILE: its size counts")
    return {name: Path(place) for name, place in given.items()}


@click.command("sign", cls=Command, examples=["sealtune image sign sgx-image --key sgx.pem"])
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "--key",
    type=PATH,
    required=True,
    metavar="PEM",
    help="An RSA key of 3072 bits with exponent 3: openssl genrsa -3 -out sgx.pem 3072.",
)
def sign(folder: Path, key: Path) -> None:
    """Sign the SGX image in DIR with Gramine's tools, and show its MRENCLAVE.

    MRENCLAVE follows from the image and the installed version of Gramine; the key changes
    MRSIGNER alone, so that who checks an image may sign it with any key.
    """
    signed = sign_image(read_sgx_image(folder), key=key)
    facts = {
        "folder": folder,
        "image": f"sha256:{signed.image}",
        "mrenclave": signed.sgx.mrenclave,
        "mrsigner": signed.sgx.mrsigner,
    }
    shown = {name: v.hex() if isinstance(v, bytes) else v for name, v in facts.items()}
    emit(shown, _lines)


def _lines(facts: dict[str, Any]) -> Iterable[str]:
    yield done(f"signed {facts['folder']}")
    yield from rows([(name, facts[name]) for name in ("image", "mrenclave", "mrsigner")])
    yield hint(f"sealtune image measure {facts['folder']}")
