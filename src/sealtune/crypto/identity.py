"""Identities: an HPKE recipient key and a signing key under one name, and the files they live in.

The private file is JSON, mode 0600, sealed with a passphrase on request (scrypt, then
Cobblestone-256). The public file is a TOML table that can be pasted into a contract. A fingerprint
is for two people on the telephone: twelve groups of four letters and digits.
"""

from __future__ import annotations

import base64
import re
import secrets
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.core.files import PRIVATE_MODE, read_bounded, storage_errors, write_atomic
from sealtune.core.limits import KEY_FILE_BYTES_MAX
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.hpke import RecipientKey, RecipientPublicKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.crypto.stream import open_bytes, seal_bytes
from sealtune.errors import Code, ConfigError, FormatError, StorageError, VerificationError

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_FORMAT = "sealtune-identity/1"
_CONTEXT = b"sealtune/v1/identity"
_SALT_BYTES = 16
# RFC 7914 with 128 MiB and about half a second: a guess must cost more than a hash.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**17, 8, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIdentity:
    """What others may know of an identity: its name and its two public keys."""

    name: str
    signing: VerifyingKey
    recipient: RecipientPublicKey

    @property
    def fingerprint(self) -> str:
        """Twelve groups of four (240 bits) over both keys, without the name, to read aloud."""
        digest = digest_bytes(sha256_digest(self.signing.raw + self.recipient.raw))
        text = base64.b32encode(digest).decode()[:48].lower()
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))

    def to_toml(self) -> str:
        """Return the public file: a TOML table to paste under `[parties]` of a contract."""
        return (
            f"# fingerprint: {self.fingerprint}\n"
            f"[parties.{_toml_key(self.name)}]\n"
            f'signing_key = "{self.signing.text}"\n'
            f'recipient_key = "{self.recipient.text}"\n'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A name with its two private keys."""

    name: str
    signing: SigningKey
    recipient: RecipientKey

    @classmethod
    def generate(cls, name: str) -> Identity:
        """Return a fresh identity.

        Raises:
            ConfigError: `name` is not lower-case letters, digits, dots, dashes, at most 63.
        """
        return cls(
            name=_checked_name(name),
            signing=SigningKey.generate(),
            recipient=RecipientKey.generate(),
        )

    @property
    def public(self) -> PublicIdentity:
        """The identity without its secrets."""
        return PublicIdentity(
            name=self.name, signing=self.signing.public, recipient=self.recipient.public
        )


def create_identity(name: str, *, folder: Path, passphrase: bytes | None) -> PublicIdentity:
    """Make a new identity in `folder`: `NAME.key` (private, 0600) and `NAME.pub`.

    Raises:
        StorageError: one of the files exists (a key is never overwritten) or cannot be written.
        ConfigError: the name is no valid name.
    """
    identity = Identity.generate(name)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path in (private, public):
        if path.exists():
            message = f"{path} exists already"
            remedy = "choose another name or folder; a key file is never overwritten"
            raise StorageError(Code.FILE_EXISTS, message, remedy=remedy)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    save_identity(private, identity, passphrase=passphrase)
    write_atomic(public, identity.public.to_toml().encode())
    return identity.public


def save_identity(path: Path, identity: Identity, *, passphrase: bytes | None) -> None:
    """Write the private file of `identity` to `path`, mode 0600; None leaves it without passphrase.

    Raises:
        StorageError: the file cannot be written.
    """
    raw = identity.signing.reveal() + identity.recipient.reveal()
    document: dict[str, Any] = {"format": _FORMAT, "name": identity.name}
    if passphrase is None:
        document["secret"] = b64encode(raw)
    else:
        salt = secrets.token_bytes(_SALT_BYTES)
        sealed = seal_bytes(_passphrase_key(passphrase, salt), raw, context=_CONTEXT)
        document |= {"salt": b64encode(salt), "sealed": b64encode(sealed)}
    write_atomic(path, canonical_json(document) + b"\n", mode=PRIVATE_MODE)


def load_identity(path: Path, *, passphrase: bytes | None) -> Identity:
    """Return the identity in the private file at `path`.

    Raises:
        StorageError: the file is missing.
        ConfigError: others may read the file, or it wants a passphrase and none was given.
        FormatError: it is no identity file.
        VerificationError: the passphrase is wrong or the file was changed.
    """
    data = read_bounded(path, limit=KEY_FILE_BYTES_MAX, what="key file")
    if b"[parties." in data:
        message, remedy = f"{path}: a public file, not a private key", "give NAME.key instead"
        raise FormatError(Code.KEY_FILE_MALFORMED, message, remedy=remedy)
    document = parse_json(data, limit=KEY_FILE_BYTES_MAX, what=str(path))
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        message, remedy = f"{path}: other users may read this private key", f"chmod 600 {path}"
        raise ConfigError(Code.KEY_PERMISSIONS, message, remedy=remedy)
    raw = _secret_bytes(document, path, passphrase)
    try:
        return Identity(
            name=_checked_name(document["name"]),
            signing=SigningKey.from_bytes(raw[:32]),
            recipient=RecipientKey.from_bytes(raw[32:]),
        )
    except ValueError:
        raise FormatError(Code.KEY_FILE_MALFORMED, f"{path}: not an identity file") from None


def parse_public_identity(text: str, *, what: str) -> PublicIdentity:
    """Return the identity in a public file's text; `what` names it in errors.

    Raises:
        FormatError: not exactly one `[parties.NAME]` table with the two keys.
    """
    try:
        document = tomllib.loads(text)
        ((name, fields),) = document["parties"].items()
        if document.keys() != {"parties"} or fields.keys() != {"signing_key", "recipient_key"}:
            raise ValueError("other fields")
        return PublicIdentity(
            name=_checked_name(name),
            signing=VerifyingKey.parse(fields["signing_key"]),
            recipient=RecipientPublicKey.parse(fields["recipient_key"]),
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError, AttributeError, ConfigError):
        message = f"{what}: not a public identity file"
        remedy = "it is the NAME.pub that `sealtune key create NAME` wrote, whole"
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, message, remedy=remedy) from None


def load_public_identity(path: Path) -> PublicIdentity:
    """Return the identity in the public file at `path`.

    Raises:
        StorageError: the file is missing.
        FormatError: it is no public identity file.
    """
    data = read_bounded(path, limit=KEY_FILE_BYTES_MAX, what="public key file")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, f"{path}: not text") from None
    return parse_public_identity(text, what=str(path))


def _secret_bytes(document: Any, path: Path, passphrase: bytes | None) -> bytes:
    malformed = FormatError(Code.KEY_FILE_MALFORMED, f"{path}: not an identity file")
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise malformed
    code = Code.KEY_FILE_MALFORMED
    if document.keys() == {"format", "name", "secret"}:
        return b64decode(document["secret"], what=str(path), code=code)
    if document.keys() != {"format", "name", "salt", "sealed"}:
        raise malformed
    if passphrase is None:
        message = f"{path} is protected by a passphrase"
        remedy = "run it in a terminal, or give --passphrase-file"
        raise ConfigError(Code.KEY_PASSPHRASE, message, remedy=remedy)
    salt = b64decode(document["salt"], what=str(path), code=code)
    sealed = b64decode(document["sealed"], what=str(path), code=code)
    try:
        return open_bytes(_passphrase_key(passphrase, salt), sealed, context=_CONTEXT)
    except VerificationError:
        message = f"{path}: wrong passphrase, or the file was changed"
        raise VerificationError(Code.KEY_PASSPHRASE, message) from None


def _passphrase_key(passphrase: bytes, salt: bytes) -> ContentKey:
    kdf = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
    return ContentKey(kdf.derive(passphrase))


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        message = "a name has lower-case letters, digits, dots and dashes, at most 63"
        raise ConfigError(Code.CONFIG_INVALID, message)
    return name


def _toml_key(name: str) -> str:
    return f'"{name}"' if "." in name else name
