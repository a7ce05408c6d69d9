"""What `image build` and `image verify` share: their options, the plan, the progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from sealtune import __version__
from sealtune.cli.parameters import PATH
from sealtune.cli.progress import EventProgress
from sealtune.image.build import VM_PHASES, BuildPlan, EnclaveSources, Phase
from sealtune.image.inputs import default_cache, own_file, read_packages
from sealtune.image.inputs_fetch import Sources
from sealtune.image.manifest import EnclaveCode
from sealtune.image.root import SourceFile
from sealtune.tee.measure import EnclaveModule, enclave_modules, measurement_of

F = TypeVar("F", bound=Callable[..., Any])

_MIRRORS = (
    click.option("--mirror", metavar="URL", help="Debian mirror; otherwise that of apt here."),
    click.option(
        "--security-mirror",
        metavar="URL",
        help="Mirror of Debian's security updates; otherwise that of apt here.",
    ),
)
_BUILD = (
    click.option(
        "--cache",
        type=PATH,
        metavar="DIR",
        help="Keep downloaded inputs in DIR; otherwise in the user's cache folder.",
    ),
    click.option(
        "--work",
        type=PATH,
        metavar="DIR",
        help="Work in DIR (2 GiB); otherwise beside the image.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Use N processors; otherwise all.",
    ),
)


def mirror_options(command: F) -> F:
    """Add --mirror and --security-mirror."""
    return _with(command, _MIRRORS)


def build_options(command: F) -> F:
    """Add what a build can be told; no option changes what it makes."""
    return _with(command, (*_BUILD, *_MIRRORS))


def build_plan(
    *,
    cache: Path | None,
    work: Path | None,
    jobs: int | None,
    mirror: str | None,
    security_mirror: str | None,
) -> BuildPlan:
    """Return the plan that the options make."""
    return BuildPlan(
        sources=installed_sources(),
        cache=cache or default_cache(),
        fetch=sources(mirror=mirror, security_mirror=security_mirror),
        work=work,
        jobs=jobs or os.cpu_count() or 1,
    )


def sgx_plan(plan: BuildPlan) -> BuildPlan:
    """Return `plan` with the code of an SGX enclave in the place of a virtual machine's."""
    return replace(plan, sources=sgx_sources())


def sources(*, mirror: str | None, security_mirror: str | None) -> Sources:
    """Return where inputs are downloaded from."""
    return Sources(packages=read_packages(), mirror=mirror, security_mirror=security_mirror)


def installed_sources() -> EnclaveSources:
    """Return this installation's own code for a virtual machine: the worker's modules.

    Counted with them is the guest's first process, which is no module.
    """
    first = EnclaveModule(
        name="sealtune.image.files.guest_init",
        path="sealtune/image/files/guest_init.py",
        source=own_file("guest_init.py"),
    )
    return _sources(first)


def sgx_sources() -> EnclaveSources:
    """Return this installation's own code for an SGX enclave: the worker's modules."""
    return _sources()


def _sources(*further: EnclaveModule) -> EnclaveSources:
    modules = enclave_modules()
    counted = (*modules, *further)
    return EnclaveSources(
        version=__version__,
        files=tuple(SourceFile(path=m.path, source=m.source) for m in modules),
        code=EnclaveCode(
            modules=len(counted),
            lines=sum(module.lines for module in counted),
            digest=measurement_of(counted),
        ),
    )


class BuildProgress(EventProgress):
    """Draws a build: a line for each phase that ended, and the one that goes on."""

    def __init__(self, phases: Sequence[Phase] = VM_PHASES) -> None:
        super().__init__()
        self._phases = phases
        self._phase: Phase | None = None
        self._since = 0.0

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._finish("✓" if kind is None else "✗")
        super().__exit__(kind, error, trace)

    def __call__(self, phase: Phase) -> None:
        """Show that `phase` began and the one before ended."""
        self._finish("✓")
        self._phase, self._since = phase, time.monotonic()
        self.begin(f"{self._phases.index(phase) + 1}/{len(self._phases)} {phase}")

    def _finish(self, mark: str) -> None:
        self.end()
        if self._progress is not None and self._phase is not None:
            seconds = time.monotonic() - self._since
            self._progress.console.print(
                f"{mark} {self._phase:<10} {seconds:6.1f} s", highlight=False
            )
        self._phase = None


def _with(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command
