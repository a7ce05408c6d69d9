"""Keys, their text forms and their files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.crypto.hpke import SEALED_OVERHEAD_BYTES, RecipientKey, RecipientPublicKey
from sealtune.crypto.identity import (
    Identity,
    create_identity,
    load_identity,
    load_public_identity,
    parse_public_identity,
    save_identity,
)
from sealtune.crypto.kdf import derive_key
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import (
    Code,
    ConfigError,
    FormatError,
    SealtuneError,
    StorageError,
    VerificationError,
)


def test_identity_files_round_trip(tmp_path: Path) -> None:
    public = create_identity("hospital", folder=tmp_path, passphrase=None)
    private = tmp_path / "hospital.key"
    assert private.stat().st_mode & 0o777 == 0o600
    assert load_identity(private, passphrase=None).public == public
    assert load_public_identity(tmp_path / "hospital.pub") == public


def test_passphrase_protects_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    identity = Identity.generate("a")
    save_identity(path, identity, passphrase=b"correct horse")
    assert identity.signing.reveal() not in path.read_bytes()
    assert load_identity(path, passphrase=b"correct horse").public == identity.public
    with pytest.raises(VerificationError) as wrong:
        load_identity(path, passphrase=b"wrong")
    assert wrong.value.code is Code.KEY_PASSPHRASE
    with pytest.raises(ConfigError) as absent:
        load_identity(path, passphrase=None)
    assert absent.value.code is Code.KEY_PASSPHRASE


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    create_identity("a", folder=tmp_path, passphrase=None)
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(ConfigError) as caught:
        load_identity(tmp_path / "a.key", passphrase=None)
    assert caught.value.code is Code.KEY_PERMISSIONS


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    create_identity("a", folder=tmp_path, passphrase=None)
    with pytest.raises(StorageError) as caught:
        create_identity("a", folder=tmp_path, passphrase=None)
    assert caught.value.code is Code.FILE_EXISTS


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", "a" * 64, "-a"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        Identity.generate(name)


def test_secrets_hide_from_repr_and_pickle() -> None:
    identity = Identity.generate("a")
    key = ContentKey.generate()
    shown = repr(identity) + repr(key) + str(key)
    for secret in (identity.signing.reveal(), identity.recipient.reveal(), key.reveal()):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    for item in (key, identity.signing, identity.recipient):
        with pytest.raises(TypeError):
            pickle.dumps(item)


def test_hpke_opens_only_for_its_key_and_purpose() -> None:
    key = RecipientKey.generate()
    sealed = key.public.seal(b"secret", info=b"purpose")
    assert len(sealed) == len(b"secret") + SEALED_OVERHEAD_BYTES
    assert key.open(sealed, info=b"purpose") == b"secret"
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for opener, data, info in (
        (RecipientKey.generate(), sealed, b"purpose"),
        (key, sealed, b"other"),
        (key, flipped, b"purpose"),
        (key, sealed[:100], b"purpose"),
        (key, b"", b"purpose"),
    ):
        with pytest.raises(VerificationError) as caught:
            opener.open(data, info=info)
        assert caught.value.code is Code.HPKE_OPEN_FAILED


def test_a_recipient_key_of_small_order_is_refused() -> None:
    good = RecipientKey.generate().public.raw
    bad = RecipientPublicKey(good[:1184] + bytes(32))
    with pytest.raises(FormatError) as caught:
        bad.seal(b"x", info=b"")
    assert caught.value.code is Code.PUBLIC_KEY_MALFORMED


def test_text_forms_round_trip() -> None:
    signing, recipient = SigningKey.generate().public, RecipientKey.generate().public
    assert VerifyingKey.parse(signing.text) == signing
    assert RecipientPublicKey.parse(recipient.text) == recipient


def test_one_spelling_per_key() -> None:
    text = SigningKey.generate().public.text
    last = "BCDEFGHIJKLMNOPQRSTUVWXYZ"  # bits beyond the last byte set
    for spelling in (text + "=", text + " ", text[:-1] + last[0], text.replace("ed25519", "rsa")):
        if spelling != text:
            try:
                assert VerifyingKey.parse(spelling) != VerifyingKey.parse(text)
            except FormatError as error:
                assert error.code is Code.PUBLIC_KEY_MALFORMED


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_public_identity_parser_raises_only_our_errors(text: str) -> None:
    try:
        parse_public_identity(text, what="test")
    except SealtuneError as error:
        assert error.code is Code.PUBLIC_KEY_MALFORMED


def test_key_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    for content in (b"", b"{}", b'{"format":"sealtune-identity/1"}', b"[1]", b"\xff"):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(FormatError):
            load_identity(path, passphrase=None)


def test_derived_keys_differ_by_label_context_and_secret() -> None:
    secrets = [bytes(32), bytes(31) + b"\1"]
    keys = {
        derive_key(secret, label=label, context=context).reveal()
        for secret in secrets
        for label in (b"a", b"ab")
        for context in (b"bc", b"c")
    }
    assert len(keys) == 8
    with pytest.raises(ValueError, match="32"):
        derive_key(bytes(31), label=b"", context=b"")
