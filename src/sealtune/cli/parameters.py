"""Kinds of arguments that several commands take."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

import sealtune
from sealtune.core.limits import GIB, MIB

if TYPE_CHECKING:
    from sealtune import PublicIdentity

_UNITS: Final = {"M": MIB, "G": GIB, "T": 1024 * GIB}
_SIZE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([MGT])", re.ASCII)
F = TypeVar("F", bound=Callable[..., Any])
# No `exists=True`: the functions below report a missing file with its code and exit status.
PATH: Final = click.Path(path_type=Path)

passphrase_file_option: Callable[[F], F] = click.option(
    "--passphrase-file",
    type=PATH,
    metavar="FILE",
    help="Read the key file's passphrase from the first line of FILE instead of the terminal.",
)
owner_option: Callable[[F], F] = click.option(
    "--owner", type=PATH, required=True, metavar="KEY", help="The owner's .key file, which signs."
)
recipients_option: Callable[[F], F] = click.option(
    "--to",
    "recipients",
    type=PATH,
    multiple=True,
    required=True,
    metavar="PUB",
    help="A recipient's .pub file: the owner's broker, usually. Give it once for each.",
)


def output_option(what: str) -> Callable[[F], F]:
    """Return the option `-o`, whose help says that it is `what`."""
    return click.option(
        "-o", "--output", type=PATH, required=True, metavar="PATH", help=f"{what}; must not exist."
    )


def load_recipients(paths: Sequence[Path]) -> list[PublicIdentity]:
    """Return the public identities in the files at `paths`."""
    return [sealtune.load_public_identity(path) for path in paths]


class Named(click.ParamType[tuple[str, str]]):
    """A pair NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, separator, rest = str(value).partition("=")
        if not (name and separator and rest):
            self.fail(f"{value!r} does not read NAME=VALUE", param, ctx)
        return name, rest


class Size(click.ParamType[int]):
    """A number of bytes, as `1536M` or `1.5G`: units of 1,024."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} does not read like 1536M or 1.5G", param, ctx)
        size = int(float(found[1]) * _UNITS[found[2]])
        if not size:
            self.fail("nothing fits into 0 bytes; without a limit, leave it out", param, ctx)
        return size


def unique(pairs: Sequence[tuple[str, str]], *, option: str) -> Mapping[str, str]:
    """Return pairs as a mapping; a name that is given twice is a usage error."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise click.UsageError(f"{option}: a name is given twice")
    return mapping


def job_parameters(function: F) -> F:
    """Take what names a job, whichever machine runs it: contract, inputs, brokers, folder."""
    for parameter in (
        click.option(
            "-o",
            "--output",
            type=PATH,
            required=True,
            metavar="DIR",
            help="The run's folder; the same one resumes the run.",
        ),
        click.option(
            "--broker",
            "brokers",
            type=Named(),
            multiple=True,
            metavar="NAME=URL",
            help="Where a broker of the contract listens: http://HOST:PORT.",
        ),
        click.option(
            "--input",
            "inputs",
            type=Named(),
            multiple=True,
            metavar="NAME=FILE",
            help="Where an input of the contract is.",
        ),
        click.argument("contract", type=PATH),
    ):
        function = parameter(function)
    return function
