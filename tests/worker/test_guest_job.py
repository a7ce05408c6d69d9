"""A whole job through the guest's entry: disks in, channel out, caged, attested by a mock.

The machine is made of files (`guest_vm`): what a VM adds is shown where one is booted.
"""

from __future__ import annotations

import contextlib
import json
import platform
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.conftest import chain_mock, tiny_encoder, world  # noqa: F401
from chain.world import CANARY, World
from sealtune.bundle.open import open_to_folder
from sealtune.errors import Code, SealtuneError
from sealtune.receipt.receipt import parse_receipt
from sealtune.tee.guest.landlock import landlock_version
from sealtune.tee.output_disk import OutputDisk
from worker.guest_vm import DATA, OUTPUT_BYTES, PROGRAM, GuestMachine, frame

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or landlock_version() == 0,
    reason="the guest confines itself: x86-64 and Landlock are needed",
)
RECIPE = {"checkpoint_every_steps": 2, "epochs": 3}


@pytest.fixture
def machine(world: World) -> Iterator[Callable[..., GuestMachine]]:  # noqa: F811
    """Returns a maker of a machine for a contract; `changes` go into its job."""
    # Not in `tmp_path`, which can be too long for the address of a socket.
    short = tempfile.TemporaryDirectory(prefix="vm-")

    def make(contract: Path, *, name: str = "vm", **changes: Any) -> GuestMachine:
        root = Path(short.name, name)
        root.mkdir(exist_ok=True)
        serials = {name: f"in{number}" for number, name in enumerate(sorted(world.inputs))}
        job = {
            "format": "sealtune-job/1",
            "run_id": secrets.token_hex(16),
            "tee": "vm",
            "inputs": {
                name: {"serial": serial, "bytes": world.inputs[name].stat().st_size}
                for name, serial in serials.items()
            },
            "brokers": sorted(world.brokers),
            "output": {"serial": "out", "bytes": OUTPUT_BYTES},
            "contract": json.loads(contract.read_bytes()),
        }
        brokers = {name: broker.address for name, broker in world.brokers.items()}
        made = GuestMachine(root=root, brokers=brokers)
        made.make(job | changes, {serials[name]: path for name, path in world.inputs.items()})
        return made

    with short:
        yield make


def taken(vm: GuestMachine, folder: Path) -> dict[str, Path]:
    """Returns the files that the output disk holds."""
    folder.mkdir()
    with OutputDisk(vm.output, writable=False) as disk:
        for name in disk.files():
            disk.extract(name, folder / name)
    return {path.name: path for path in folder.iterdir()}


def adapter(world: World, vm: GuestMachine, folder: Path) -> bytes:  # noqa: F811
    """What the recipient gets out of the result."""
    result = taken(vm, folder)["result.sealed"]
    open_to_folder(result, folder / "opened", recipient=world.identities["clinic"])
    return (folder / "opened/adapter_model.safetensors").read_bytes()


def failure(vm: GuestMachine) -> dict[str, Any]:
    assert vm.events[-1]["event"] == "failed", vm.events
    return vm.events[-1]


def test_from_disks_to_a_sealed_result(world, machine, tmp_path, chain_mock) -> None:  # noqa: F811
    contract = world.agree("guest-whole", recipe=RECIPE)
    run_id = secrets.token_hex(16)
    vm = machine(contract, run_id=run_id)
    assert vm.run(chain_mock[0]) == 0
    assert vm.status == 0
    assert vm.events[-1]["event"] == "finished"
    assert vm.events[-1]["reported"]
    # Nothing but the channel says anything.
    assert vm.said == b""
    assert set(vm.opened) == set(world.brokers)
    files = taken(vm, tmp_path / "taken")
    assert set(files) == {"result.sealed", "receipt.json"}
    receipt = parse_receipt(files["receipt.json"].read_bytes())
    assert receipt.digest == vm.events[-1]["receipt"]
    assert CANARY.encode() not in vm.output.read_bytes()
    assert CANARY not in json.dumps(vm.events)

    # The cage and the disk change nothing of what is computed.
    plain = tmp_path / "plain"
    world.run(world.agree("guest-plain", recipe=RECIPE), plain)
    open_to_folder(plain / "result.sealed", tmp_path / "a", recipient=world.identities["clinic"])
    expected = (tmp_path / "a/adapter_model.safetensors").read_bytes()
    assert adapter(world, vm, tmp_path / "b") == expected

    # Once more with that disk: the run is over, and its receipt is reported again.
    again = machine(contract, run_id=run_id)
    assert again.run(chain_mock[0]) == 0
    phases = [event["phase"] for event in again.events if event["event"] == "phase"]
    assert phases == ["contract", "report"]


def held(disk: Path) -> set[int]:
    """Returns the steps of the training checkpoints that the output disk holds."""
    # It may be read while it is written.
    with contextlib.suppress(SealtuneError), OutputDisk(disk, writable=False) as opened:
        return {int(name[-15:-7]) for name in opened.files() if name.startswith("checkpoint-")}
    return set()


def killed_after(vm: GuestMachine, mock: Path, step: int) -> int:
    """Run `vm`, kill it in training; return a step after `step` whose checkpoint brokers know."""
    seen: set[int] = set()

    def kill(event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            seen.update(found for found in held(vm.output) if found > step)
            # They are kept one after the other: with a second on the disk, brokers know the first.
            if len(seen) > 1:
                assert vm.process is not None
                vm.process.kill()

    vm.on_event = kill
    assert vm.run(mock) == -9
    assert vm.status is None
    return min(seen)


@pytest.mark.slow
def test_a_machine_that_dies_goes_on_from_its_disk(
    world,  # noqa: F811
    machine,
    tmp_path,
    chain_mock,  # noqa: F811
) -> None:
    contract = world.agree("guest-dies", recipe=RECIPE | {"epochs": 30}, max_runs=1)
    run_id = secrets.token_hex(16)
    killed_after(machine(contract, run_id=run_id), chain_mock[0], 0)
    vm = machine(contract, run_id=run_id)
    older = vm.output.read_bytes()
    known = killed_after(vm, chain_mock[0], max(held(vm.output)))
    newer = vm.output.read_bytes()

    # The operator puts the disk of an earlier moment back.
    rolled_back = machine(contract, run_id=run_id)
    rolled_back.output.write_bytes(older)
    assert rolled_back.run(chain_mock[0]) == 9
    assert failure(rolled_back)["code"] == Code.CHECKPOINT_MISSING
    assert rolled_back.status == 9

    vm = machine(contract, run_id=run_id)
    vm.output.write_bytes(newer)
    assert vm.run(chain_mock[0]) == 0
    steps = [event["step"] for event in vm.events if event["event"] == "progress"]
    assert min(steps) > known
    assert set(taken(vm, tmp_path / "end")) == {"result.sealed", "receipt.json"}


def test_a_full_output_disk_stops_it(world, machine, tmp_path, chain_mock) -> None:  # noqa: F811
    vm = machine(world.agree("guest-full", recipe=RECIPE))
    vm.output.unlink()
    OutputDisk.format(vm.output, 2 * 64 * 1024 + 4096)
    vm.describe("vda", "out")
    vm.make_job(output={"serial": "out", "bytes": vm.output.stat().st_size})
    assert vm.run(chain_mock[0]) == 9
    assert failure(vm)["code"] == Code.DISK_FULL
    assert taken(vm, tmp_path / "taken") == {}


def test_a_host_that_breaks_the_channel_ends_it(world, machine, chain_mock) -> None:  # noqa: F811
    vm = machine(world.agree("guest-broken", recipe=RECIPE | {"epochs": 200}))
    sent = []

    def break_it(event: dict[str, Any]) -> None:
        if event["event"] == "progress" and not sent:
            sent.append(event)
            vm.send(frame(DATA, 77, b"x"))

    vm.on_event = break_it
    assert vm.run(chain_mock[0]) == 4
    assert failure(vm)["code"] == Code.CHANNEL_MALFORMED
    # Keys were there: the text stays inside.
    assert "message" not in failure(vm)
    assert vm.status == 4


def test_a_host_that_reads_no_more_keeps_no_worker(world, machine, chain_mock) -> None:  # noqa: F811
    vm = machine(world.agree("guest-deaf", recipe=RECIPE | {"epochs": 200}))

    def break_it(event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            vm.deaf = True
            vm.send(frame(DATA, 77, b"x"))

    vm.on_event = break_it
    assert vm.run(chain_mock[0], timeout=120) == 4
    assert vm.status is None


def test_a_broker_that_the_host_withholds_is_not_reached(
    world,  # noqa: F811
    machine,
    chain_mock,  # noqa: F811
) -> None:
    vm = machine(world.agree("guest-withheld"))
    vm.brokers = dict.fromkeys(vm.brokers, "http://127.0.0.1:1")
    assert vm.run(chain_mock[0]) == 8
    assert failure(vm)["code"] == Code.BROKER_UNREACHABLE


def test_a_broker_that_dies_on_the_way_costs_nothing(
    world,  # noqa: F811
    machine,
    tmp_path,
    chain_mock,  # noqa: F811
) -> None:
    """Its keys are released; then it is gone, and checkpoints and receipt reach one broker only.

    The result is there all the same, and the same disk reports it once the broker is back.
    """
    # One checkpoint: each waits for the broker for as long as a worker's patience lasts.
    recipe = {"checkpoint_every_steps": 4, "epochs": 1}
    contract = world.agree("guest-bereft", recipe=recipe)
    run_id = secrets.token_hex(16)
    vm = machine(contract, run_id=run_id)
    broker = world.brokers["hospital-broker"]

    def kill(event: dict[str, Any]) -> None:
        if event.get("phase") == "train":
            broker.kill()

    vm.on_event = kill
    try:
        assert vm.run(chain_mock[0]) == 0
    finally:
        broker.start()
    assert "checkpoint-not-anchored" in {event["event"] for event in vm.events}
    assert vm.events[-1]["event"] == "finished"
    assert not vm.events[-1]["reported"]
    assert {"result.sealed", "receipt.json"} <= set(taken(vm, tmp_path / "taken"))

    again = machine(contract, run_id=run_id)
    assert again.run(chain_mock[0]) == 0
    assert again.events[-1]["reported"]


@pytest.mark.parametrize("spoil", ["job", "output", "input", "no-job-disk"])
def test_what_is_wrong_with_the_disks_is_told(
    spoil: str,
    world,  # noqa: F811
    machine,
    chain_mock,  # noqa: F811
) -> None:
    vm = machine(world.agree(f"guest-spoilt-{spoil}"))
    devices = vm.root / "dev"
    if spoil == "no-job-disk":
        (vm.root / "block/vdb/serial").write_text("other")
    elif spoil == "input":
        data = bytearray((devices / "vdc").read_bytes())
        data[len(data) // 2] ^= 1
        (devices / "vdc").write_bytes(data)
    else:
        (devices / {"job": "vdb", "output": "vda"}[spoil]).write_bytes(bytes(1024 * 1024))
    expected = {
        "job": Code.CONFIG_INVALID,
        "output": Code.OUTPUT_DISK_MALFORMED,
        "no-job-disk": Code.CONFIG_INVALID,
    }
    assert vm.run(chain_mock[0]) == vm.status != 0
    if spoil != "input":
        assert failure(vm)["code"] == expected[spoil]
    assert not taken_or_none(vm)


def taken_or_none(vm: GuestMachine) -> object:
    with contextlib.suppress(Exception), OutputDisk(vm.output, writable=False) as disk:
        return disk.files()
    return None


def test_a_machine_without_a_channel_says_nothing(machine, world, chain_mock) -> None:  # noqa: F811
    vm = machine(world.agree("guest-mute"))
    (vm.root / "ports/vport1p1/name").write_text("another")
    program = PROGRAM.replace("sys.exit(run_guest(machine))", "sys.exit(quiet())").replace(
        "machine = Machine(", "import sealtune.worker.guest as guest\nmachine = Machine("
    )
    program = program.replace(
        "sys.exit(quiet())", "guest.Machine = lambda: machine\nsys.exit(guest.main())"
    )
    assert vm.run(chain_mock[0], program=program) == 1
    assert (vm.said, vm.events, vm.status) == (b"", [], None)
