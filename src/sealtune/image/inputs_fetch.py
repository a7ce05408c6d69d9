"""Downloads pinned inputs through apt and pip, and pins the newest ones into a new lock file.

Mirrors and indexes are the machine's own: those of its apt and pip configuration, or a mirror that
the caller names. Which one serves a file does not matter to a build, for its hash is checked
afterwards; while pinning, apt checks the archive's signature.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.digest import sha256_file
from sealtune.core.files import storage_errors
from sealtune.errors import Code, ConfigError, StorageError
from sealtune.image.inputs import InputKind, Packages, PinnedInput, Use
from sealtune.image.tools import require, run

_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PYTHON_VERSION: Final = "3.11"
_SITE: Final = re.compile(r"[a-z+]+:[!-~]{1,500}")


def pip_command() -> tuple[str, ...]:
    """Return the command that runs pip: this interpreter's, or the machine's.

    Raises:
        ConfigError: there is none.
    """
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    return (require("pip3", package="python3-pip"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where inputs come from: `mirror` and `security_mirror` None means what apt here uses."""

    packages: Packages
    mirror: str | None
    security_mirror: str | None

    def download(self, missing: tuple[PinnedInput, ...], folder: Path) -> None:
        """Bring `missing` into `folder`.

        Raises:
            ConfigError: apt or pip is missing, or apt here knows no Debian mirror.
            StorageError: a download failed.
        """
        debs = [item for item in missing if item.kind is InputKind.DEB]
        wheels = [item for item in missing if item.kind is InputKind.WHEEL]
        if debs:
            with self._apt() as apt:
                apt.download([f"{item.name}={item.version}" for item in debs], folder)
        if wheels:
            lines = [f"{item.name}=={item.version} --hash=sha256:{item.sha256}" for item in wheels]
            self._pip(lines, folder)

    def pin(self, folder: Path) -> tuple[PinnedInput, ...]:
        """Download the newest of all that the package list names; return it, pinned.

        Raises:
            ConfigError: as `download`.
            StorageError: as `download`.
        """
        uses = self._uses()
        with self._apt() as apt:
            apt.download(sorted(uses), folder)
        self._pip(list(self.packages.wheels), folder)
        with storage_errors(folder):
            return tuple(_pinned(path, uses=uses) for path in sorted(folder.iterdir()))

    @contextlib.contextmanager
    def _apt(self) -> Iterator[_Apt]:
        """Yield apt with a configuration of its own, in a folder that goes away again."""
        if not _KEYRING.is_file():
            raise ConfigError(
                Code.TOOL_MISSING,
                f"{_KEYRING} is missing, with which apt checks the archive",
                remedy="install the package debian-archive-keyring",
            )
        program = require("apt-get", package="apt")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for name in ("lists/partial", "cache/archives/partial"):
                (folder / name).mkdir(parents=True)
            lines = "".join(f"{line}\n" for line in self.lines())
            (folder / "sources.list").write_text(lines, encoding="utf-8")
            apt = _Apt(program, folder, architecture=self.packages.architecture)
            apt.update()
            yield apt

    def lines(self) -> Iterator[str]:
        """Yield the lines of apt's source list."""
        known = _sites() if self.mirror is None or self.security_mirror is None else {}
        for suite in self.packages.suites:
            security = suite.endswith("-security")
            given = self.security_mirror if security else self.mirror
            # Suites of one release share a mirror, all but the security updates.
            usual = suite if security else self.packages.suites[0]
            site = given or known.get(suite) or known.get(usual)
            if site is None:
                raise ConfigError(
                    Code.CONFIG_INVALID,
                    f"apt on this machine knows no mirror of Debian {suite}",
                    remedy="name one with --mirror and --security-mirror, or fill the cache on a"
                    " Debian machine and give it with --cache",
                )
            yield f"deb [signed-by={_KEYRING}] {site} {suite} main"

    def _uses(self) -> dict[str, frozenset[Use]]:
        lists = (
            (Use.ROOT, self.packages.root),
            (Use.TOOLS, self.packages.tools),
            (Use.KERNEL, (self.packages.kernel,)),
        )
        names = {name for _, listed in lists for name in listed}
        return {name: frozenset(use for use, row in lists if name in row) for name in names}

    def _pip(self, lines: Sequence[str], folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            wanted = Path(scratch) / "requirements.txt"
            wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            command = [*pip_command(), "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            command += ["--implementation=cp", f"--python-version={_PYTHON_VERSION}"]
            command += [f"--abi={abi}" for abi in self.packages.abis]
            command += [f"--platform={platform}" for platform in self.packages.platforms]
            run([*command, f"--dest={folder}", f"--requirement={wanted}"], what="pip download")


class _Apt:
    """apt-get with this project's suites, as any user, beside the machine's own configuration."""

    def __init__(self, program: str, folder: Path, *, architecture: str) -> None:
        options = {
            "Dir::Etc::SourceList": f"{folder}/sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State::Lists": f"{folder}/lists",
            "Dir::Cache": f"{folder}/cache",
            "APT::Architecture": architecture,
            "APT::Sandbox::User": "root",  # the folders are the caller's, closed to others
            "Acquire::Languages": "none",
        }
        self._command = [program, *(f"--option={name}={value}" for name, value in options.items())]

    def update(self) -> None:
        """Fetch the indexes and check their signatures."""
        run([*self._command, "--quiet", "update"], what="apt-get update")

    def download(self, names: Sequence[str], folder: Path) -> None:
        """Bring the packages `names` (NAME or NAME=VERSION) into `folder`."""
        command = [*self._command, "--quiet", "download", *names]
        run(command, what="apt-get download", folder=folder)


def _sites() -> dict[str, str]:
    """Return apt's own mirrors by suite."""
    command = [require("apt-get", package="apt"), "indextargets"]
    text = run([*command, "--format", "$(RELEASE) $(SITE)"], what="apt-get indextargets")
    found: dict[str, str] = {}
    for line in text.splitlines():
        suite, _, site = line.partition(" ")
        if _SITE.fullmatch(site):
            found.setdefault(suite, site)
    return found


def _pinned(path: Path, *, uses: dict[str, frozenset[Use]]) -> PinnedInput:
    digest = sha256_file(path).removeprefix("sha256:")
    size = path.stat().st_size
    if path.suffix == ".whl":
        name, version = path.name.split("-")[:2]
        return PinnedInput(
            kind=InputKind.WHEEL,
            name=name.replace("_", "-").lower(),
            version=version,
            file=path.name,
            sha256=digest,
            bytes=size,
        )
    fields = run(
        [require("dpkg-deb", package="dpkg"), "--field", str(path), "Package", "Version"],
        what="dpkg-deb",
    )
    found = dict(line.split(": ", 1) for line in fields.splitlines())
    if found.get("Package") not in uses:
        raise StorageError(Code.BUILD_FAILED, f"{path} is no package that was asked for")
    return PinnedInput(
        kind=InputKind.DEB,
        name=found["Package"],
        version=found["Version"],
        file=path.name,
        sha256=digest,
        bytes=size,
        uses=uses[found["Package"]],
    )
