"""What can be refused before a run begins: inputs that are none, names that are taken.

Looks at names and kinds of files, reads none.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

from sealtune.bundle.seal import refuse_existing
from sealtune.deid.config import Configuration
from sealtune.deid.records.source import check_output_name, find_format, require_file
from sealtune.deid.side_files import VAULT
from sealtune.deid.work_folder import clear_named, is_naming, work_folder_of
from sealtune.errors import Code, ConfigError, StorageError

JOBS_MAX: Final = 256
_REPORTS: Final = {"report": "report.json", "page": "report.html"}


def check_input(path: Path) -> None:
    """Refuse what is no file of records by its name and its kind.

    Raises:
        FormatError: no known format.
        StorageError: it is missing, or no regular file.
    """
    find_format(path)
    require_file(path)


def check_run(
    given: Path, output: Path, *, configuration: Configuration, signed: bool, jobs: int
) -> None:
    """Refuse what would fail hours later; `signed` is a run that writes a report.

    Raises:
        FormatError: no known format.
        StorageError: the input is no file, the output's folder is missing, or a name is taken.
        ConfigError: an unsuitable name or number, or a package is missing.
    """
    check_input(given)
    if not output.parent.is_dir():
        message, remedy = f"{output.parent}: no such folder", "make the folder first"
        raise StorageError(Code.FILE_MISSING, message, remedy=remedy)
    if os.path.lexists(output):
        clear_named(work_folder_of(output))
    check_names(output, configuration=configuration, signed=signed)
    check_output_name(output, find_format(given))
    if not 1 <= jobs <= JOBS_MAX:
        raise ConfigError(Code.CONFIG_INVALID, f"jobs: 1 to {JOBS_MAX}")
    if signed and importlib.util.find_spec("matplotlib") is None:
        # Now, and not after hours of work.
        message, remedy = "a report needs matplotlib", "pip install 'sealtune[deid]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy)


def check_names(output: Path, *, configuration: Configuration, signed: bool) -> None:
    """Refuse an output whose name, or the name of what goes with it, is taken.

    Raises:
        StorageError: something stands there, be it a link to nothing.
    """
    refuse_existing(output)
    if is_naming(work_folder_of(output)):
        return  # a run ended amid this: what is there is its own, and the next one puts it right
    for path in side_paths(output, configuration=configuration, signed=signed).values():
        refuse_existing(path)


def side_paths(output: Path, *, configuration: Configuration, signed: bool) -> dict[str, Path]:
    """Return the names of what a run writes beside `output`, each by its kind."""
    suffixes = {VAULT: "vault"} if configuration.reversible else {}
    suffixes |= _REPORTS if signed else {}
    return {kind: output.with_name(f"{output.name}.{what}") for kind, what in suffixes.items()}
