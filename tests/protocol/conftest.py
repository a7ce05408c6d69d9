"""A scene with one broker in this process; the mock hardware is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.broker.desk import Desk
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene, register_all


@pytest.fixture(scope="session")
def mock(now: datetime) -> MockAmd:
    return MockAmd.generate(now=now)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, mock: MockAmd, now: datetime) -> Scene:
    return make_scene(tmp_path_factory.mktemp("template"), mock=mock, now=now)


@pytest.fixture
def scene(tmp_path: Path, template: Scene) -> Scene:
    """A scene of one's own: a copy, since each file that is made anew costs a sync."""
    folder = tmp_path / "scene"
    shutil.copytree(template.folder, folder)
    return replace(template, folder=folder)


@pytest.fixture
def desk(scene: Scene, now: datetime) -> Iterator[Desk]:
    desk = scene.open_desk("hospital-broker", VirtualClock(now))
    register_all(desk, scene, "hospital-broker")
    yield desk
    desk.store.close()
