"""One real image of this working tree, built once and kept until a source or input changes."""

from __future__ import annotations

import shutil

import pytest

from sealtune.cli.image_plan import build_plan, installed_sources
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.errors import SealtuneError
from sealtune.image.build import BuildPlan, build_image, own_inputs
from sealtune.image.inputs import default_cache, lock_json, read_lock
from sealtune.image.manifest import Image, read_image

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


def built_image() -> Image:
    """Return the image of this working tree; the first call after a change takes minutes."""
    require_tools()
    own = [f"{item.name} {item.sha256}" for item in own_inputs(installed_sources())]
    key = sha256_digest(canonical_json([own, lock_json(read_lock())])).removeprefix("sha256:")
    folder = default_cache() / "built" / key[:32]
    if folder.exists():
        try:
            return read_image(folder)
        except SealtuneError:
            shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.iterdir():
        shutil.rmtree(old)
    return build_image(folder, plan(), report=lambda _phase: None)
