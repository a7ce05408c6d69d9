"""A scene, brokers in this process and brokers in processes of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.broker.desk import Desk
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene, register_all

BROKER = "hospital-broker"


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
def clock(now: datetime) -> VirtualClock:
    return VirtualClock(now)


@pytest.fixture
def open_desk(scene: Scene, clock: VirtualClock) -> Iterator[Callable[..., Desk]]:
    """Opens the scene's broker, again if need be, and closes it at the end."""
    opened: list[Desk] = []

    def open_again(*, broker: str = BROKER, accepts_insecure: bool = True) -> Desk:
        desk = scene.open_desk(broker, clock, accepts_insecure=accepts_insecure)
        opened.append(desk)
        return desk

    yield open_again
    for desk in opened:
        desk.store.close()


@pytest.fixture
def desk(scene: Scene, open_desk: Callable[..., Desk]) -> Desk:
    """The scene's broker with its key and contract registered."""
    desk = open_desk()
    register_all(desk, scene, BROKER)
    return desk
