"""Before an enclave starts: what the host must have, what must fit, and what it is given."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image.sgx_folders import write_sgx_image
from sealtune.contract.enclave import Enclave
from sealtune.contract.schema import Contract
from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, SealtuneError
from sealtune.tee.sgx import host as host_module
from sealtune.tee.sgx.host import SgxHost, require_sgx
from sealtune.tee.sgx.run import SgxJob, SgxLaunch, check_fit, lay_out, run_in_enclave
from sealtune.tee.sgx.size import enclave_size, job_peak, needed_bytes
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene
from sealtune.worker.enclave import read_job
from tee import fakes_gramine

RUN_ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, mock_amd: MockAmd, now: Any) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"), mock=mock_amd, now=now)


@pytest.fixture
def job(scene: Scene, tmp_path: Path) -> SgxJob:
    (tmp_path / "run").mkdir()
    (tmp_path / "contract.json").write_bytes(scene.envelope.to_json())
    return SgxJob(
        contract=scene.contract.contract,
        contract_file=tmp_path / "contract.json",
        run_id=RUN_ID,
        inputs={name: scene.folder / f"{name}.sealed" for name in scene.inputs},
        brokers=dict.fromkeys(scene.contract.contract.brokers, "http://127.0.0.1:9"),
        output=tmp_path / "run",
    )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SgxHost:
    """A host with a fake of gramine-sgx, and files where devices would be."""
    fakes_gramine.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "sgx_enclave").touch()
    (tmp_path / "aesm").touch()
    return SgxHost(device=tmp_path / "sgx_enclave", aesm=(tmp_path / "no", tmp_path / "aesm"))


@pytest.fixture
def launch(host: SgxHost, tmp_path: Path) -> SgxLaunch:
    write_sgx_image(tmp_path / "image")
    for name in ("sealtune.manifest.sgx", "sealtune.sig"):
        (tmp_path / "image" / name).write_bytes(name.encode())
    return SgxLaunch(folder=tmp_path / "image", enclave_bytes=8 * GIB, threads=4, host=host)


def refused(act: Callable[[], object]) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        act()
    return caught.value


# -- the host --------------------------------------------------------------------------------------


def test_a_host_that_has_all_of_it(host: SgxHost, tmp_path: Path) -> None:
    assert require_sgx(host) == str(tmp_path / "bin/gramine-sgx")


def test_a_host_without_gramine(host: SgxHost, tmp_path: Path) -> None:
    (tmp_path / "bin/gramine-sgx").unlink()
    error = refused(lambda: require_sgx(host))
    assert error.code is Code.TOOL_MISSING
    assert "Gramine 1.9" in error.remedy


def test_a_host_with_an_old_gramine(host: SgxHost, tmp_path: Path) -> None:
    fakes_gramine.install(tmp_path / "bin", version="1.7")
    error = refused(lambda: require_sgx(host))
    assert error.code is Code.TOOL_TOO_OLD
    assert "1.7" in error.message


@pytest.mark.parametrize("version", ["1.9", "1.10.2", "2.0", "unknown"])
def test_a_version_that_may_do(host: SgxHost, tmp_path: Path, version: str) -> None:
    fakes_gramine.install(tmp_path / "bin", version=version)
    assert require_sgx(host)


def test_a_starter_that_does_not_answer_is_tried(
    host: SgxHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = tmp_path / "bin/gramine-sgx"
    starter.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(host_module, "_SECONDS", 0.1)
    assert require_sgx(host) == str(starter)


def test_a_host_without_the_device(host: SgxHost, tmp_path: Path) -> None:
    (tmp_path / "sgx_enclave").unlink()
    error = refused(lambda: require_sgx(host))
    assert error.code is Code.TEE_UNAVAILABLE
    assert "CONFIG_X86_SGX" in error.remedy


def test_a_user_who_may_not_use_the_device(host: SgxHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module.os, "access", lambda path, mode: "sgx_enclave" not in str(path))
    monkeypatch.setattr(host_module.shutil, "which", lambda name: f"/bin/{name}")
    error = refused(lambda: require_sgx(host))
    assert error.code is Code.TEE_UNAVAILABLE
    assert "usermod" in error.remedy


def test_a_host_that_makes_no_quotes(host: SgxHost, tmp_path: Path) -> None:
    (tmp_path / "aesm").unlink()
    error = refused(lambda: require_sgx(host))
    assert error.code is Code.TEE_UNAVAILABLE
    assert "aesm" in error.remedy


# -- size ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "threads", "expected"),
    [
        (0, 1, GIB),
        (480 * MIB, 1, GIB),
        (480 * MIB + 1, 1, 2 * GIB),
        (2_300_000_000, 1, 4 * GIB),
        (4 * GIB - 544 * MIB, 1, 4 * GIB),
        (4 * GIB, 1, 8 * GIB),
        (7 * GIB, 32, 16 * GIB),
    ],
)
def test_an_enclave_is_the_next_power_of_two(peak: int, threads: int, expected: int) -> None:
    size = enclave_size(peak, threads=threads)
    assert size == expected
    assert size >= needed_bytes(peak, threads=threads)


def test_the_sizes_of_the_sealed_inputs_count(job: SgxJob, tmp_path: Path) -> None:
    before = job_peak(job.contract, job.inputs)
    name = job.contract.recipe.model
    larger = tmp_path / "larger.sealed"
    with larger.open("wb") as file:
        file.truncate(job.inputs[name].stat().st_size + GIB)
    assert job_peak(job.contract, {**job.inputs, name: larger}) > before + GIB
    error = refused(lambda: job_peak(job.contract, {**job.inputs, name: tmp_path / "none"}))
    assert error.code is Code.FILE_MISSING


def _with_recipe(contract: Contract, **changes: Any) -> Contract:
    recipe = dataclasses.replace(contract.recipe, **changes)
    return contract.model_copy(update={"recipe": recipe})


def test_a_job_that_does_not_fit_is_refused_with_both_figures(
    job: SgxJob, launch: SgxLaunch
) -> None:
    check_fit(job, launch)
    small = dataclasses.replace(launch, enclave_bytes=2 * GIB)
    error = refused(lambda: check_fit(job, small))
    assert error.code is Code.CONFIG_INVALID
    assert "the enclave has 2.0 GiB" in error.message
    assert "--enclave-size 4G" in error.remedy


def test_more_threads_than_the_enclave_has_are_refused(
    job: SgxJob, launch: SgxLaunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = dataclasses.replace(job, contract=_with_recipe(job.contract, threads=5))
    error = refused(lambda: check_fit(many, launch))
    assert error.code is Code.CONFIG_INVALID
    assert "5 threads" in error.message
    # 0 is every core that the process may use.
    every = dataclasses.replace(job, contract=_with_recipe(job.contract, threads=0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    assert "64 threads" in refused(lambda: check_fit(every, launch)).message


# -- what the enclave is given ---------------------------------------------------------------------


def test_the_worker_reads_the_job_that_was_laid_out(
    job: SgxJob, launch: SgxLaunch, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    ports = {name: 4000 + number for number, name in enumerate(job.brokers)}
    lay_out(folder, job, image=launch.folder, ports=ports)
    read = read_job(folder / "job")
    assert read.run_id == RUN_ID
    assert read.brokers == {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    assert read.contract.read_bytes() == job.contract_file.read_bytes()
    assert {name: path.resolve() for name, path in read.inputs.items()} == {
        name: path.resolve() for name, path in job.inputs.items()
    }
    assert read.output.resolve() == job.output.resolve()
    assert (folder / "root/usr/bin/python3.11").is_file()
    assert (folder / "sealtune.sig").read_bytes() == b"sealtune.sig"


def test_an_image_that_is_not_signed_is_not_started(job: SgxJob, launch: SgxLaunch) -> None:
    (launch.folder / "sealtune.sig").unlink()
    error = refused(
        lambda: run_in_enclave(
            job, launch=launch, timeout_seconds=None, on_event=lambda _event: None
        )
    )
    assert error.code is Code.CONFIG_INVALID
    assert "sealtune image sign" in error.remedy


@pytest.mark.parametrize("at_launch", [True, False])
def test_a_digest_that_gramine_cannot_fix_is_said_before(
    job: SgxJob, launch: SgxLaunch, at_launch: bool
) -> None:
    entry = Enclave.model_validate(
        {
            "name": "sgx",
            "kind": "sgx",
            "measurements": ("ab" * 32,),
            "tcb_statuses": ("UpToDate",),
            "contract_at_launch": at_launch,
        }
    )
    contract = job.contract.model_copy(update={"enclaves": (entry,)})
    (launch.folder / "sealtune.sig").unlink()
    error = refused(
        lambda: run_in_enclave(
            dataclasses.replace(job, contract=contract),
            launch=launch,
            timeout_seconds=None,
            on_event=lambda _event: None,
        )
    )
    assert error.code is Code.CONFIG_INVALID
    assert ("contract_at_launch" in error.remedy) is at_launch


def test_what_gramine_says_is_kept_where_the_error_names_it(
    job: SgxJob, launch: SgxLaunch, tmp_path: Path
) -> None:
    starter = tmp_path / "bin/gramine-sgx"
    starter.write_text("#!/bin/sh\necho no such enclave >&2\nexit 3\n")
    error = refused(
        lambda: run_in_enclave(
            job, launch=launch, timeout_seconds=None, on_event=lambda _event: None
        )
    )
    assert error.code is Code.WORKER_FAILED
    assert "status 3" in error.message
    log = job.output / "gramine.log"
    assert str(log) in error.remedy
    assert log.read_text() == "no such enclave\n"


# -- the job as the worker reads it ----------------------------------------------------------------

JOB: dict[str, Any] = {
    "format": "sealtune-enclave-job/1",
    "run_id": RUN_ID,
    "inputs": ["encoder", "notes"],
    "brokers": {"hospital-broker": 4000},
}


def test_a_job_says_where_things_are(tmp_path: Path) -> None:
    (tmp_path / "job").write_text(json.dumps(JOB))
    read = read_job(tmp_path)
    assert read.inputs == {"encoder": tmp_path / "in0", "notes": tmp_path / "in1"}
    assert read.brokers == {"hospital-broker": "http://127.0.0.1:4000"}
    assert (read.contract, read.output) == (tmp_path / "contract", tmp_path / "out")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="no-object"),
        pytest.param({**JOB, "format": "sealtune-job/1"}, id="another-format"),
        pytest.param({**JOB, "tee": "sgx"}, id="a-member-more"),
        pytest.param({k: v for k, v in JOB.items() if k != "inputs"}, id="a-member-less"),
        pytest.param({**JOB, "run_id": "../x"}, id="no-run-id"),
        pytest.param({**JOB, "run_id": 7}, id="a-number-for-a-run-id"),
        pytest.param({**JOB, "inputs": {}}, id="inputs-of-no-list"),
        pytest.param({**JOB, "inputs": ["a"] * 65}, id="too-many-inputs"),
        pytest.param({**JOB, "inputs": ["a", "a"]}, id="an-input-twice"),
        pytest.param({**JOB, "inputs": ["../a"]}, id="an-input-above"),
        pytest.param({**JOB, "inputs": [["a"]]}, id="an-input-of-no-text"),
        pytest.param({**JOB, "brokers": []}, id="brokers-of-no-object"),
        pytest.param({**JOB, "brokers": {f"b{n}": 1 for n in range(65)}}, id="too-many-brokers"),
        pytest.param({**JOB, "brokers": {"a": 0}}, id="port-zero"),
        pytest.param({**JOB, "brokers": {"a": 65536}}, id="a-port-too-high"),
        pytest.param({**JOB, "brokers": {"a": True}}, id="a-port-of-no-number"),
        pytest.param({**JOB, "brokers": {"a": "80@host"}}, id="an-address-for-a-port"),
        pytest.param({**JOB, "brokers": {"A/b": 80}}, id="a-broker-of-no-name"),
    ],
)
def test_another_job_is_refused(tmp_path: Path, value: Any) -> None:
    (tmp_path / "job").write_text(json.dumps(value))
    with pytest.raises(SealtuneError) as caught:
        read_job(tmp_path)
    assert caught.value.code is Code.CONFIG_INVALID


def test_a_job_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    assert refused(lambda: read_job(tmp_path)).code is Code.FILE_MISSING
    (tmp_path / "job").write_text(" " * 70_000)
    assert refused(lambda: read_job(tmp_path)).code is Code.LIMIT_EXCEEDED
