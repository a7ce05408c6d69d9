"""`sealtune image` and `sealtune run` for SGX, as far as no image is built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sealtune
from cli.said import Sealtune
from image.sgx_folders import write_sgx_image
from sealtune.cli.image_plan import build_plan, sgx_plan, sgx_sources
from sealtune.cli.image_sgx import EnclaveOptions
from sealtune.cli.run_sgx import sgx_launch
from sealtune.core.limits import GIB
from sealtune.image.sgx.manifest import read_sgx_image
from sealtune.tee.measure import enclave_modules
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene
from tee import fakes_gramine

BUILD = ("image", "build", "--tee", "sgx", "-o", "image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sgx_image(tmp_path / "image")
    return tmp_path / "image"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, mock_amd: MockAmd, now) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"), mock=mock_amd, now=now)


def test_an_image_is_shown(folder: Path, sealtune_: Sealtune) -> None:
    found = sealtune_("image", "show", folder, "--inputs", "--json").json
    assert found["tee"] == "sgx"
    assert found["enclave"] == {"bytes": 8 * GIB, "threads": 2}
    assert found["tree"]["files"] == 3
    assert found["inputs"][0]["name"] == "a"
    text = sealtune_("image", "show", folder).out
    assert "8 GiB, 2 computing threads" in text
    assert "3 files" in text


def test_a_changed_tree_is_not_shown(folder: Path, sealtune_: Sealtune) -> None:
    (folder / "root/usr/bin/sh").write_bytes(b"#!")
    said = sealtune_("image", "show", folder, "--json")
    assert (said.status, said.error["code"]) == (5, "image-mismatch")


def test_signing_shows_mrenclave_and_measuring_finds_it(
    folder: Path, tmp_path: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsigned = sealtune_("image", "measure", folder, "--json")
    assert unsigned.error["code"] == "config-invalid"
    assert "sealtune image sign" in unsigned.error["remedy"]
    programs = fakes_gramine.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    key = fakes_gramine.make_key(tmp_path / "sgx.pem")
    signed = sealtune_("image", "sign", folder, "--key", key, "--json").json
    values = sealtune_("image", "measure", folder, "--json").json
    assert values["entries"]["sgx"]["measurements"] == [signed["mrenclave"]]
    assert values["image"] == signed["image"]
    assert signed["mrenclave"] in sealtune_("image", "sign", folder, "--key", key).out


def test_signing_without_gramine_says_where_it_comes_from(
    folder: Path, tmp_path: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = sealtune_("image", "sign", folder, "--key", tmp_path / "sgx.pem", "--json")
    assert said.error["code"] == "tool-missing"
    assert "Gramine 1.9" in said.error["remedy"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="no-size"),
        pytest.param(("--enclave-size", "3G"), id="no-power-of-two"),
        pytest.param(("--enclave-size", "8"), id="no-unit"),
        pytest.param(("--enclave-size", "2048G"), id="too-large"),
        pytest.param(("--enclave-size", "8G", "--job", "c.json"), id="size-and-job"),
        pytest.param(("--enclave-size", "8G", "--input", "a=b"), id="an-input-of-no-job"),
        pytest.param(("--enclave-size", "8G", "--threads", "0"), id="no-thread"),
    ],
)
def test_an_enclave_that_is_not_described(options: tuple[str, ...], sealtune_: Sealtune) -> None:
    assert sealtune_(*BUILD, *options).status == 2


def test_a_virtual_machine_has_no_enclave(sealtune_: Sealtune) -> None:
    assert sealtune_("image", "build", "-o", "image", "--enclave-size", "8G").status == 2


def options(**given: object) -> EnclaveOptions:
    values = {"enclave_size": None, "threads": None, "job": None, "inputs": ()}
    return EnclaveOptions(**values | given)


def test_a_size_is_taken_as_it_is() -> None:
    enclave = options(enclave_size=4 * GIB, threads=3).enclave()
    assert (enclave.bytes, enclave.threads) == (4 * GIB, 3)
    assert options(enclave_size=4 * GIB).enclave().threads == 1


def test_a_jobs_inputs_and_recipe_make_the_size(
    scene: Scene, tmp_path: Path, sealtune_: Sealtune
) -> None:
    contract = tmp_path / "contract.json"
    contract.write_bytes(scene.envelope.to_json())
    inputs = [(name, str(scene.folder / f"{name}.sealed")) for name in scene.inputs]
    enclave = options(job=contract, inputs=inputs, threads=2).enclave()
    assert enclave.bytes == 4 * GIB
    larger = tmp_path / "larger.sealed"
    with larger.open("wb") as file:
        file.truncate(3 * GIB)
    more = [*[pair for pair in inputs if pair[0] != "encoder"], ("encoder", str(larger))]
    assert options(job=contract, inputs=more, threads=2).enclave().bytes >= 8 * GIB
    with larger.open("wb") as file:
        file.truncate(900 * GIB)
    words = [word for name, place in more for word in ("--input", f"{name}={place}")]
    said = sealtune_(*BUILD, "--job", contract, *words, "--threads", "2", "--json")
    assert said.error["code"] == "config-invalid"
    assert sealtune_(*BUILD, "--job", contract, "--threads", "2").status == 2


def test_the_code_of_an_enclave_is_the_workers_modules() -> None:
    plan = build_plan(cache=None, work=None, jobs=None, mirror=None, security_mirror=None)
    found = sgx_plan(plan).sources
    assert found == sgx_sources()
    assert found.code.modules == len(enclave_modules())
    assert "sealtune/worker/enclave.py" in {file.path for file in found.files}


def test_a_launch_takes_the_enclave_of_the_image(folder: Path) -> None:
    from cli.test_run_options import options as vm_options

    launch = sgx_launch(folder, options=vm_options())
    assert launch == sealtune.SgxLaunch(folder=folder, enclave_bytes=8 * GIB, threads=2)
    assert read_sgx_image(folder).manifest.enclave.threads == launch.threads


def test_a_vm_is_not_described_for_an_enclave(
    folder: Path, tmp_path: Path, sealtune_: Sealtune
) -> None:
    run = ("run", tmp_path / "contract.json", "-o", tmp_path / "run", "--tee", "sgx")
    assert sealtune_(*run, "--image", folder, "--vcpu-type", "EPYC-Milan").status == 2
    assert sealtune_(*run, "--image", folder, "--tee-files", tmp_path).status == 2


def test_an_image_for_another_tee_is_refused(tmp_path: Path, sealtune_: Sealtune) -> None:
    from image.folders import write_image

    write_image(tmp_path / "vm")
    write_sgx_image(tmp_path / "sgx")
    run = ("run", tmp_path / "contract.json", "-o", tmp_path / "run", "--json")
    assert sealtune_(*run, "--tee", "sgx", "--image", tmp_path / "vm").error["code"] == (
        "image-malformed"
    )
    said = sealtune_(*run, "--tee", "vm", "--image", tmp_path / "sgx")
    assert said.error["code"] == "config-invalid"
