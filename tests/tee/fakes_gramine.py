"""Gramine's programs as far as tests need them: scripts on PATH that do what the real ones say.

The renderer renders with jinja, as the real one does. The signer writes a SIGSTRUCT whose MRENCLAVE
is a hash of the manifest's text, so that it changes with each of its bytes; the real one covers
Gramine's loader too. The starter reads the signed manifest and runs its worker natively, with its
environment: nothing is measured, isolated or attested.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import jinja2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TESTS = Path(__file__).resolve().parent.parent
VERSION = "1.9"
_HEADER = bytes.fromhex("06000000e10000000000010000000000")
_SECOND_HEADER = bytes.fromhex("01010000600000006000000001000000")
_SCRIPT = """#!{python}
import sys
sys.path.insert(0, {tests!r})
from tee import fakes_gramine
sys.exit(fakes_gramine.{name}(sys.argv[1:]))
"""
# The worker's own entry, with a stand-in for the attester where a test's environment names one.
WORKER = """
import sys
from pathlib import Path
from sealtune.tee.simulated import InsecureSimulatedAttester
from sealtune.worker.enclave import run_enclave
from sealtune.worker.exits import Exits, close_standard_streams
from sealtune.worker.process import keep_memory_private
exits = Exits(close_standard_streams(), insecure=False)
keep_memory_private()
attester = InsecureSimulatedAttester(Path(sys.argv[1]))
sys.exit(run_enclave(Path("job"), attester=attester, exits=exits))
"""


def install(folder: Path, *names: str, version: str = VERSION, mock: Path | None = None) -> Path:
    """Write the programs `names` (all: without any) into `folder` and return it.

    `mock` is the simulated hierarchy that the started worker attests with.
    """
    folder.mkdir(exist_ok=True)
    programs = {"gramine-manifest": "render", "gramine-sgx-sign": "sign", "gramine-sgx": "start"}
    for program in names or programs:
        path = folder / program
        path.write_text(
            _SCRIPT.format(python=sys.executable, tests=str(TESTS), name=programs[program])
        )
        path.chmod(0o755)
    (folder / "version").write_text(version)
    (folder / "mock").write_text(str(mock or ""))
    return folder


def make_key(path: Path) -> Path:
    """Write a key as `openssl genrsa -3 3072` does."""
    key = rsa.generate_private_key(public_exponent=3, key_size=3072)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path.write_bytes(pem)
    return path


def render(arguments: list[str]) -> int:
    """Be `gramine-manifest TEMPLATE MANIFEST`."""
    template, manifest = map(Path, arguments)
    gramine = SimpleNamespace(libos="/g/libsysdb.so", runtimedir=lambda libc="glibc": f"/g/{libc}")
    text = jinja2.Template(template.read_text()).render(gramine=gramine)
    tomllib.loads(text)
    manifest.write_text(text)
    return 0


def sign(arguments: list[str]) -> int:
    """Be `gramine-sgx-sign --manifest M --output O --sigfile S --key K --date D`."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    text = Path(options["--manifest"]).read_bytes()
    Path(options["--output"]).write_bytes(text)
    key = serialization.load_pem_private_key(Path(options["--key"]).read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        print("this is no RSA key", file=sys.stderr)
        return 1
    Path(options["--sigfile"]).write_bytes(_sigstruct(text, key, options["--date"]))
    return 0


def _sigstruct(text: bytes, key: rsa.RSAPrivateKey, date: str) -> bytes:
    numbers = key.public_key().public_numbers()
    data = bytearray(1808)
    data[0:16] = _HEADER
    data[20:24] = bytes.fromhex(date.replace("-", ""))[::-1]
    data[24:40] = _SECOND_HEADER
    data[128:512] = numbers.n.to_bytes(384, "little")
    data[512:516] = numbers.e.to_bytes(4, "little")
    data[928:936] = (5).to_bytes(8, "little")
    data[960:992] = hashlib.sha256(text).digest()
    sgx = tomllib.loads(text.decode())["sgx"]
    data[1024:1028] = struct.pack("<HH", sgx["isvprodid"], sgx["isvsvn"])
    signed = bytes(data[:128] + data[900:1028])
    data[516:900] = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())[::-1]
    return bytes(data)


def start(arguments: list[str]) -> int:
    """Be `gramine-sgx sealtune`: run the manifest's worker in this folder; or say the version."""
    programs = Path(sys.argv[0]).resolve().parent
    if arguments == ["--version"]:
        print(f"Gramine {(programs / 'version').read_text()} (a fake)")
        return 0
    (name,) = arguments
    manifest = tomllib.loads(Path(f"{name}.manifest.sgx").read_text())
    if not Path(f"{name}.sig").is_file():
        print("error: no SIGSTRUCT", file=sys.stderr)
        return 1
    for entry in manifest["sgx"]["trusted_files"][2:]:
        content = Path(entry["uri"].removeprefix("file:")).read_bytes()
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            print(f"error: {entry['uri']} was changed", file=sys.stderr)
            return 1
    assert manifest["loader"]["argv"][-2:] == ["-m", "sealtune.worker.enclave"]
    environment = dict(manifest["loader"]["env"])
    del environment["LD_LIBRARY_PATH"]  # of Gramine's own C library, which is not here
    mock = (programs / "mock").read_text()
    command = [sys.executable, "-I", "-B", "-c", WORKER, mock]
    if not mock:
        command = [sys.executable, "-I", "-B", "-m", "sealtune.worker.enclave"]
    os.execve(sys.executable, command, environment)
