"""Signing and measuring an image for SGX, with stand-ins for Gramine's tools."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from image.sgx_folders import write_sgx_image
from sealtune.core.limits import GIB
from sealtune.errors import Code, SealtuneError
from sealtune.image.measure_files import SnpFirmware, measure_image
from sealtune.image.sgx.manifest import read_sgx_image
from sealtune.image.sgx.sign import MANIFEST_NAME, SIGSTRUCT_NAME, sign_image
from sealtune.image.sgx.template import Enclave
from tee import fakes_gramine


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes_gramine.make_key(tmp_path_factory.mktemp("key") / "sgx.pem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sgx_image(tmp_path / "image")
    return tmp_path / "image"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = fakes_gramine.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


def refused(act: Callable[[], object]) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        act()
    return caught.value


def test_a_signed_image_measures_to_what_was_signed(
    folder: Path, programs: Path, key: Path
) -> None:
    signed = sign_image(read_sgx_image(folder), key=key)
    values = measure_image(folder, snp=None, vm=None, sigstruct=None)
    assert values.entries["sgx"].measurements == (signed.sgx.mrenclave.hex(),)
    assert values.image == f"sha256:{read_sgx_image(folder).digest}"
    manifest = tomllib.loads((folder / MANIFEST_NAME).read_text())
    assert manifest["sgx"]["trusted_files"][0] == "file:/g/libsysdb.so"
    elsewhere = folder.with_name("elsewhere.sig")
    shutil.copyfile(folder / SIGSTRUCT_NAME, elsewhere)
    assert measure_image(folder, snp=None, vm=None, sigstruct=elsewhere) == values


def test_where_the_image_lies_and_who_signs_change_no_mrenclave(
    folder: Path, programs: Path, key: Path, tmp_path: Path
) -> None:
    other = tmp_path / "a" / "b"
    other.parent.mkdir()
    shutil.copytree(folder, other)
    another_key = fakes_gramine.make_key(tmp_path / "other.pem")
    one = sign_image(read_sgx_image(folder), key=key)
    two = sign_image(read_sgx_image(other), key=another_key)
    assert one.sgx.mrenclave == two.sgx.mrenclave
    assert one.sgx.mrsigner != two.sgx.mrsigner
    before = (folder / SIGSTRUCT_NAME).read_bytes()
    sign_image(read_sgx_image(folder), key=key)
    assert (folder / SIGSTRUCT_NAME).read_bytes() == before


def test_the_enclaves_size_is_measured(
    folder: Path, programs: Path, key: Path, tmp_path: Path
) -> None:
    write_sgx_image(tmp_path / "larger", enclave=Enclave(bytes=16 * GIB, threads=2))
    one = sign_image(read_sgx_image(folder), key=key)
    two = sign_image(read_sgx_image(tmp_path / "larger"), key=key)
    assert one.sgx.mrenclave != two.sgx.mrenclave


@pytest.mark.parametrize("missing", ["gramine-manifest", "gramine-sgx-sign"])
def test_without_gramine_the_remedy_names_it(
    folder: Path, programs: Path, key: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    (programs / missing).unlink()
    error = refused(lambda: sign_image(read_sgx_image(folder), key=key))
    assert error.code is Code.TOOL_MISSING
    assert missing in error.message
    assert "Gramine 1.9" in error.remedy
    assert not (folder / SIGSTRUCT_NAME).exists()


def test_without_a_key_the_remedy_makes_one(folder: Path, programs: Path, tmp_path: Path) -> None:
    error = refused(lambda: sign_image(read_sgx_image(folder), key=tmp_path / "none.pem"))
    assert error.code is Code.FILE_MISSING
    assert "openssl genrsa -3" in error.remedy


def test_a_signer_that_fails_leaves_nothing(folder: Path, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_text("no key")
    error = refused(lambda: sign_image(read_sgx_image(folder), key=tmp_path / "odd.pem"))
    assert error.code is Code.BUILD_FAILED
    assert "gramine-sgx-sign" in error.message
    assert not {MANIFEST_NAME, SIGSTRUCT_NAME} & {path.name for path in folder.iterdir()}


def test_an_image_that_is_not_signed_is_not_measured(folder: Path) -> None:
    error = refused(lambda: measure_image(folder, snp=None, vm=None, sigstruct=None))
    assert error.code is Code.CONFIG_INVALID
    assert "sealtune image sign" in error.remedy


def test_a_changed_image_is_not_measured(folder: Path, programs: Path, key: Path) -> None:
    sign_image(read_sgx_image(folder), key=key)
    (folder / "root/usr/bin/python3.11").write_bytes(b"other")
    error = refused(lambda: measure_image(folder, snp=None, vm=None, sigstruct=None))
    assert error.code is Code.IMAGE_MISMATCH


def test_an_image_for_sgx_boots_in_no_machine(folder: Path, tmp_path: Path) -> None:
    snp = SnpFirmware(ovmf=tmp_path / "ovmf", vcpu_types=("EPYC",), vcpus=(1,), features=1)
    error = refused(lambda: measure_image(folder, snp=snp, vm=None, sigstruct=None))
    assert error.code is Code.CONFIG_INVALID
