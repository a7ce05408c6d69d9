"""One table of a worker's environment, which everybody who starts a worker follows."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from types import ModuleType

import pytest

from sealtune.core.environment import LIBRARY_SETTINGS, SETTINGS, Place, environment
from sealtune.image.inputs import own_file
from sealtune.image.sgx.template import Enclave, template_text
from sealtune.tee.sandbox import sandboxed, worker_environment


@pytest.fixture
def guest_init() -> ModuleType:
    """The guest's first process as a module, as it is built into an image."""
    spec = importlib.util.spec_from_loader("guest_init", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(own_file("guest_init.py"), "guest_init.py", "exec"), module.__dict__)
    return module


def test_each_setting_is_there_once_and_says_why() -> None:
    names = [item.name for item in SETTINGS]
    assert len(set(names)) == len(names)
    assert not set(names) & LIBRARY_SETTINGS.keys()
    assert all(item.reason and item.places for item in SETTINGS)


def test_the_launcher_follows_the_table() -> None:
    settings = environment(Place.PROCESS)
    assert worker_environment().keys() - settings.keys() == {"PATH", "HOME"}
    assert settings.items() <= worker_environment().items()
    command = sandboxed(["true"], bubblewrap="bwrap", readable=[], writable=[], group=None)
    set_ = {
        command[at + 1]: command[at + 2] for at, word in enumerate(command) if word == "--setenv"
    }
    assert set_ == worker_environment()


def test_the_guests_first_process_follows_the_table(guest_init: ModuleType) -> None:
    places = {"HOME": "/run", "PATH": "/nonexistent", "TMPDIR": "/tmp"}
    assert environment(Place.GUEST) | places == guest_init._ENVIRONMENT


def test_the_enclaves_manifest_follows_the_table() -> None:
    text = template_text({}, Enclave(bytes=2**30, threads=3)).decode()
    variables = tomllib.loads(text)["loader"]["env"]
    settings = environment(Place.ENCLAVE)
    assert settings.items() <= variables.items()
    others = {"LD_LIBRARY_PATH", "HOME", "TMPDIR", "USER", "OMP_NUM_THREADS"}
    assert variables.keys() - settings.keys() == others


def test_a_worker_sets_what_libraries_read() -> None:
    script = (
        "import os; from sealtune.worker.process import keep_memory_private;"
        "keep_memory_private(); print(dict(os.environ))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={}
    )
    found = eval(done.stdout)
    assert LIBRARY_SETTINGS.items() <= found.items()


def test_the_c_library_takes_the_allocators_settings() -> None:
    """A misspelt one would be ignored without a word; with ours a large piece is on the heap."""
    script = (
        "import numpy; room = numpy.ones(2**22); maps = open('/proc/self/maps').read();"
        "place = room.ctypes.data;"
        "line = next(line for line in maps.splitlines()"
        "  if int(line.split('-')[0], 16) <= place < int(line.split('-')[1].split()[0], 16));"
        "print('[heap]' in line)"
    )
    for variables, heap in (({}, "False"), (environment(Place.PROCESS), "True")):
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=variables,
        )
        assert done.stdout.strip() == heap
