"""One real image of this working tree, built once and kept until a source or input changes."""

from __future__ import annotations

import fcntl
import shutil
import time
from pathlib import Path

import pytest

from sealtune.cli.image_plan import build_plan, sgx_plan
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import GIB
from sealtune.errors import SealtuneError
from sealtune.image import build
from sealtune.image.build import BuildPlan, build_image, own_inputs
from sealtune.image.inputs import default_cache, lock_json, read_lock
from sealtune.image.manifest import Image, Verity, command_line, read_image
from sealtune.image.sgx.build import build_sgx_image
from sealtune.image.sgx.manifest import SgxImage, read_sgx_image
from sealtune.image.sgx.template import Enclave

_ANY = Verity(root_hash="00" * 32, hash_offset=0, salt="00", block_size=4096)
_BUILDERS = (
    *("build.py", "initrd.py", "initrd_cpio.py", "root.py", "root_disk.py", "sbom.py"),
    *("inputs.py", "tools.py"),
)
_KEPT_SECONDS = 24 * 3600.0
SGX_ENCLAVE = Enclave(bytes=8 * GIB, threads=1)
PROGRAMS = {"mmdebstrap": "mmdebstrap", "apt-get": "apt", "dpkg-deb": "dpkg"}


def require_tools() -> None:
    """Skip the test where a program is missing, and say which."""
    missing = [package for name, package in PROGRAMS.items() if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"no image is built: {', '.join(missing)} missing (tests/image/install-tools.sh)"
        )


def plan() -> BuildPlan:
    """Return the plan of a build with no option."""
    return build_plan(cache=None, work=None, jobs=None, mirror=None, security_mirror=None)


def built_image(given: BuildPlan | None = None) -> Image:
    """Return the image of this working tree; the first call after a change takes minutes.

    A caller that compares gives its plan, so that a source may change meanwhile.
    """
    require_tools()
    with_plan = given or plan()
    own = [f"{item.name} {item.sha256}" for item in own_inputs(with_plan.sources)]
    lock = lock_json(read_lock())
    package = Path(build.__file__).parent
    own += [sha256_digest((package / name).read_bytes()) for name in _BUILDERS]
    key = sha256_digest(canonical_json([own, lock, command_line(_ANY)])).removeprefix("sha256:")
    folder = default_cache() / "built" / key[:32]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock_file:
        # Test files run side by side; the second one waits and then reads.
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        _forget_old(folder.parent)
        if folder.exists():
            try:
                return read_image(folder)
            except SealtuneError:
                shutil.rmtree(folder)
        return build_image(folder, with_plan, report=lambda _phase: None)


def built_sgx_image() -> SgxImage:
    """Return the image for SGX of this working tree; the first call after a change takes a minute.

    Raises:
        As `build_sgx_image`.
    """
    require_tools()
    with_plan = sgx_plan(plan())
    own = [f"{item.name} {item.sha256}" for item in own_inputs(with_plan.sources)]
    package = Path(build.__file__).parent
    builders = [*(package / name for name in _BUILDERS), *sorted((package / "sgx").glob("*.py"))]
    own += [sha256_digest(path.read_bytes()) for path in builders]
    key = sha256_digest(canonical_json([own, lock_json(read_lock()), "sgx"]))
    folder = default_cache() / "built" / f"sgx-{key.removeprefix('sha256:')[:32]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        _forget_old(folder.parent)
        if folder.exists():
            try:
                return read_sgx_image(folder)
            except SealtuneError:
                shutil.rmtree(folder)
        return build_sgx_image(folder, with_plan, enclave=SGX_ENCLAVE, report=lambda _phase: None)


def _forget_old(place: Path) -> None:
    for old in place.iterdir():
        if old.is_dir() and old.stat().st_mtime < time.time() - _KEPT_SECONDS:
            shutil.rmtree(old)
