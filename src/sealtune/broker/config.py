"""A broker's folder: `broker.toml`, the store's key and the store.

    broker.toml      name, identity file, owners, limits        (people may edit it)
    store.key        encrypts what is secret in the store       (0600)
    store.sqlite3    keys, contracts, runs, decision log        (0600)
    endorsements/    what vendors signed about their hardware   (`sealtune endorsements`)

The identity's private file stays where it is; broker.toml says where.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sealtune.broker.rate import Rate
from sealtune.broker.store import create_store
from sealtune.broker.vault import create_vault
from sealtune.core.files import read_bounded, storage_errors, write_atomic
from sealtune.core.limits import KEY_FILE_BYTES_MAX
from sealtune.crypto.identity import load_identity, load_public_identity
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import Code, ConfigError, SealtuneError, StorageError

CONFIG_FILE: Final = "broker.toml"
STORE_KEY_FILE: Final = "store.key"
STORE_FILE: Final = "store.sqlite3"
ENDORSEMENTS_FOLDER: Final = "endorsements"
REQUESTS_PER_SECOND: Final = 100.0  # of one address: half of what two cores can verify
REQUESTS_BURST: Final = 400.0
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """A broker's folder and what its broker.toml says."""

    folder: Path
    name: str
    identity: Path
    owners: tuple[VerifyingKey, ...]
    rate: Rate

    @property
    def store_key(self) -> Path:
        """The file with the store's key."""
        return self.folder / STORE_KEY_FILE

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.folder / STORE_FILE

    @property
    def endorsements(self) -> Path:
        """The folder of the endorsement cache; it need not be there."""
        return self.folder / ENDORSEMENTS_FOLDER


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class _Owner(_Strict):
    name: str
    signing_key: str


class _Limits(_Strict):
    requests_per_second: Annotated[float, Field(gt=0, le=1e6)] = REQUESTS_PER_SECOND
    burst: Annotated[float, Field(ge=1, le=1e6)] = REQUESTS_BURST


class _Document(_Strict):
    name: str
    identity: str
    limits: _Limits = _Limits()
    owners: Annotated[list[_Owner], Field(min_length=1, max_length=64)]


def init_broker(
    directory: Path, *, identity: Path, owners: Sequence[Path], passphrase: bytes | None
) -> BrokerConfig:
    """Make a broker in `directory` (new or empty) and return its configuration.

    `identity` is the broker's own private file, `owners` the public files of those whose keys it
    holds; `passphrase` opens the identity, if it has one.

    Raises:
        ConfigError: no owner, an owner with the broker's own key, or a folder that is a broker.
        StorageError, FormatError: a file is missing, is no identity, or the disk refuses.
    """
    public = load_identity(identity, passphrase=passphrase).public
    known = [load_public_identity(path) for path in owners]
    if not known:
        raise _invalid(directory, "a broker has at least one owner")
    if any(owner.signing == public.signing for owner in known):
        raise _invalid(directory, "broker and owner need identities of their own")
    with storage_errors(directory):
        directory.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise StorageError(
                Code.FILE_EXISTS,
                f"{directory}: not empty",
                remedy="choose a new folder; an existing broker is never overwritten",
            )
    create_vault(directory / STORE_KEY_FILE)
    create_store(directory / STORE_FILE)
    lines = [
        f"name = {_quoted(public.name)}",
        f"identity = {_quoted(os.fspath(identity.resolve()))}",
    ]
    lines += ["", "[limits]", f"requests_per_second = {REQUESTS_PER_SECOND}"]
    lines += [f"burst = {REQUESTS_BURST}"]
    for owner in known:
        lines += ["", "[[owners]]", f"name = {_quoted(owner.name)}"]
        lines += [f"signing_key = {_quoted(owner.signing.text)}"]
    # Last: a folder without broker.toml is none, so an interruption leaves no half broker.
    write_atomic(directory / CONFIG_FILE, ("\n".join(lines) + "\n").encode())
    return load_config(directory)


def load_config(directory: Path) -> BrokerConfig:
    """Return the configuration of the broker in `directory`.

    Raises:
        StorageError: there is none.
        ConfigError: broker.toml cannot work.
    """
    path = directory / CONFIG_FILE
    data = read_bounded(path, limit=KEY_FILE_BYTES_MAX, what="broker configuration")
    try:
        document = _Document.model_validate(tomllib.loads(data.decode()))
        owners = tuple(VerifyingKey.parse(owner.signing_key) for owner in document.owners)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise _invalid(path, f"{place}: {first['msg']}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid(path, f"not TOML: {error}") from None
    except SealtuneError as error:
        raise _invalid(path, error.message) from None
    limits = document.limits
    return BrokerConfig(
        folder=directory,
        name=document.name,
        identity=directory / document.identity,
        owners=owners,
        rate=Rate(per_second=limits.requests_per_second, burst=limits.burst),
    )


def _quoted(text: str) -> str:
    # A JSON string without escapes of surrogates is a TOML basic string.
    return json.dumps(text, ensure_ascii=False)


def _invalid(path: Path, reason: str) -> ConfigError:
    return ConfigError(Code.CONFIG_INVALID, f"{path}: {reason}")
