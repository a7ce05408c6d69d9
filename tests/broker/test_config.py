"""A broker's folder: made once, private, and refused when it cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.broker.config import init_broker, load_config
from sealtune.broker.server import open_desk
from sealtune.broker.vault import create_vault, load_vault
from sealtune.core.digest import sha256_digest
from sealtune.crypto.identity import create_identity, load_public_identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ConfigError, StorageError


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    create_identity("broker", folder=folder, passphrase=None)
    create_identity("owner", folder=folder, passphrase=None)
    return folder


def init(folder: Path, keys: Path):
    return init_broker(
        folder, identity=keys / "broker.key", owners=[keys / "owner.pub"], passphrase=None
    )


def test_a_new_broker_is_private_and_opens(tmp_path: Path, keys: Path):
    folder = tmp_path / "broker"
    config = init(folder, keys)
    assert config == load_config(folder)
    assert config.owners == (load_public_identity(keys / "owner.pub").signing,)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "store.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "store.sqlite3").stat().st_mode & 0o777 == 0o600
    desk = open_desk(config, insecure_accept_simulated=False, passphrase=None)
    assert desk.key == load_public_identity(keys / "broker.pub").signing
    assert not desk.accepts_insecure
    desk.store.close()


def test_a_broker_is_never_overwritten(tmp_path: Path, keys: Path):
    folder = tmp_path / "broker"
    init(folder, keys)
    before = (folder / "store.key").read_bytes()
    with pytest.raises(StorageError) as caught:
        init(folder, keys)
    assert caught.value.code is Code.FILE_EXISTS
    assert (folder / "store.key").read_bytes() == before


def test_broker_and_owner_are_two(tmp_path: Path, keys: Path):
    with pytest.raises(ConfigError):
        init_broker(
            tmp_path / "b",
            identity=keys / "broker.key",
            owners=[keys / "broker.pub"],
            passphrase=None,
        )


def test_a_broker_has_an_owner(tmp_path: Path, keys: Path):
    with pytest.raises(ConfigError):
        init_broker(tmp_path / "b", identity=keys / "broker.key", owners=[], passphrase=None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "broker"', 'name = "broker"\nsurprise = 1'),
        ("requests_per_second = 100.0", "requests_per_second = 0.0"),
        ("requests_per_second = 100.0", 'requests_per_second = "100"'),
        ("ed25519:", "ed25518:"),
        ("[[owners]]", "[[others]]"),
        ("[limits]", "[limits"),
    ],
)
def test_a_configuration_that_cannot_work_names_its_file(
    tmp_path: Path, keys: Path, old: str, new: str
):
    folder = tmp_path / "broker"
    init(folder, keys)
    path = folder / "broker.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_config(folder)
    assert caught.value.code is Code.CONFIG_INVALID
    assert str(path) in caught.value.message


def test_a_folder_without_configuration_is_no_broker(tmp_path: Path):
    with pytest.raises(StorageError) as caught:
        load_config(tmp_path)
    assert caught.value.code is Code.FILE_MISSING


def test_a_store_key_that_others_may_read_is_refused(tmp_path: Path):
    path = tmp_path / "store.key"
    create_vault(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError) as caught:
        load_vault(path)
    assert caught.value.code is Code.KEY_PERMISSIONS


def test_a_short_store_key_is_refused(tmp_path: Path):
    path = tmp_path / "store.key"
    create_vault(path)
    path.write_bytes(path.read_bytes()[:31])
    with pytest.raises(ConfigError):
        load_vault(path)


def test_a_secret_in_the_store_opens_in_its_own_place_only(tmp_path: Path):
    create_vault(tmp_path / "a")
    create_vault(tmp_path / "b")
    vault, other = load_vault(tmp_path / "a"), load_vault(tmp_path / "b")
    bundle, contract = sha256_digest(b"bundle"), sha256_digest(b"contract")
    key, share = ContentKey.generate(), bytes(range(32))
    sealed = vault.seal_content_key(key, bundle=bundle)
    assert key.reveal() not in sealed
    assert vault.open_content_key(sealed, bundle=bundle).reveal() == key.reveal()
    sealed_share = vault.seal_share(share, contract=contract, run_id="00" * 16)
    assert vault.open_share(sealed_share, contract=contract, run_id="00" * 16) == share
    for attempt in (
        lambda: vault.open_content_key(sealed, bundle=contract),
        lambda: other.open_content_key(sealed, bundle=bundle),
        lambda: vault.open_share(sealed_share, contract=bundle, run_id="00" * 16),
        lambda: vault.open_share(sealed_share, contract=contract, run_id="01" * 16),
        lambda: vault.open_content_key(sealed_share, bundle=bundle),
    ):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert caught.value.code is Code.STORE_DAMAGED
