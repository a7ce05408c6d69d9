"""A real TPM 2.0 in software (swtpm), made and certified anew for a test session.

`tests/tee/install-tools.sh` installs what is needed; tests skip where it is missing.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealtune.tee.tpm_commands import ANSWER_BYTES_MAX

_START_SECONDS = 10.0
_GET_RANDOM = bytes.fromhex("8001 0000000c 0000017b 0004")


@dataclass(frozen=True, slots=True)
class SoftwareTpm:
    """A running swtpm: raw commands on `transmit`, tpm2-tools through `tcti`."""

    path: Path

    @property
    def tcti(self) -> str:
        return f"swtpm:path={self.path}"

    def transmit(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tpm:
            tpm.connect(str(self.path))
            tpm.sendall(command)
            answer = tpm.recv(ANSWER_BYTES_MAX)
            while len(answer) < int.from_bytes(answer[2:6], "big"):
                answer += tpm.recv(ANSWER_BYTES_MAX)
            return answer

    def tool(self, name: str, *arguments: object) -> bytes:
        """Run one of tpm2-tools on it, as a test's own means."""
        require_tools(name)
        done = subprocess.run(
            [name, "-T", self.tcti, *map(str, arguments)], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def require_tools(*names: str) -> None:
    """Skip the test where a program is missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing: run tests/tee/install-tools.sh")


def make_state(folder: Path) -> None:
    """Manufacture a TPM: endorsement keys, and certificates for them from a throw-away CA."""
    require_tools("swtpm", "swtpm_setup", "swtpm_localca")
    authority = folder / "ca"
    authority.mkdir(parents=True)
    (folder / "localca.conf").write_text(
        f"statedir = {authority}\n"
        f"signingkey = {authority}/key.pem\n"
        f"issuercert = {authority}/issuer.pem\n"
        f"certserial = {authority}/serial\n"
    )
    (folder / "localca.options").write_text(
        "--platform-manufacturer sealtune\n--platform-version 1\n--platform-model test\n"
    )
    (folder / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\n"
        f"create_certs_tool_config = {folder}/localca.conf\n"
        f"create_certs_tool_options = {folder}/localca.options\n"
    )
    state = folder / "state"
    state.mkdir()
    command = ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--create-ek-cert"]
    command += ["--pcr-banks", "sha1,sha256", "--config", str(folder / "setup.conf")]
    command += ["--logfile", str(folder / "setup.log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + (folder / "setup.log").read_text()


@contextlib.contextmanager
def running(state: Path, folder: Path) -> Iterator[SoftwareTpm]:
    """Run swtpm on a copy of `state`; its sockets are in `folder`, whose path must be short."""
    copy = folder / "state"
    shutil.copytree(state, copy)
    path = folder / "tpm"
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={copy}"]
    command += ["--server", f"type=unixio,path={path}", "--ctrl", f"type=unixio,path={path}.ctrl"]
    command += ["--flags", "not-need-init,startup-clear"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tpm:
        try:
            _await(SoftwareTpm(path), tpm)
            yield SoftwareTpm(path)
        finally:
            tpm.terminate()


def _await(tpm: SoftwareTpm, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            tpm.transmit(_GET_RANDOM)
        except OSError:
            assert process.poll() is None, "swtpm does not start"
            assert time.monotonic() < until, "swtpm does not answer"
            time.sleep(0.01)
        else:
            return
