"""The Gramine manifest: what it lets the enclave open, and what it never asks for."""

from __future__ import annotations

import tomllib
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.core.limits import GIB
from sealtune.errors import Code, SealtuneError
from sealtune.image.sgx.template import (
    ENCLAVE_BYTES_MAX,
    FILES_MAX,
    THREADS_MAX,
    Enclave,
    read_template,
    template_text,
)

FILES = {
    "usr/bin/python3.11": "ab" * 32,
    "usr/lib/python3/dist-packages/a.py": "cd" * 32,
    "usr/lib/x86_64-linux-gnu/libstdc++.so.6": "ef" * 32,
}
ENCLAVE = Enclave(bytes=8 * GIB, threads=4)
GRAMINE = SimpleNamespace(libos="/g/libsysdb.so", runtimedir=lambda libc="glibc": f"/g/{libc}")


def rendered(text: bytes) -> dict[str, Any]:
    """Render as gramine-manifest does, with a stand-in for its own places."""
    return tomllib.loads(jinja2.Template(text.decode()).render(gramine=GRAMINE))


@pytest.fixture
def manifest() -> dict[str, Any]:
    return rendered(template_text(FILES, ENCLAVE))


def test_every_file_is_named_with_its_hash_and_nothing_else_may_be_opened(
    manifest: dict[str, Any],
) -> None:
    trusted = manifest["sgx"]["trusted_files"]
    assert trusted[:2] == ["file:/g/libsysdb.so", "file:/g/glibc/"]
    named = {entry["uri"]: entry["sha256"] for entry in trusted[2:]}
    assert named == {f"file:root/{path}": digest for path, digest in FILES.items()}
    assert manifest["sgx"]["allowed_files"] == ["file:job/"]
    assert manifest["sgx"]["file_check_policy"] == "strict"


def test_it_attests_and_cannot_be_debugged(manifest: dict[str, Any]) -> None:
    sgx = manifest["sgx"]
    assert sgx["remote_attestation"] == "dcap"
    assert sgx["debug"] is False
    assert sgx["edmm_enable"] is False
    assert sgx["enclave_size"] == "8192M"
    assert sgx["max_threads"] == ENCLAVE.max_threads >= 2 * ENCLAVE.threads
    assert (sgx["isvprodid"], sgx["isvsvn"]) == (1, 1)


def test_it_asks_for_nothing_insecure() -> None:
    assert b"insecure" not in template_text(FILES, ENCLAVE)


def test_arguments_and_environment_are_fixed(manifest: dict[str, Any]) -> None:
    loader = manifest["loader"]
    arguments = ["/usr/bin/python3.11", "-I", "-B", "-m", "sealtune.worker.enclave"]
    assert loader["argv"] == arguments
    assert manifest["libos"]["entrypoint"] == arguments[0]
    assert loader["entrypoint"] == {"uri": "file:/g/libsysdb.so"}
    assert all(isinstance(value, str) for value in loader["env"].values())
    # Gramine's C library before ours, and as many threads as the enclave has room for.
    assert loader["env"]["LD_LIBRARY_PATH"].split(":")[0] == "/lib"
    assert loader["env"]["OMP_NUM_THREADS"] == "4"


def test_it_is_one_process_that_writes_plaintext_to_memory_alone(manifest: dict[str, Any]) -> None:
    assert manifest["sys"]["disallow_subprocesses"] is True
    mounts = manifest["fs"]["mounts"]
    assert mounts[0] == {"type": "tmpfs", "path": "/tmp"}
    places = {mount["path"]: mount["uri"] for mount in mounts[1:]}
    assert places == {"/lib": "file:/g/glibc", "/usr": "file:root/usr", "/job": "file:job"}


def test_no_path_of_the_builders_is_in_it(manifest: dict[str, Any]) -> None:
    """MRENCLAVE covers the text, and must not depend on where the image lies."""
    uris = [entry["uri"] for entry in manifest["sgx"]["trusted_files"][2:]]
    assert all(uri.startswith("file:root/usr/") for uri in uris)


def test_the_same_files_in_another_order_are_the_same_text() -> None:
    assert template_text(dict(reversed(FILES.items())), ENCLAVE) == template_text(FILES, ENCLAVE)


@pytest.mark.parametrize(
    "path",
    [
        *("", "usr", "usr/", "/usr/a", "etc/a", "usr/../etc/a", "usr/./a", "usr//a", "usr/a b"),
        *("usr/a{{b}}", 'usr/a"', "usr/a\n", "usr/\u00e4", "usr/.."),
    ],
)
def test_a_path_that_could_be_read_as_something_else_is_not_written(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        template_text({path: "ab" * 32}, ENCLAVE)


def test_names_with_dots_are_ordinary() -> None:
    files = {"usr/lib/..a/.hidden": "ab" * 32}
    assert read_template(template_text(files, ENCLAVE)).files == files


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"bytes": 3 * GIB}, id="no-power-of-two"),
        pytest.param({"bytes": GIB // 2}, id="too-small"),
        pytest.param({"bytes": 2 * ENCLAVE_BYTES_MAX}, id="too-large"),
        pytest.param({"bytes": 0}, id="none"),
        pytest.param({"threads": 0}, id="no-thread"),
        pytest.param({"threads": THREADS_MAX + 1}, id="too-many-threads"),
    ],
)
def test_an_enclave_that_sgx_refuses_is_a_mistake(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="enclave"):
        Enclave(**{"bytes": GIB, "threads": 1, **values})


# -- reading ---------------------------------------------------------------------------------------


def test_what_was_written_is_read() -> None:
    read = read_template(template_text(FILES, ENCLAVE))
    assert read.files == FILES
    assert (read.enclave_size, read.max_threads) == ("8192M", ENCLAVE.max_threads)


def _changed(old: str, new: str) -> bytes:
    text = template_text(FILES, ENCLAVE)
    assert old.encode() in text
    return text.replace(old.encode(), new.encode())


ENTRY = f'{{ uri = "file:root/usr/bin/python3.11", sha256 = "{"ab" * 32}" }}'
TEMPLATES = {
    "insecure-arguments": _changed(
        "sgx.debug = false", "sgx.debug = false\nloader.insecure__use_cmdline_argv = true"
    ),
    "insecure-keys": _changed("sgx.debug = false", 'sgx.debug = false\nfs.insecure__keys.a = ""'),
    "a-quoted-insecure-name": _changed(
        "sgx.debug = false", 'sgx.debug = false\nloader."insecure__use_host_env" = true'
    ),
    "an-escaped-insecure-name": _changed(
        "sgx.debug = false", 'sgx.debug = false\nloader."\\u0069nsecure__use_host_env" = true'
    ),
    "an-open-place-more": _changed('"error"', '"{{ gramine.secret }}"'),
    "a-statement": _changed("sgx.debug = false", "sgx.debug = false # {% set a = 1 %}"),
    "a-comment-of-the-renderers": _changed("sgx.debug = false", "sgx.debug = false # {# #}"),
    "debug": _changed("debug = false", "debug = true"),
    "no-attestation": _changed('"dcap"', '"none"'),
    "another-policy": _changed('"strict"', '"allow_all_but_log"'),
    "another-folder-allowed": _changed('[ "file:job/" ]', '[ "file:job/", "file:/etc/" ]'),
    "a-file-without-hash": _changed(ENTRY, '"file:root/usr/bin/python3.11"'),
    "a-file-of-the-hosts": _changed("file:root/usr/bin", "file:/usr/bin"),
    "a-file-above": _changed("file:root/usr/bin/", "file:root/usr/../"),
    "a-file-twice": _changed(ENTRY, f"{ENTRY},\n{ENTRY}"),
    "a-member-more": _changed('sha256 = "ab', 'more = 1, sha256 = "ab'),
    "a-hash-of-another-kind": _changed("ab" * 32, "ab" * 16),
    "a-number-for-a-hash": _changed(f'"{"ab" * 32}"', "7"),
    "no-list": b"sgx.trusted_files = {}",
    "another-loader": _changed('  "file:{{ gramine.libos }}",\n', '  "file:/tmp/libos",\n'),
    "no-size": _changed('enclave_size = "8192M"', "enclave_size = 8192"),
    "no-threads": _changed("max_threads = 24", 'max_threads = "24"'),
    "no-toml": b"sgx = [",
    "no-ascii": b"# \xff",
    "empty": b"",
    "sgx-of-no-table": b"sgx = 7",
    "deep": b"a = " + b"[" * 100_000,
}


@pytest.mark.parametrize("text", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_another_template_is_refused(text: bytes) -> None:
    with pytest.raises(SealtuneError) as caught:
        read_template(text)
    assert caught.value.code is Code.IMAGE_MALFORMED


def test_limits_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealtune.image.sgx.template.TEMPLATE_BYTES_MAX", 100)
    with pytest.raises(SealtuneError, match="larger"):
        read_template(template_text(FILES, ENCLAVE))


def test_too_many_files_are_refused() -> None:
    entries = ", ".join(['""'] * (FILES_MAX + 3))
    text = template_text({}, ENCLAVE).decode().rsplit("sgx.trusted_files", 1)[0]
    with pytest.raises(SealtuneError, match="at most"):
        read_template(f"{text}sgx.trusted_files = [{entries}]".encode())


@given(st.binary(max_size=300))
def test_a_reader_raises_only_our_errors(data: bytes) -> None:
    with pytest.raises(SealtuneError):
        read_template(data)
