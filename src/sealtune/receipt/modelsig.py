"""OpenSSF Model Signing for the result folder (docs/spec/receipt.md §6).

Writes the signature file that the public `model_signing` tool verifies: a Sigstore bundle (v0.3)
with a DSSE envelope over an in-toto statement of the folder's files. It works on files in memory,
since the worker signs inside the enclave, before anything is sealed. It verifies nothing: that is
the public tool's part, and the receipt binds the key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from sealtune.core.canonical import canonical_json
from sealtune.crypto.dsse import pre_authentication_encoding
from sealtune.crypto.model_signing_key import ModelSigningKey

SIGNATURE_FILE: Final = "model.sig"
SIGNER_FILE: Final = "signer.pub"

_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"


def sign_model_folder(
    files: Mapping[str, bytes], *, name: str, key: ModelSigningKey
) -> dict[str, bytes]:
    """Return `files` of the model `name` with `model.sig` and `signer.pub` beside them.

    Names are relative, with `/`. The signature covers `signer.pub` too, but not itself.

    Raises:
        ValueError: a file is called as one of the two, or there is none.
    """
    if not files or not files.keys().isdisjoint({SIGNATURE_FILE, SIGNER_FILE}):
        raise ValueError("a folder to sign has files, none of them a signature or its key")
    whole = {**files, SIGNER_FILE: key.public_pem}
    return {**whole, SIGNATURE_FILE: _signature_file(whole, name=name, key=key)}


def _signature_file(files: Mapping[str, bytes], *, name: str, key: ModelSigningKey) -> bytes:
    payload = canonical_json(_statement(files, name=name))
    signature = key.sign(pre_authentication_encoding(_PAYLOAD_TYPE, payload))
    bundle = {
        "mediaType": _BUNDLE_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(key.public_pem).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return canonical_json(bundle)


def _statement(files: Mapping[str, bytes], *, name: str) -> dict[str, Any]:
    # In the order of paths, part by part, as the tool's own manifest has them.
    digests = {
        path: hashlib.sha256(files[path])
        for path in sorted(files, key=lambda path: PurePosixPath(path).parts)
    }
    root = hashlib.sha256(b"".join(digest.digest() for digest in digests.values()))
    return {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root.hexdigest()}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE_FILE],
            },
            "resources": [
                {"name": path, "algorithm": "sha256", "digest": digest.hexdigest()}
                for path, digest in digests.items()
            ],
        },
    }
