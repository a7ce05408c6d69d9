"""A whole job started as in an SGX enclave, with a stand-in for gramine-sgx and a mock's evidence.

Launcher, forwarders, brokers, worker and sealed files are real. Nothing isolates or measures the
worker: it runs natively, with the environment of the signed manifest. Where Gramine itself is
installed, the last test runs the real image under gramine-direct.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.enclaves import laid_out, manifest_environment, signed_copy
from chain.world import CANARY, World, wait_until
from image.built import built_sgx_image
from image.sgx_folders import ENCLAVE, write_sgx_image
from sealtune.bundle.open import open_to_folder
from sealtune.errors import Code, SealtuneError
from sealtune.image.sgx.manifest import SgxImage, read_sgx_image
from sealtune.image.sgx.sign import sign_image
from sealtune.tee.events import WorkerEvent
from sealtune.tee.launcher import Sandbox, Tee
from sealtune.tee.sgx.host import SgxHost
from sealtune.tee.sgx.run import SgxLaunch
from tee import fakes_gramine

RECIPE = {"checkpoint_every_steps": 2, "epochs": 3}


@pytest.fixture(scope="module")
def host(
    tmp_path_factory: pytest.TempPathFactory, chain_mock: tuple[Path, str]
) -> Iterator[SgxHost]:
    """A host with fakes of Gramine's programs, whose worker attests with the world's mock."""
    folder = tmp_path_factory.mktemp("sgx-host")
    programs = fakes_gramine.install(folder / "bin", mock=chain_mock[0])
    for name in ("device", "aesm"):
        (folder / name).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        yield SgxHost(device=folder / "device", aesm=(folder / "aesm",))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, host: SgxHost) -> Path:
    """A signed image: what it would run is not in it."""
    folder = tmp_path_factory.mktemp("sgx-image")
    write_sgx_image(folder / "image")
    key = fakes_gramine.make_key(folder / "key.pem")
    sign_image(read_sgx_image(folder / "image"), key=key)
    return folder / "image"


@pytest.fixture
def sgx(image: Path, host: SgxHost) -> dict[str, Any]:
    """What makes a launch one in an enclave."""
    launch = SgxLaunch(
        folder=image, enclave_bytes=ENCLAVE.bytes, threads=ENCLAVE.threads, host=host
    )
    return {"tee": Tee.SGX, "tee_files": None, "sgx": launch}


def adapter(world: World, run: Path, folder: Path) -> bytes:
    open_to_folder(run / "result.sealed", folder, recipient=world.identities["clinic"])
    return (folder / "adapter_model.safetensors").read_bytes()


def test_from_contract_to_the_adapter_of_a_native_run(
    world: World, sgx: dict[str, Any], tmp_path: Path
) -> None:
    contract = world.agree("sgx-whole", recipe=RECIPE)
    events: list[WorkerEvent] = []
    run = tmp_path / "run"
    outcome = world.run(contract, run, on_event=events.append, **sgx)
    assert outcome.reported
    assert not outcome.sandboxed
    assert events[-1].event == "finished"
    assert CANARY.encode() not in outcome.result.read_bytes()
    assert {path.name for path in run.iterdir()} == {
        *("run.json", ".lock", "gramine.log", "result.sealed", "receipt.json")
    }
    plain = tmp_path / "plain"
    world.run(world.agree("sgx-plain", recipe=RECIPE), plain, sandbox=Sandbox.OFF)
    assert adapter(world, run, tmp_path / "a") == adapter(world, plain, tmp_path / "b")

    # Again: the run is over, and its receipt is reported once more.
    phases = [event.phase for event in events if event.event == "phase"]
    events.clear()
    again = world.run(contract, run, on_event=events.append, **sgx)
    assert again.receipt_digest == outcome.receipt_digest
    assert [event.phase for event in events if event.event == "phase"] == ["contract", "report"]
    assert phases[-1] == "report"


def test_a_killed_enclave_goes_on_from_its_checkpoint(
    world: World, sgx: dict[str, Any], tmp_path: Path
) -> None:
    contract = world.agree("sgx-killed", recipe=RECIPE | {"epochs": 30}, max_runs=1)
    run = tmp_path / "run"
    steps: list[int] = []
    seen: set[str] = set()

    def stop(event: WorkerEvent) -> None:
        seen.update(path.name for path in run.glob("checkpoint-*.sealed"))
        if len(seen) > 1:
            raise KeyboardInterrupt

    before = set(_workers())
    with pytest.raises(KeyboardInterrupt):
        world.run(contract, run, on_event=stop, **sgx)
    # Ctrl-C: nothing is left running, nor any folder of the run's.
    wait_until(lambda: set(_workers()) <= before)
    assert not list(Path(tempfile.gettempdir()).glob("sealtune-sgx-*"))
    assert list(run.glob("checkpoint-*.sealed"))

    def count(event: WorkerEvent) -> None:
        if event.event == "progress":
            steps.append(event.step)

    assert world.run(contract, run, on_event=count, **sgx).reported
    assert min(steps) > int(min(seen)[-15:-7])


def _workers() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"run_enclave" in command:
                found.append(entry.name)
    return found


def test_a_run_that_takes_too_long_is_ended(
    world: World, sgx: dict[str, Any], tmp_path: Path
) -> None:
    contract = world.agree("sgx-slow", recipe=RECIPE | {"epochs": 5000})
    before = set(_workers())
    with pytest.raises(SealtuneError) as caught:
        world.run(contract, tmp_path / "run", timeout_seconds=8.0, **sgx)
    assert caught.value.code is Code.WORKER_FAILED
    wait_until(lambda: set(_workers()) <= before)


def test_a_broker_that_is_away_is_told(world: World, sgx: dict[str, Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = dict.fromkeys(world.brokers, f"http://127.0.0.1:{port}")
    with pytest.raises(SealtuneError) as caught:
        world.run(world.agree("sgx-away"), tmp_path / "run", brokers=away, **sgx)
    assert caught.value.code is Code.BROKER_UNREACHABLE


def test_without_gramine_nothing_starts(
    world: World, sgx: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SealtuneError) as caught:
        world.run(world.agree("sgx-without"), tmp_path / "run", **sgx)
    assert caught.value.code is Code.TOOL_MISSING


def test_without_an_image_the_remedy_asks_for_one(world: World, tmp_path: Path) -> None:
    with pytest.raises(SealtuneError) as caught:
        world.run(world.agree("sgx-bare"), tmp_path / "run", tee=Tee.SGX, tee_files=None)
    assert caught.value.code is Code.CONFIG_INVALID
    assert "--image" in caught.value.remedy


# -- the real image --------------------------------------------------------------------------------

_LOADER, _LIBRARIES = "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu"


@pytest.fixture(scope="module")
def real_image() -> SgxImage:
    return built_sgx_image()


@pytest.mark.slow
def test_the_images_tree_runs_a_job_with_the_same_result(
    world: World, real_image: SgxImage, chain_mock: tuple[Path, str], tmp_path: Path
) -> None:
    """The tree's own interpreter, packages and worker, with this machine's C library."""
    if not Path(_LIBRARIES, "libc.so.6").exists():
        pytest.skip(f"no C library for the tree: {_LIBRARIES} is not Debian's")
    folder = tmp_path / "enclave"
    contract = world.agree("sgx-tree", recipe=RECIPE)
    job = laid_out(world, contract, signed_copy(real_image.root, tmp_path / "signed"), folder)
    libraries = f"{_LIBRARIES}:root/usr/lib/x86_64-linux-gnu"
    command = [_LOADER, "--library-path", libraries, "root/usr/bin/python3.11", "-I", "-B", "-c"]
    command += [fakes_gramine.WORKER, str(chain_mock[0])]
    environment = manifest_environment()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    plain = tmp_path / "plain"
    world.run(world.agree("sgx-beside-tree", recipe=RECIPE), plain, sandbox=Sandbox.OFF)
    assert adapter(world, job.output, tmp_path / "a") == adapter(world, plain, tmp_path / "b")


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("gramine-direct") is None, reason="Gramine is not installed (gramine-direct)"
)
def test_gramine_direct_runs_a_job_with_the_same_result(
    world: World, real_image: SgxImage, chain_mock: tuple[Path, str], tmp_path: Path
) -> None:
    """Gramine's library OS without SGX: same files, same calls; a mock attests, for DCAP is SGX's.

    The one difference to the image's manifest are the worker's arguments, which name the mock.
    """
    folder = tmp_path / "enclave"
    contract = world.agree("sgx-direct", recipe=RECIPE)
    job = laid_out(world, contract, signed_copy(real_image.root, tmp_path / "signed"), folder)
    shutil.copytree(chain_mock[0], folder / "job" / "mock")
    text = real_image.path(real_image.manifest.template).read_text()
    program = fakes_gramine.WORKER.replace('Path("job")', 'Path("/job")')
    arguments = ["/usr/bin/python3.11", "-I", "-B", "-c", program, "/job/mock"]
    lines = [
        f"loader.argv = {json.dumps(arguments)}" if line.startswith("loader.argv") else line
        for line in text.splitlines()
    ]
    (folder / "template").write_text("\n".join([*lines, ""]))
    subprocess.run(["gramine-manifest", "template", "sealtune.manifest"], cwd=folder, check=True)
    done = subprocess.run(
        ["gramine-direct", "sealtune"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    plain = tmp_path / "plain"
    world.run(world.agree("sgx-beside-direct", recipe=RECIPE), plain, sandbox=Sandbox.OFF)
    assert adapter(world, job.output, tmp_path / "a") == adapter(world, plain, tmp_path / "b")
