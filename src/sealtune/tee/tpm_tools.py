"""Runs tpm2-tools: argument lists, no shell, an environment of our own, bounded time and output."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sealtune.errors import Code, ConfigError
from sealtune.tee.machine import attester_failed, read_whole

TCTI = "device:/dev/tpmrm0"
_TIMEOUT_S = 30.0  # a command takes tenths of a second; another process may hold the TPM
_TEXT_BYTES_MAX = 400
_PATH = "/usr/local/bin:/usr/bin:/bin"


class TpmTools:
    """The tools on one TPM; `tcti` says which, in tpm2-tss' words.

    Files that a tool writes go to a private folder: standard output carries text besides.
    """

    def __init__(self, tcti: str = TCTI) -> None:
        self._environment = {
            "PATH": _PATH,
            "LANG": "C.UTF-8",
            "TPM2TOOLS_TCTI": tcti,
            "TSS2_LOG": "all+NONE",
        }

    def run(
        self, tool: str, *arguments: str, outputs: Mapping[str, int], remedy: str
    ) -> tuple[bytes, ...]:
        """Run `tool` and return the files that it wrote, in the order of `outputs`.

        `outputs` maps each option that names a file to the most bytes that it may have; `remedy`
        is what to do where the TPM refuses.

        Raises:
            ConfigError: the tool is not installed.
            SealtuneError: it failed, took too long, or wrote too much or nothing.
        """
        with tempfile.TemporaryDirectory(prefix="sealtune-tpm-") as folder:
            files = {option: Path(folder, option.strip("-")) for option in outputs}
            command = [tool, *arguments]
            for option, file in files.items():
                command += [option, str(file)]
            self._call(command, Path(folder), remedy)
            try:
                return tuple(
                    read_whole(files[option], limit=limit) for option, limit in outputs.items()
                )
            except OSError:
                raise attester_failed(f"{tool}: wrote no result") from None

    def _call(self, command: list[str], folder: Path, remedy: str) -> None:
        said = folder / "said"
        try:
            with said.open("wb") as errors:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=self._environment,
                    cwd=folder,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
        except FileNotFoundError:
            raise ConfigError(
                Code.DEPENDENCY_MISSING,
                f"{command[0]}: not installed",
                remedy="install tpm2-tools 5: apt-get install tpm2-tools",
            ) from None
        except subprocess.TimeoutExpired:
            raise attester_failed(f"{command[0]}: no answer in {_TIMEOUT_S:.0f} s") from None
        if done.returncode:
            with said.open("rb") as errors:
                text = errors.read(_TEXT_BYTES_MAX).decode("ascii", "replace")
            words = " ".join(text.split())
            raise attester_failed(
                f"{command[0]}: exit status {done.returncode}: {words}", remedy=remedy
            )
