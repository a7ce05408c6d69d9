"""An Azure confidential VM: a software TPM set up as Azure's paravisor does, and its metadata."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sealtune.crypto.encoding import b64encode
from sealtune.tee.azure_vtpm import Metadata
from sealtune.tee.tpm_commands import TpmCommands
from tee.fakes_swtpm import SoftwareTpm

HCL_INDEX, AK_HANDLE = "0x01400001", "0x81000003"
INDEX_BYTES = 2048  # Azure has 2600 by now; a software TPM allows no more
_MODULUS_BYTES = 256


def make_attestation_key(tpm: SoftwareTpm, folder: Path) -> None:
    """Make the RSA key that Azure keeps at a fixed handle."""
    tpm.tool("tpm2_createek", "-G", "rsa", "-c", folder / "ek.ctx")
    tpm.tool("tpm2_flushcontext", "-t")
    key = ("-G", "rsa", "-g", "sha256", "-s", "rsassa", "-c", folder / "ak.ctx")
    tpm.tool("tpm2_createak", "-C", folder / "ek.ctx", *key)
    tpm.tool("tpm2_flushcontext", "-t")
    tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", folder / "ak.ctx", AK_HANDLE)
    tpm.tool("tpm2_flushcontext", "-t")


def runtime_claims(tpm: SoftwareTpm) -> bytes:
    """Return the JSON that names the TPM's key, as the paravisor writes it."""
    modulus = TpmCommands(tpm.transmit).read_public(int(AK_HANDLE, 16))[-_MODULUS_BYTES:]
    key = {"kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA", "e": "AQAB"}
    claims = {
        "keys": [key | {"n": b64encode(modulus)}],
        "vm-configuration": {"secure-boot": True, "tpm-enabled": True},
        "user-data": "00" * 64,
    }
    return json.dumps(claims, separators=(",", ":")).encode()


def bound_report_data(claims: bytes) -> bytes:
    """Return the report_data with which the hardware vouches for `claims`."""
    return hashlib.sha256(claims).digest().ljust(64, b"\0")


def write_hcl_report(
    tpm: SoftwareTpm, folder: Path, hardware: bytes, claims: bytes, *, report_type: int
) -> bytes:
    """Write the HCL report to the TPM's index; returns the whole index."""
    size = 32 + 1184 + 20 + len(claims)
    numbers = (2, size, 2, 0)
    header = b"HCLA" + b"".join(number.to_bytes(4, "little") for number in numbers)
    data = (20 + len(claims), 1, report_type, 1, len(claims))
    report = header.ljust(32, b"\0") + hardware.ljust(1184, b"\0")
    report += b"".join(number.to_bytes(4, "little") for number in data) + claims
    content = report.ljust(INDEX_BYTES, b"\0")
    (folder / "hcl").write_bytes(content)
    attributes = "ownerread|ownerwrite|authread|no_da"
    tpm.tool("tpm2_nvdefine", "-C", "o", HCL_INDEX, "-s", INDEX_BYTES, "-a", attributes)
    tpm.tool("tpm2_nvwrite", "-C", "o", HCL_INDEX, "-i", folder / "hcl")
    assert TpmCommands(tpm.transmit).nv_read(int(HCL_INDEX, 16)) == content
    return content


@dataclass(slots=True)
class FakeMetadata:
    """What the metadata service answers, by path, and what it was asked."""

    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, bytes, str]] = field(default_factory=list)


@contextlib.contextmanager
def metadata_service(fake: FakeMetadata) -> Iterator[Metadata]:
    """Serve `fake` on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.asked.append((self.command, self.path, body, self.headers.get("Metadata", "")))
            status, answer = fake.answers.get(self.path, (404, b"{}"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Metadata(host="127.0.0.1", port=server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pem(*certificates: bytes) -> str:
    """Return certificates as the metadata service writes them."""
    return "".join(
        "-----BEGIN CERTIFICATE-----\n"
        + base64.encodebytes(certificate).decode()
        + "-----END CERTIFICATE-----\n"
        for certificate in certificates
    )
