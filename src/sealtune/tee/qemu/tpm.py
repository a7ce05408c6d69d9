"""The vTPM of an ordinary VM: swtpm, on a copy of a state that is made once.

Its keys come from that state, so a contract can enroll its attestation key. swtpm runs on the host:
it makes the boot's measurements checkable and protects nothing from the operator.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sealtune.core.digest import sha256_digest
from sealtune.core.files import storage_errors, sync_folder
from sealtune.errors import Code, SealtuneError
from sealtune.tee.qemu.tools import find_program
from sealtune.tee.tpm_commands import ANSWER_BYTES_MAX
from sealtune.tee.tpm_device import TpmAttester

_PACKAGES = "swtpm and swtpm-tools"
_SETUP_SECONDS = 120.0
_ANSWER_SECONDS = 20.0
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


def attestation_key_digest(state: Path) -> str:
    """Return the SHA-256 of the key that a VM with the TPM in `state` signs with, in hexadecimal.

    It is what a contract names in `ak_digests` (contract spec §3.5.4).

    Raises:
        ConfigError: swtpm is not installed.
        SealtuneError: it does not start, or the TPM refuses.
    """
    # Private, and short: a unix socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="sealtune-tpm-") as folder:
        copy_state(state, Path(folder, "state"))
        with _talking(Path(folder)) as path:
            attester = TpmAttester(
                event_log=Path(folder, "none"), transmit=lambda command: _exchange(path, command)
            )
            evidence = attester.attest(bytes(64), host_data=bytes(32))
    return sha256_digest(evidence.part("ak_public")).removeprefix("sha256:")


@contextlib.contextmanager
def _talking(folder: Path) -> Iterator[Path]:
    """Run swtpm on the state in `folder` and yield the socket that takes commands."""
    path = folder / "tpm"
    command = [*_serve(folder / "state"), "--flags", "not-need-init,startup-clear"]
    # Without a control channel it would not start.
    command += ["--server", f"type=unixio,path={path},mode=0600"]
    command += ["--ctrl", f"type=unixio,path={path}.control,mode=0600"]
    with (folder / "log").open("wb") as log:
        tpm = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + _ANSWER_SECONDS
        while not path.is_socket():
            if tpm.poll() is not None or time.monotonic() > until:
                said = (folder / "log").read_text(errors="replace")[-_LOG_MAX:].strip()
                raise SealtuneError(Code.LAUNCH_FAILED, f"swtpm does not start: {said}")
            time.sleep(0.01)
        yield path
    finally:
        tpm.kill()
        tpm.wait()


def _exchange(path: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tpm:
        tpm.settimeout(_ANSWER_SECONDS)
        try:
            tpm.connect(str(path))
            tpm.sendall(command)
            answer = tpm.recv(ANSWER_BYTES_MAX)
            # TPM 2.0 part 1, §18: bytes 2 to 5 of a response are its length.
            while len(answer) < int.from_bytes(answer[2:6], "big") and (
                more := tpm.recv(ANSWER_BYTES_MAX)
            ):
                answer += more
        except OSError as error:
            message = f"swtpm does not answer: {error.strerror or error}"
            raise SealtuneError(Code.LAUNCH_FAILED, message) from error
    return answer


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
    command = [*_serve(state), "--ctrl", f"type=unixio,path={path},mode=0600"]
    return [*command, "--flags", "startup-clear", "--terminate"]


def _serve(state: Path) -> list[str]:
    swtpm = find_program("swtpm", package=_PACKAGES)
    command = [str(swtpm), "socket", "--tpm2", "--tpmstate", f"dir={state}"]
    return [*command, "--seccomp", "action=kill"]


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
