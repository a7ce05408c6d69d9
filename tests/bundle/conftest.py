"""Parties and small bundles for the tests of the SealedBundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sealtune.bundle.format import BundleKind, Header
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey

FILES = {"a.txt": b"first file", "b.txt": b"other file", "c.txt": b"x" * 20000}
MakeBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def owner() -> Identity:
    """Who seals."""
    return Identity.generate("owner")


@pytest.fixture(scope="session")
def broker() -> Identity:
    """Who gets a slot."""
    return Identity.generate("broker")


@pytest.fixture(scope="session")
def stranger() -> Identity:
    """Who gets none."""
    return Identity.generate("stranger")


@pytest.fixture
def make_bundle(tmp_path: Path, owner: Identity, broker: Identity) -> MakeBundle:
    """A function that writes a result bundle of files and returns its path."""

    def make(
        name: str = "result.bundle",
        *,
        files: dict[str, bytes] | None = None,
        key: ContentKey | None = None,
        recipients: Sequence[Identity] | None = None,
        signer: Identity = owner,
    ) -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            writer = BundleWriter(
                file,
                kind=BundleKind.RESULT,
                owner=signer.signing,
                key=key or ContentKey.generate(),
            )
            for entry, data in (FILES if files is None else files).items():
                writer.add_entry(entry, data, media=Media.FILE)
            chosen = [broker] if recipients is None else recipients
            keys = [identity.public.recipient for identity in chosen]
            writer.finish(facts={"note": "test"}, recipients=keys)
        return path

    return make


def open_whole(path: Path, recipient: Identity) -> tuple[Header, dict[str, bytes]]:
    """Return header and plaintexts of the bundle at `path`, every byte of it verified."""
    with open_bundle_file(path) as bundle:
        reader = bundle.unlock(bundle.unwrap(recipient.recipient))
        plaintexts = {entry.name: bytes(data) for entry, data in reader.read_all()}
        return bundle.header, plaintexts


@pytest.fixture(name="open_whole", scope="session")
def open_whole_fixture() -> Callable[[Path, Identity], tuple[Header, dict[str, bytes]]]:
    """The function of this name: test modules import nothing from each other."""
    return open_whole
