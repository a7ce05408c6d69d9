"""The Gramine manifest of an enclave, as text that Gramine's own tools complete and sign.

Whatever the enclave may open is named with its hash, relative to the folder in which it is started:
MRENCLAVE does not depend on where that is (spec/image §9). Left open are the places of Gramine's
own files alone. Syntax: Gramine's documentation, "Manifest syntax"; none of it ran under SGX yet.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sealtune.core.environment import Place, environment
from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, FormatError

TEMPLATE_NAME: Final = "sealtune.manifest.template"
MANIFEST_STEM: Final = "sealtune"  # what gramine-sgx is given: it adds `.manifest.sgx` and `.sig`
ROOT_NAME: Final = "root"
JOB_NAME: Final = "job"
TEMPLATE_BYTES_MAX: Final = 16 * MIB  # 5x one of 16,000 files
FILES_MAX: Final = 65_536
ENCLAVE_BYTES_MIN: Final = GIB
ENCLAVE_BYTES_MAX: Final = 1024 * GIB  # the EPC of two sockets of today's largest processors
THREADS_MAX: Final = 512
# Beside torch's threads, numpy's BLAS has as many of its own; Gramine keeps a few for itself, and
# the interpreter's libraries start some.
_OTHER_THREADS: Final = 16
_PRODUCT, _VERSION = 1, 1
_PATH: Final = re.compile(r"usr(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.+-]+)+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_GRAMINE: Final = ("file:{{ gramine.libos }}", "file:{{ gramine.runtimedir() }}/")
_OPEN: Final = re.compile(r"\{\{ gramine\.(?:libos|runtimedir\(\)) \}\}")
_ARGUMENTS: Final = ("/usr/bin/python3.11", "-I", "-B", "-m", "sealtune.worker.enclave")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclave:
    """How large an enclave is, and how many threads compute in it; both are measured.

    Raises:
        ValueError: `bytes` is no power of two, which SGX demands, or one is out of bounds.
    """

    bytes: int
    threads: int

    def __post_init__(self) -> None:
        if self.bytes.bit_count() != 1 or not ENCLAVE_BYTES_MIN <= self.bytes <= ENCLAVE_BYTES_MAX:
            raise ValueError("an enclave has 1 GiB to 1 TiB, a power of two")
        if not 1 <= self.threads <= THREADS_MAX:
            raise ValueError(f"an enclave computes with 1 to {THREADS_MAX} threads")

    @property
    def max_threads(self) -> int:
        """All threads that the enclave has room for."""
        return 2 * self.threads + _OTHER_THREADS


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a template says; `files` has the SHA-256 of each by its path below the root."""

    files: Mapping[str, str]
    max_threads: int
    enclave_size: str


def template_text(files: Mapping[str, str], enclave: Enclave) -> bytes:
    """Return the template for an enclave that may open `files`, by path below the root.

    Raises:
        ValueError: a path that TOML or Gramine could read as something else.
    """
    if unsafe := [path for path in files if not _PATH.fullmatch(path)]:
        raise ValueError(f"no path for a manifest: {unsafe[0]!r}")
    listed = [
        f'  {{ uri = "file:{ROOT_NAME}/{path}", sha256 = "{digest}" }},'
        for path, digest in sorted(files.items())
    ]
    gramine = [f'  "{uri}",' for uri in _GRAMINE]
    lines = [*_settings(enclave), "sgx.trusted_files = [", *gramine, *listed, "]"]
    return "\n".join([*lines, ""]).encode("ascii")


def enclave_size_text(size: int) -> str:
    """Return `size` as a manifest has it."""
    return f"{size // MIB}M"


def _settings(enclave: Enclave) -> Iterable[str]:
    variables = {
        **environment(Place.ENCLAVE),
        # Gramine's C library first: another one's system calls would trap one by one.
        "LD_LIBRARY_PATH": "/lib:/usr/lib/x86_64-linux-gnu",
        "HOME": "/tmp",  # noqa: S108 - the enclave's own memory
        "TMPDIR": "/tmp",  # noqa: S108
        # There is no /etc/passwd, and libraries ask for a user's name.
        "USER": "worker",
        # numpy's BLAS would start a thread for each of the host's cores, some of which SGX lacks.
        "OMP_NUM_THREADS": str(enclave.threads),
    }
    yield 'loader.entrypoint.uri = "file:{{ gramine.libos }}"'
    yield f"libos.entrypoint = {_text(_ARGUMENTS[0])}"
    # Arguments of the host's are discarded, and its environment too.
    yield f"loader.argv = [{', '.join(map(_text, _ARGUMENTS))}]"
    yield 'loader.log_level = "error"'
    for name, value in variables.items():
        yield f"loader.env.{name} = {_text(value)}"
    yield 'sys.stack.size = "8M"'
    # A signal that ends it: the host could do that anyway, and later.
    yield "sys.enable_sigterm_injection = true"
    yield "sys.disallow_subprocesses = true"
    yield "fs.mounts = ["
    # First: a later mount of /tmp would hide what is mounted below it.
    yield '  { type = "tmpfs", path = "/tmp" },'
    yield '  { path = "/lib", uri = "file:{{ gramine.runtimedir() }}" },'
    yield f'  {{ path = "/usr", uri = "file:{ROOT_NAME}/usr" }},'
    yield f'  {{ path = "/{JOB_NAME}", uri = "file:{JOB_NAME}" }},'
    yield "]"
    yield "sgx.debug = false"
    yield "sgx.edmm_enable = false"
    yield f"sgx.enclave_size = {_text(enclave_size_text(enclave.bytes))}"
    yield f"sgx.max_threads = {enclave.max_threads}"
    yield 'sgx.remote_attestation = "dcap"'
    yield 'sgx.file_check_policy = "strict"'
    yield "sgx.use_exinfo = true"
    yield f"sgx.isvprodid = {_PRODUCT}"
    yield f"sgx.isvsvn = {_VERSION}"
    # What the host gives and takes: sealed or signed, so the enclave believes none of it.
    yield f'sgx.allowed_files = [ "file:{JOB_NAME}/" ]'


def _text(value: str) -> str:
    return json.dumps(value)


def read_template(data: bytes) -> Template:
    """Return what the template `data` says, once it lets the enclave open nothing unnamed.

    Raises:
        FormatError: it is none, or asks Gramine for something insecure.
    """
    if len(data) > TEMPLATE_BYTES_MAX:
        raise _malformed(f"larger than {TEMPLATE_BYTES_MAX} bytes")
    try:
        text = data.decode("ascii")
        # Its open places stand in texts, so it is TOML as it is.
        value = tomllib.loads(text)
    except (ValueError, RecursionError):
        raise _malformed("not TOML in ASCII") from None
    # Anything more that Gramine's renderer replaces could become another setting.
    if any(mark in _OPEN.sub("", text) for mark in ("{{", "{%", "{#")):
        raise _malformed("more open places than those of Gramine's own files")
    if any("insecure__" in name for name in _names(value)):
        raise _malformed("it has a setting that Gramine itself calls insecure")
    sgx = value.get("sgx")
    if not isinstance(sgx, dict) or {name: sgx.get(name) for name in _FIXED} != _FIXED:
        raise _malformed(f"another sgx than {_FIXED}")
    size, threads = sgx.get("enclave_size"), sgx.get("max_threads")
    if not isinstance(size, str) or type(threads) is not int:
        raise _malformed("no size of the enclave, or no number of threads")
    return Template(files=_files(sgx.get("trusted_files")), max_threads=threads, enclave_size=size)


_FIXED: Final[Mapping[str, Any]] = {
    "debug": False,
    "remote_attestation": "dcap",
    "file_check_policy": "strict",
    "allowed_files": [f"file:{JOB_NAME}/"],
}


def _names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _names(item)


def _files(value: object) -> dict[str, str]:
    if not isinstance(value, list) or len(value) > FILES_MAX + len(_GRAMINE):
        raise _malformed(f"trusted_files is no list of at most {FILES_MAX}")
    if tuple(value[: len(_GRAMINE)]) != _GRAMINE:
        raise _malformed("Gramine's own files are not the first trusted ones")
    files: dict[str, str] = {}
    for entry in value[len(_GRAMINE) :]:
        if not isinstance(entry, dict) or entry.keys() != {"uri", "sha256"}:
            raise _malformed("a trusted file without a hash")
        uri, digest = entry["uri"], entry["sha256"]
        path = str(uri).removeprefix(f"file:{ROOT_NAME}/")
        if not isinstance(uri, str) or path == uri or not _PATH.fullmatch(path):
            raise _malformed(f"a trusted file outside of {ROOT_NAME}")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest) or path in files:
            raise _malformed("a trusted file twice, or with no SHA-256")
        files[path] = digest
    return files


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.IMAGE_MALFORMED, f"{TEMPLATE_NAME}: {reason}")
