"""The vTPM of an ordinary VM: swtpm, on a copy of a state that is made once.

Its keys come from that state, so a contract can enroll its attestation key. swtpm runs on the host:
it makes the boot's measurements checkable and protects nothing from the operator.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from sealtune.core.files import storage_errors, sync_folder
from sealtune.errors import Code, SealtuneError
from sealtune.tee.qemu.tools import find_program

_PACKAGES = "swtpm and swtpm-tools"
_SETUP_SECONDS = 120.0
_STATE = "state"
_LOG_MAX = 500


def make_tpm(folder: Path) -> Path:
    """Return the state of the TPM in `folder`, made with endorsement certificates if it is new.

    Raises:
        ConfigError: swtpm's tools are not installed.
        SealtuneError: they failed.
    """
    state = folder / _STATE
    if state.is_dir():
        return state
    setup = find_program("swtpm_setup", package=_PACKAGES)
    authority = find_program("swtpm_localca", package=_PACKAGES)
    find_program("swtpm", package=_PACKAGES)
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A TPM that is half made never bears the name of a whole one.
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as making:
            _manufacture(Path(making), setup, authority)
            Path(making, _STATE).rename(state)
        sync_folder(folder)
    return state


def copy_state(state: Path, to: Path) -> None:
    """Copy a TPM's state for one run: a running TPM writes it."""
    with storage_errors(to):
        to.mkdir(mode=0o700)
        for file in state.iterdir():
            if file.is_file() and not file.name.startswith("."):
                shutil.copyfile(file, to / file.name)


def tpm_command(state: Path, path: Path) -> list[str]:
    """Return the command that serves the TPM in `state` to one QEMU, and then ends.

    Raises:
        ConfigError: swtpm is not installed.
    """
    swtpm = find_program("swtpm", package=_PACKAGES)
    command = [str(swtpm), "socket", "--tpm2", "--tpmstate", f"dir={state}"]
    command += ["--ctrl", f"type=unixio,path={path},mode=0600", "--flags", "startup-clear"]
    return [*command, "--seccomp", "action=kill", "--terminate"]


def _manufacture(folder: Path, setup: Path, authority: Path) -> None:
    ca, state, log = folder / "ca", folder / _STATE, folder / "log"
    ca.mkdir(mode=0o700)
    state.mkdir(mode=0o700)
    (folder / "ca.conf").write_text(
        f"statedir = {ca}\nsigningkey = {ca}/key.pem\n"
        f"issuercert = {ca}/issuer.pem\ncertserial = {ca}/serial\n"
    )
    (folder / "ca.options").write_text(
        "--platform-manufacturer sealtune\n--platform-version 1\n--platform-model vm\n"
    )
    (folder / "setup.conf").write_text(
        f"create_certs_tool = {authority}\ncreate_certs_tool_config = {folder}/ca.conf\n"
        f"create_certs_tool_options = {folder}/ca.options\n"
    )
    command = [str(setup), "--tpm2", "--tpmstate", str(state), "--create-ek-cert", "--lock-nvram"]
    command += ["--pcr-banks", "sha256", "--config", f"{folder}/setup.conf", "--logfile", str(log)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SETUP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SealtuneError(Code.LAUNCH_FAILED, "swtpm_setup does not come to an end") from None
    if done.returncode != 0:
        said = log.read_text(errors="replace") if log.exists() else done.stderr.decode("latin-1")
        remedy = "reinstall the packages swtpm and swtpm-tools, and try again"
        message = f"swtpm_setup made no TPM: {said[-_LOG_MAX:].strip()}"
        raise SealtuneError(Code.LAUNCH_FAILED, message, remedy=remedy)
