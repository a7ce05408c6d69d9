"""A bundle that lies at the start of a disk, which is longer than the bundle."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from sealtune.bundle import file as bundle_file
from sealtune.bundle.file import BundleFile
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, FormatError, SealtuneError

KEY = ContentKey.generate()


@pytest.fixture
def bundle(tmp_path: Path) -> bytes:
    path = tmp_path / "bundle"
    with path.open("wb") as file:
        writer = BundleWriter(file, kind=BundleKind.DATASET, owner=SigningKey.generate(), key=KEY)
        writer.add_entry("shard", b'{"text":"a"}\n', media=Media.RECORDS, count=1)
        writer.finish(facts={}, recipients=[RecipientKey.generate().public])
    return path.read_bytes()


def test_only_the_bundles_length_of_it_is_read(bundle: bytes, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bundle + b"\xee" * 777)
    with open_bundle_file(disk, length=len(bundle)) as opened:
        assert opened.size == len(bundle)
        read = [bytes(plain) for _, plain in opened.unlock(KEY).read_all()]
    assert read == [b'{"text":"a"}\n']


@pytest.mark.parametrize("change", [-1, 1, 100])
def test_another_length_is_another_bundle(change: int, bundle: bytes, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bundle + bundle)
    with pytest.raises(FormatError):
        open_bundle_file(disk, length=len(bundle) + change)


@pytest.mark.parametrize("length", [-1, 1000, 2**60])
def test_a_length_that_the_disk_has_not_is_refused(length: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"x" * 999)
    with pytest.raises(FormatError) as error:
        BundleFile(disk, length=length)
    assert error.value.code is Code.BUNDLE_TRUNCATED


def test_reads_stay_within_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"0123456789")
    file = BundleFile(disk, length=6)
    assert file.read(6, offset=0) == b"012345"
    assert file.read(2, offset=4) == b"45"
    for length, offset in ((1, 6), (2, 5), (7, 0), (0, 7)):
        with pytest.raises(FormatError) as error:
            file.read(length, offset=offset)
        assert error.value.code is Code.BUNDLE_TRUNCATED
    file.close()


def test_a_pipe_is_no_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError):
        BundleFile(tmp_path / "pipe", length=0)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a disk of a file")
def test_a_real_disk_has_its_length_from_its_end(bundle: bytes, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bundle + b"\xee" * (-len(bundle) % 4096))
    made = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", str(image)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("this machine has no loop devices")
    disk = Path(made.stdout.strip())
    try:
        with open_bundle_file(disk, length=len(bundle)) as opened:
            assert opened.size == len(bundle)
        with pytest.raises(FormatError):
            open_bundle_file(disk)
    finally:
        subprocess.run(["losetup", "--detach", str(disk)], check=True)


def test_a_system_without_preadv_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gramine has pread alone."""
    content = bytes(range(256)) * 40
    path = tmp_path / "file"
    path.write_bytes(content)

    def lacking(*_: object) -> int:
        raise OSError(errno.ENOSYS, "lacking")

    monkeypatch.setattr(os, "preadv", lacking)
    monkeypatch.setattr(bundle_file, "_PIECE_BYTES", 1000)
    read = bundle_file.BundleFile(path).read(len(content) - 3, offset=2)
    assert read == content[2:-1]
    with pytest.raises(SealtuneError):
        bundle_file.BundleFile(path).read(len(content), offset=1)


def test_another_failure_of_the_disk_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"content")

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(SealtuneError) as caught:
        bundle_file.BundleFile(tmp_path / "file").read(3, offset=0)
    assert caught.value.code is Code.IO_FAILED
