"""A real QEMU, its firmware and swtpm boot a guest of a few kilobytes that looks around.

What the enclave image's own guest does is tested where that is built. Here a kernel is enough:
`SEALTUNE_TEST_KERNEL`, or the newest /boot/vmlinuz-*, with its modules beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.output_disk import DATA_START
from sealtune.tee.qemu.arguments import Acceleration, Boot
from sealtune.tee.qemu.machine import Limits
from sealtune.tee.qemu.run import VmHost, VmImage, VmJob, VmSize, run_in_vm
from sealtune.tee.qemu.tools import QEMU_MINIMUM, find_firmware, find_qemu
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import make_scene
from tee.fakes_qemu import running
from tee.fakes_swtpm import require_tools

pytestmark = pytest.mark.slow

LIMITS = Limits(greeting_seconds=240, total_seconds=300)
# The kernel hands what it does not know to init: `mode` and `want` are variables here.
INIT = r"""#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
[ "$mode" = panic ] && exit 1
[ "$mode" = silent ] && $B sleep 1000
for module in /modules/*.ko; do $B insmod $module; done
for name in /sys/class/virtio-ports/*/name; do
  [ "$($B cat $name)" = sealtune.channel ] && folder=${name%/name}
done
exec 3<>/dev/${folder##*/}
$B printf '\000\000\000\000\000\022\000\000\000sealtune-channel/1' >&3
$B head -c 27 <&3 >/answer
end() {
  $B printf '\006\000\000\000\000\014\000\000\000{"status":%s}' "$1" >&3
  $B sleep 1
  $B poweroff -f
  $B sleep 100
}
[ "$($B tail -c 18 /answer)" = sealtune-channel/1 ] || end 1
for disk in /sys/block/vd*; do
  eval "$($B cat $disk/serial)=/dev/${disk##*/}"
  count=x$count
done
[ "$count" = xxxx ] || end 2
[ "$($B sha256sum <$in0)" = "$want  -" ] || end 3
$B dd if=/dev/zero of=$in0 bs=512 count=1 conv=fsync 2>/dev/null && end 4
[ -z "$($B ls /sys/class/net | $B grep -v lo)" ] || end 5
[ -c /dev/tpm0 ] || end 6
[ "$($B head -c 8 $job)" = SEALJOB1 ] || end 7
echo left | $B dd of=$out bs=512 seek=300 conv=fsync 2>/dev/null || end 8
$B printf '\005\000\000\000\000\024\000\000\000{"event":"finished"}' >&3
end 0
"""


def member(name: str, data: bytes, mode: int, *, device: int = 0) -> bytes:
    """One file of a cpio archive (newc)."""
    path = name.encode() + b"\0"
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, device >> 8, device & 255, len(path), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return pad(head + path) + pad(data)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def find_kernel() -> Path:
    given = os.environ.get("SEALTUNE_TEST_KERNEL")
    kernels = [Path(given)] if given else sorted(Path("/boot").glob("vmlinuz-*"))[-1:]
    if not kernels or not os.access(kernels[0], os.R_OK):
        pytest.skip(
            "no kernel in /boot: run tests/tee/install-tools.sh, or set SEALTUNE_TEST_KERNEL"
        )
    return kernels[0]


def find_modules(kernel: Path) -> dict[str, bytes]:
    version = kernel.name.removeprefix("vmlinuz-")
    for root in (kernel.parent.parent / "usr", kernel.parent.parent):
        packed = root / f"lib/modules/{version}/kernel/drivers/block/virtio_blk.ko.xz"
        if packed.is_file():
            return {"virtio_blk.ko": lzma.decompress(packed.read_bytes())}
    return {}


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    """A kernel and an initrd with busybox and the script above."""
    require_tools("qemu-system-x86_64", "swtpm", "swtpm_setup", "swtpm_localca", "busybox")
    try:
        find_qemu(minimum=QEMU_MINIMUM)
        find_firmware(None, None)
    except ConfigError as error:
        pytest.skip(f"{error.message}: {error.remedy}")
    kernel = find_kernel()
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    archive = b"".join(member(name, b"", 0o40755) for name in ("bin", "dev", "proc", "sys"))
    archive += member("modules", b"", 0o40755)
    archive += member("dev/console", b"", 0o20600, device=5 << 8 | 1)
    archive += member("bin/busybox", busybox, 0o100755)
    archive += member("init", INIT.encode(), 0o100755)
    for name, data in find_modules(kernel).items():
        archive += member(f"modules/{name}", data, 0o100644)
    initrd = tmp_path_factory.mktemp("boot") / "initrd.gz"
    initrd.write_bytes(gzip.compress(archive + member("TRAILER!!!", b"", 0), 1))
    return Boot(kernel=kernel, initrd=initrd, cmdline="panic=-1 quiet")


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boot-tpm") / "tpm"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of this test's temporary files; its path has to be short."""
    with tempfile.TemporaryDirectory(prefix="q-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def job(tmp_path: Path, mock_amd: MockAmd) -> VmJob:
    scene = make_scene(tmp_path / "scene", mock=mock_amd, now=datetime.now(UTC))
    notes = tmp_path / "notes, with=odd name"
    # Not whole blocks, and larger than one of the pieces in which QEMU reads.
    notes.write_bytes(os.urandom(3 * 1024 * 1024 + 77))
    output = tmp_path / "run"
    output.mkdir()
    return VmJob(
        contract=scene.envelope,
        contract_digest=scene.contract.digest,
        run_id="00" * 16,
        inputs={"notes": notes},
        brokers={"hospital-broker": "http://127.0.0.1:9"},
        output=output,
    )


def launch(
    job: VmJob,
    boot: Boot,
    tpm: Path,
    mode: str,
    *,
    acceleration: Acceleration | None = Acceleration.TCG,
    limits: Limits = LIMITS,
) -> WorkerEvent:
    data = job.inputs["notes"].read_bytes()
    want = hashlib.sha256(data + bytes(-len(data) % 512)).hexdigest()
    cmdline = f"{boot.cmdline} mode={mode} want={want}"
    root = job.output.parent / "root.img"
    root.write_bytes(bytes(4096))
    debug = mode == "panic"
    finish, _ = run_in_vm(
        job,
        image=VmImage(
            boot=Boot(
                kernel=boot.kernel,
                initrd=boot.initrd,
                cmdline=cmdline + (" console=ttyS0" if debug else ""),
            ),
            root=root,
            debug=debug,
        ),
        host=VmHost(tpm=tpm, acceleration=acceleration),
        size=VmSize(processors=2, memory_mib=768, output_bytes=DATA_START + 1024 * 1024),
        limits=limits,
        on_event=lambda _: None,
    )
    return finish


def test_a_guest_sees_its_disks_its_tpm_and_nothing_else(
    job: VmJob, boot: Boot, tpm: Path, own: Path
) -> None:
    if not find_modules(boot.kernel):
        pytest.skip("the kernel's module virtio_blk is not beside it")
    before = job.inputs["notes"].read_bytes()
    # Whatever this host's KVM is worth: where it fails, the machine is emulated.
    assert launch(job, boot, tpm, "look", acceleration=None).event == "finished"
    assert job.inputs["notes"].read_bytes() == before
    assert (job.output / "output.disk").read_bytes()[300 * 512 :].startswith(b"left\n")
    assert running(str(own)) == []


def test_a_guest_that_panics_is_told_from_one_that_finished(
    job: VmJob, boot: Boot, tpm: Path, own: Path
) -> None:
    # QEMU itself ends with 0 then.
    with pytest.raises(SealtuneError, match="before it said anything") as error:
        launch(job, boot, tpm, "panic")
    assert error.value.code is Code.GUEST_FAILED
    assert "Kernel panic" in error.value.message
    assert running(str(own)) == []


def test_a_guest_that_hangs_before_its_first_word(
    job: VmJob, boot: Boot, tpm: Path, own: Path
) -> None:
    limits = Limits(greeting_seconds=6, total_seconds=None)
    with pytest.raises(SealtuneError) as error:
        launch(job, boot, tpm, "silent", limits=limits)
    assert error.value.code is Code.GUEST_SILENT
    assert running(str(own)) == []
