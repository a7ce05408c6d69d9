"""The parts of a build that need no tool: the lock, the cache, archives, wheels, what is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import lzma
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from image.folders import write_image
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, ConfigError, SealtuneError, StorageError
from sealtune.image import build, initrd, root
from sealtune.image.build import EnclaveSources, own_inputs
from sealtune.image.initrd_cpio import Member, cpio, file, folder, link
from sealtune.image.inputs import (
    Cache,
    InputKind,
    PinnedInput,
    Use,
    default_cache,
    lock_json,
    own_file,
    parse_lock,
    read_lock,
    read_packages,
)
from sealtune.image.inputs_fetch import Sources
from sealtune.image.manifest import (
    EnclaveCode,
    ImageInput,
    ImageManifest,
    image_file,
    manifest_json,
    read_image,
)
from sealtune.image.root import SourceFile
from sealtune.image.sbom import package_url, sbom_json
from sealtune.image.tools import Tree, require, run
from sealtune.image.verify import compare_images

CONTENT = b"a package"


def _pinned(name: str = "a", *, content: bytes = CONTENT, kind: str = "deb") -> PinnedInput:
    suffix = "deb" if kind == "deb" else "whl"
    return PinnedInput(
        kind=InputKind(kind),
        name=name,
        version="1:2+b1",
        file=f"{name}_2.{suffix}",
        sha256=sha256_digest(content).removeprefix("sha256:"),
        bytes=len(content),
        uses=frozenset({Use.ROOT}) if kind == "deb" else frozenset(),
    )


def _code(caught: pytest.ExceptionInfo[SealtuneError]) -> Code:
    return caught.value.code


# the lock file


def test_the_shipped_lock_pins_what_the_package_list_names() -> None:
    lock, packages = read_lock(), read_packages()
    names = {(item.name, use) for item in lock for use in item.uses}
    assert names == {
        *((name, Use.ROOT) for name in packages.root),
        *((name, Use.TOOLS) for name in packages.tools),
        (packages.kernel, Use.KERNEL),
    }
    wheels = {f"{i.name}=={i.version}" for i in lock if i.kind is InputKind.WHEEL}
    assert wheels == {wheel.lower().replace("_", "-") for wheel in packages.wheels}


def test_wheels_have_the_versions_that_this_release_was_tested_with() -> None:
    constraints = Path(__file__).resolve().parents[2] / "constraints.txt"
    tested = {line.lower().replace("_", "-") for line in constraints.read_text().splitlines()}
    for wheel in read_packages().wheels:
        assert wheel.lower().replace("_", "-").removesuffix("+cpu") in tested


def test_a_lock_comes_back() -> None:
    lock = (_pinned(), _pinned("b"), _pinned("c", kind="wheel"))
    assert parse_lock(canonical_json(lock_json(lock))) == lock


LOCKS: dict[str, Any] = {
    "no-object": [],
    "another-format": {"format": "x", "inputs": []},
    "no-list": {"format": "sealtune-image-inputs/1", "inputs": {}},
    "a-member-more": {"format": "sealtune-image-inputs/1", "inputs": [], "more": 1},
}
ROWS: dict[str, Any] = {
    "no-object": 1,
    "another-kind": {"kind": "rpm"},
    "no-kind": {},
    "a-folder-up": {"file": "../a_2.deb"},
    "another-suffix": {"file": "a_2.sh"},
    "an-option": {"name": "-oAPT::x"},
    "a-version-with-space": {"version": "1 2"},
    "no-hash": {"sha256": "ab"},
    "an-upper-hash": {"sha256": "AB" * 32},
    "no-size": {"bytes": "1"},
    "no-bytes": {"bytes": 0},
    "a-true-size": {"bytes": True},
    "another-use": {"uses": ["x"]},
    "uses-of-no-list": {"uses": {}},
    "a-member-more": {"more": 1},
}


@pytest.mark.parametrize("value", LOCKS.values(), ids=LOCKS.keys())
def test_another_lock_is_refused(value: Any) -> None:
    with pytest.raises(SealtuneError) as caught:
        parse_lock(canonical_json(value))
    assert _code(caught) is Code.IMAGE_MALFORMED


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS.keys())
def test_another_input_is_refused(change: Any) -> None:
    value: Any = lock_json((_pinned(),))
    value["inputs"][0] = {**value["inputs"][0], **change} if change and change != 1 else change
    with pytest.raises(SealtuneError) as caught:
        parse_lock(canonical_json(value))
    assert _code(caught) is Code.IMAGE_MALFORMED


def test_a_file_is_pinned_once() -> None:
    with pytest.raises(SealtuneError) as caught:
        parse_lock(canonical_json(lock_json((_pinned(), _pinned()))))
    assert _code(caught) is Code.IMAGE_MALFORMED


# the cache


def test_a_warm_cache_downloads_nothing(tmp_path: Path) -> None:
    item = _pinned()
    (tmp_path / item.file).write_bytes(CONTENT)

    def download(missing: tuple[PinnedInput, ...], place: Path) -> None:
        raise AssertionError("downloaded")

    Cache(folder=tmp_path).fill((item,), download=download)


def test_what_is_missing_is_downloaded(tmp_path: Path) -> None:
    item = _pinned()

    def download(missing: tuple[PinnedInput, ...], place: Path) -> None:
        assert missing == (item,)
        (place / item.file).write_bytes(CONTENT)

    cache = Cache(folder=tmp_path / "new")
    cache.fill((item,), download=download)
    assert cache.path(item).read_bytes() == CONTENT


@pytest.mark.parametrize("spoilt", [b"a packagf", b"", b"a package and more"])
def test_a_spoilt_file_in_the_cache_is_downloaded_again(tmp_path: Path, spoilt: bytes) -> None:
    item = _pinned()
    (tmp_path / item.file).write_bytes(spoilt)
    assert Cache(folder=tmp_path).missing((item,)) == (item,)
    assert not (tmp_path / item.file).exists()


@pytest.mark.parametrize("content", [None, b"a packagf"], ids=["nothing", "another-file"])
def test_a_download_that_is_not_the_pinned_file_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    item = _pinned()

    def download(missing: tuple[PinnedInput, ...], place: Path) -> None:
        if content is not None:
            (place / item.file).write_bytes(content)

    with pytest.raises(StorageError) as caught:
        Cache(folder=tmp_path).fill((item,), download=download)
    assert _code(caught) is Code.BUILD_FAILED
    assert item.file in caught.value.message
    assert not (tmp_path / item.file).exists()


@pytest.mark.parametrize("value", ["/elsewhere", "", "relative"])
def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    base = Path(value) if value.startswith("/") else Path.home() / ".cache"
    assert default_cache() == base / "sealtune" / "image"


def test_a_given_mirror_needs_no_apt_of_the_machine() -> None:
    sources = Sources(packages=read_packages(), mirror="http://m/d", security_mirror="http://m/s")
    lines = list(sources.lines())
    assert [line.split("] ")[1] for line in lines] == [
        "http://m/d bookworm main",
        "http://m/d bookworm-updates main",
        "http://m/s bookworm-security main",
    ]
    assert all(line.startswith("deb [signed-by=/") for line in lines)


# tools


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        require("mmdebstrap", package="mmdebstrap")
    assert _code(caught) is Code.TOOL_MISSING
    assert "apt-get install mmdebstrap" in caught.value.remedy


def test_a_tool_that_fails_is_quoted() -> None:
    with pytest.raises(StorageError) as caught:
        run(["sh", "-c", "echo one; echo two >&2; exit 3"], what="sh")
    assert _code(caught) is Code.BUILD_FAILED
    assert "status 3" in caught.value.message
    assert "two; one" in caught.value.message


def test_a_tool_on_a_full_disk_says_so() -> None:
    with pytest.raises(StorageError) as caught:
        run(["sh", "-c", "echo write failed: No space left on device >&2; exit 1"], what="sh")
    assert _code(caught) is Code.DISK_FULL


def test_a_tree_without_a_loader_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Tree(folder=tmp_path).run("usr/bin/true")
    assert _code(caught) is Code.BUILD_FAILED


def _gone(pids: Path) -> bool:
    """No process of these is left, but for the entry of one that nobody has asked after yet."""
    found = []
    for number in pids.read_text().split():
        with contextlib.suppress(OSError):
            found.append(Path("/proc", number, "stat").read_text())
    return all(") Z " in stat for stat in found)


def test_an_interrupted_tool_takes_what_it_started_with_it(tmp_path: Path) -> None:
    """A build deletes its folder then: whoever still wrote there would be left, or in the way."""
    pids = tmp_path / "pids"
    script = f"sleep 900 & echo $$ $! >{pids}.new; mv {pids}.new {pids}; sleep 900"
    # Tests that were started in the background ignore the signal, and so would their children.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += f"from sealtune.image.tools import run; run(['sh', '-c', {script!r}], what='sh')"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as caller:
        while not pids.exists():
            assert caller.poll() is None
            time.sleep(0.01)
        caller.send_signal(signal.SIGINT)
        try:
            said = caller.communicate(timeout=60)[1]
        finally:
            caller.kill()
    assert b"KeyboardInterrupt" in said
    assert _gone(pids)


def test_one_folder_that_does_not_compile_ends_the_others(tmp_path: Path) -> None:
    # In the place of the loader, which every program of the tree is run by.
    loader, pids = tmp_path / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", tmp_path / "pids"
    loader.parent.mkdir(parents=True)
    (tmp_path / root.SITE / "torch").mkdir(parents=True)
    waits = f"case $* in *torch*) echo $$ >{pids}; exec /bin/sleep 900;; esac"
    loader.write_text(f"#!/bin/sh\n{waits}\nuntil [ -e {pids} ]; do :; done\nexit 3\n")
    loader.chmod(0o755)
    with pytest.raises(StorageError) as caught:
        root.compile_modules(Tree(folder=tmp_path), jobs=2)
    assert "status 3" in caught.value.message
    assert _gone(pids)


# the initrd


def test_an_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    program = shutil.which("cpio")
    if program is None:
        pytest.skip("no independent reader: cpio is missing")
    data = cpio([file("a/b", b"hello", executable=True), link("l", "/a/b"), folder("e")])
    unpack = [program, "--extract", "--quiet", "--no-absolute-filenames"]
    subprocess.run(unpack, input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "a/b").read_bytes() == b"hello"
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o755
    assert (tmp_path / "l").readlink() == Path("/a/b")
    assert (tmp_path / "e").is_dir()


def test_an_archives_bytes_are_those_of_the_kernels_description() -> None:
    data = cpio([file("f", b"12345", executable=False)])
    fields = [1, 0o100644, 0, 0, 1, 0, 5, 0, 0, 0, 0, 2, 0]
    assert data.startswith(b"070701" + "".join(f"{n:08x}" for n in fields).encode() + b"f\0")
    assert data[110:112] == b"f\0"
    assert data[112:120] == b"12345\0\0\0"
    assert b"TRAILER!!!\0" in data
    assert len(data) % 512 == 0


def test_the_order_of_members_changes_no_byte() -> None:
    members = [file(name, name.encode(), executable=False) for name in ("z", "a/c", "a-x", "a/b")]
    assert cpio(members) == cpio(reversed(members))
    data = cpio(members)
    assert data.index(b"a\0") < data.index(b"a/b\0") < data.index(b"a-x\0") < data.index(b"z\0")


@pytest.mark.parametrize("name", ["/a", "../a", "a/../b", "a//b", "", ".", "ä", "TRAILER!!!"])
def test_a_name_that_leaves_the_archive_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        cpio([Member(name=name, mode=0o100644)])


def test_a_name_stands_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        cpio([folder("a"), folder("a")])


def _module(place: Path, name: str, *, needs: str = "") -> None:
    data = b"\x7fELF\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0"
    path = place / f"lib/modules/6.12/kernel/drivers/{name}.ko.xz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(data))


def _loaded(place: Path, required: list[str], optional: list[str]) -> dict[str, bytes]:
    members = initrd._module_members(
        initrd.kernel_modules(Tree(folder=place)), required=required, optional=optional
    )
    return {member.name: member.data for member in members}


def test_modules_come_after_those_that_they_need(tmp_path: Path) -> None:
    _module(tmp_path, "dm-verity", needs="dm-bufio,dm-mod")
    _module(tmp_path, "dm-bufio", needs="dm-mod")
    _module(tmp_path, "dm-mod")
    _module(tmp_path, "sev-guest", needs="tsm,dm-mod")
    _module(tmp_path, "tsm")
    found = _loaded(tmp_path, ["dm-verity"], ["sev-guest"])
    assert found["lib/modules/required"] == b"dm_mod.ko\ndm_bufio.ko\ndm_verity.ko\n"
    assert found["lib/modules/optional"] == b"tsm.ko\nsev_guest.ko\n"
    assert found["lib/modules/tsm.ko"].startswith(b"\x7fELF")


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    _module(tmp_path, "a", needs="b")
    with pytest.raises(StorageError, match="module b") as caught:
        _loaded(tmp_path, ["a"], [])
    assert _code(caught) is Code.BUILD_FAILED


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    _module(tmp_path, "a")
    path = next(tmp_path.rglob("a.ko.xz"))
    path.write_bytes(lzma.compress(b"text"))
    with pytest.raises(StorageError):
        _loaded(tmp_path, ["a"], [])


# the root


def _wheel(path: Path, members: dict[str, bytes], *, executable: str = "") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o4755 if name == executable else 0o644) << 16
            archive.writestr(info, data)


def _installed(tmp_path: Path, members: dict[str, bytes], *, executable: str = "") -> Path:
    item = _pinned("w", kind="wheel")
    _wheel(tmp_path / item.file, members, executable=executable)
    tree = tmp_path / "root"
    tree.mkdir()
    keep = root.keeper(["*/tests/*", "*.pyi"])
    root.install_wheels(tree, [item], cache=Cache(folder=tmp_path), keep=keep)
    return tree


def test_a_wheel_is_unpacked_without_what_is_not_kept(tmp_path: Path) -> None:
    members = {
        "p/a.py": b"a",
        "p/a.pyi": b"",
        "p/tests/t.py": b"",
        "p/run": b"#!",
        "w-1.data/platlib/p/b.so": b"b",
        "w-1.data/scripts/shell": b"",
        "w-1.data/headers/h.h": b"",
    }
    tree = _installed(tmp_path, members, executable="p/run")
    site = tree / root.SITE
    found = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert found == {"p/a.py", "p/run", "p/b.so"}
    assert stat.S_IMODE((site / "p/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((site / "p/a.py").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "p/../../x", "p\\x"])
def test_a_wheel_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError) as caught:
        _installed(tmp_path, {name: b""})
    assert _code(caught) is Code.BUILD_FAILED


def test_a_damaged_wheel_is_named(tmp_path: Path) -> None:
    item = _pinned("w", kind="wheel")
    (tmp_path / item.file).write_bytes(b"no archive")
    with pytest.raises(StorageError, match=item.file):
        root.install_wheels(tmp_path, [item], cache=Cache(folder=tmp_path), keep=lambda _path: True)


def test_stripping_leaves_no_empty_folder(tmp_path: Path) -> None:
    for name in ("keep/a", "drop/b/c", "drop/b/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "drop/l").symlink_to("/elsewhere")
    root.strip(tmp_path, keep=root.keeper(["drop/*"]))
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["keep", "a"]


def test_nothing_is_dropped_by_no_pattern() -> None:
    assert root.keeper([])("a")


def test_modes_are_two_and_no_user_id_is_set(tmp_path: Path) -> None:
    for name, mode in (("a", 0o600), ("b", 0o4711), ("c", 0o777)):
        (tmp_path / name).write_bytes(b"")
        (tmp_path / name).chmod(mode)
    (tmp_path / "d").mkdir(mode=0o700)
    root.normalize(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"a": 0o644, "b": 0o755, "c": 0o755, "d": 0o755}


def test_a_device_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(StorageError) as caught:
        root.normalize(tmp_path)
    assert _code(caught) is Code.BUILD_FAILED


def test_own_sources_and_users_are_put_in(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    root.install_sources(tmp_path, [SourceFile(path="sealtune/x.py", source=b"x = 1\n")])
    root.install_guest(tmp_path)
    assert (tmp_path / root.SITE / "sealtune/x.py").read_bytes() == b"x = 1\n"
    assert (tmp_path / root.INIT).read_bytes() == own_file("guest_init.py")
    assert "sh\n" not in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "proc").is_dir()


# the manifest's own parts


def _sources(text: bytes) -> EnclaveSources:
    return EnclaveSources(
        version="1",
        files=(SourceFile(path="sealtune/a.py", source=text),),
        code=EnclaveCode(modules=1, lines=1, digest="01" * 32),
    )


def test_one_changed_line_changes_its_input_alone() -> None:
    one, other = own_inputs(_sources(b"a = 1\n")), own_inputs(_sources(b"a = 2\n"))
    assert [a.name for a, b in zip(one, other, strict=True) if a != b] == ["sealtune"]


def test_the_bill_of_materials_lists_every_input() -> None:
    lock = read_lock()
    own = [ImageInput(kind="source", name="sealtune", version="1", sha256="ab" * 32)]
    data = sbom_json(lock, own=own, version="1", epoch=1767225600)
    assert sbom_json(lock, own=own, version="1", epoch=1767225600) == data
    bill = json.loads(data)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    assert bill["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"
    assert bill["serialNumber"].startswith("urn:uuid:")
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(set(references)) == len(references) == len(lock) + 1
    hashes = {c["name"]: c["hashes"][0]["content"] for c in bill["components"]}
    assert all(hashes[item.name] == item.sha256 for item in lock)
    scopes = {c["name"]: c["scope"] for c in bill["components"]}
    assert scopes["squashfs-tools"] == "excluded"
    assert scopes["cryptsetup-bin"] == scopes["libc6"] == scopes["torch"] == "required"
    assert set(bill["dependencies"][0]["dependsOn"]) <= set(references)


@pytest.mark.parametrize(
    ("item", "purl"),
    [
        (
            _pinned("libstdc++6"),
            "pkg:deb/debian/libstdc%2B%2B6@1%3A2%2Bb1?arch=amd64&distro=debian-12",
        ),
        (_pinned("Py_a", kind="wheel"), "pkg:pypi/py-a@1%3A2%2Bb1"),
    ],
    ids=["deb", "wheel"],
)
def test_a_package_has_its_url(item: PinnedInput, purl: str) -> None:
    assert package_url(item) == purl


# the folder


def test_a_folder_with_files_is_not_built_over(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image/mine").write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        build._require_free(tmp_path / "image")
    assert _code(caught) is Code.FILE_EXISTS


def test_a_full_disk_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_WORK_BYTES", 2**62)
    with pytest.raises(StorageError) as caught, build._work_folder(tmp_path / "image", None):
        raise AssertionError("worked")
    assert _code(caught) is Code.DISK_FULL
    assert "--work" in caught.value.remedy


def test_a_build_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), build._work_folder(tmp_path / "image", None) as work:
        (work / "image").mkdir()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


# comparing


def _pair(tmp_path: Path) -> tuple[Path, Path]:
    write_image(tmp_path / "given")
    write_image(tmp_path / "rebuilt")
    return tmp_path / "given", tmp_path / "rebuilt"


def _write(folder: Path, manifest: ImageManifest) -> None:
    (folder / "image.json").write_bytes(manifest_json(manifest))


def test_equal_images_are_equal(tmp_path: Path) -> None:
    given, rebuilt = map(read_image, _pair(tmp_path))
    compare_images(given, rebuilt)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"tools": {"zstd": "9"}}, "tools", id="tools"),
        pytest.param({"created_epoch": 9}, "created_epoch", id="time"),
        pytest.param({"inputs": ()}, "only this sealtune has the deb a", id="an-input-less"),
        pytest.param(
            {"inputs": (ImageInput(kind="deb", name="a", version="2", sha256="ef" * 32),)},
            "the deb a is 2",
            id="another-version",
        ),
        pytest.param({"cmdline": None}, "image.json differs", id="another-command-line"),
    ],
)
def test_the_cause_of_a_difference_is_named(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    given, rebuilt = _pair(tmp_path)
    manifest = read_image(given).manifest
    if "cmdline" in change:
        change = {"cmdline": manifest.cmdline + " init=/bin/sh"}
    _write(given, dataclasses.replace(manifest, **change))
    with pytest.raises(SealtuneError, match=words) as caught:
        compare_images(read_image(given), read_image(rebuilt))
    assert _code(caught) is Code.IMAGE_MISMATCH


def test_the_first_byte_that_differs_is_named(tmp_path: Path) -> None:
    given, rebuilt = _pair(tmp_path)
    (given / "root").write_bytes(b"a rooT")
    manifest = read_image(rebuilt).manifest
    _write(given, dataclasses.replace(manifest, root=image_file(given / "root")))
    with pytest.raises(SealtuneError, match="root differs from byte 5"):
        compare_images(read_image(given), read_image(rebuilt))
