"""The attestation document of an AWS Nitro enclave: its bytes and their meaning
(spec/attestation §14.1, §14.2).

Source: AWS, "Verifying the root of trust" (aws-nitro-enclaves-nsm-api, attestation_process.md), and
RFC 9052 for COSE. Parses; verifies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import cbor2

from sealtune.attestation.nitro_cbor import decode_cbor, decode_payload, malformed
from sealtune.core.limits import CHAIN_CERTIFICATES_MAX, QUOTE_BYTES_MAX
from sealtune.errors import Code, FormatError

PCR_BYTES: Final = 48
PCRS_MAX: Final = 32
# PCR0 is the whole image, PCR1 kernel and boot, PCR2 the application; all zero in debug mode.
IMAGE_PCRS: Final = (0, 1, 2)
_CERTIFICATE_BYTES_MAX: Final = 1024
_OPTIONAL_BYTES_MAX: Final = 1024
_MODULE_ID_MAX: Final = 256
_TIMESTAMP_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999
_SIGNATURE_BYTES: Final = 96
_TAG_COSE_SIGN1: Final = 0xD2
_HEADER_ALGORITHM, _ES384 = 1, -35

_NEEDED: Final = frozenset({"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"})
_OPTIONAL: Final = frozenset({"public_key", "user_data", "nonce"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroDocument:
    """What a document says, and what its signature is over.

    `certificates` are DER, the key that signed the document first, the root last. Optional fields
    are None where the document has none.
    """

    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    certificates: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None
    signature_r: int
    signature_s: int
    signed: bytes = field(repr=False)

    @property
    def time(self) -> datetime:
        """When the document was made, as the hypervisor's clock says."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)

    @property
    def debug(self) -> bool:
        """Whether the enclave runs in debug mode, where its console is open to the host."""
        return not any(any(self.pcrs[index]) for index in IMAGE_PCRS)


def parse_nitro_document(data: bytes) -> NitroDocument:
    """Return the document that `data`, a COSE_Sign1 with or without its tag, holds.

    Raises:
        FormatError: too large, not strict CBOR, another algorithm than ES384, a header that is not
            signed, or a field that is missing, unknown, or of another type or size.
    """
    if len(data) > QUOTE_BYTES_MAX:
        raise FormatError(
            Code.LIMIT_EXCEEDED, f"Nitro document: larger than {QUOTE_BYTES_MAX} bytes"
        )
    message = decode_cbor(data[1:] if data[:1] == bytes((_TAG_COSE_SIGN1,)) else data)
    if not isinstance(message, list) or len(message) != 4:
        raise malformed("not a COSE_Sign1")
    protected, unprotected, payload, signature = message
    if not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        raise malformed("not a COSE_Sign1")
    # A header outside of what is signed would be whatever the host wants.
    if unprotected != {} or decode_cbor(protected) != {_HEADER_ALGORITHM: _ES384}:
        raise malformed("another header than the algorithm ES384")
    if len(signature) != _SIGNATURE_BYTES:
        raise malformed(f"a signature of {len(signature)} bytes")
    half = _SIGNATURE_BYTES // 2
    return NitroDocument(
        **_payload(decode_payload(payload)),
        signature_r=int.from_bytes(signature[:half], "big"),
        signature_s=int.from_bytes(signature[half:], "big"),
        # RFC 9052 §4.4, over the bytes as they came.
        signed=cbor2.dumps(["Signature1", protected, b"", payload]),
    )


def _payload(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not _NEEDED <= value.keys() <= _NEEDED | _OPTIONAL:
        raise malformed("missing or unknown fields")
    if value["digest"] != "SHA384":
        raise malformed("registers of another digest than SHA384")
    bundle = value["cabundle"]
    # With the leaf, as long as a chain may be.
    if not isinstance(bundle, list) or not 1 <= len(bundle) < CHAIN_CERTIFICATES_MAX:
        raise malformed("cabundle is a list of certificates")
    # The bundle begins with the root.
    chain = (value["certificate"], *reversed(bundle))
    return {
        "module_id": _module_id(value["module_id"]),
        "timestamp_ms": _timestamp(value["timestamp"]),
        "pcrs": _pcrs(value["pcrs"]),
        "certificates": tuple(
            _bytes(item, limit=_CERTIFICATE_BYTES_MAX, what="certificate") for item in chain
        ),
        **{name: _optional(value.get(name), what=name) for name in _OPTIONAL},
    }


def _module_id(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MODULE_ID_MAX:
        raise malformed("module_id is a text")
    if not (value.isascii() and value.isprintable()):
        raise malformed("module_id is printable ASCII")
    return value


def _timestamp(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _TIMESTAMP_MAX:
        raise malformed("timestamp is a number of milliseconds")
    return value


def _pcrs(value: object) -> Mapping[int, bytes]:
    if not isinstance(value, dict) or not value.keys() <= set(range(PCRS_MAX)):
        raise malformed(f"pcrs are a map of registers 0 to {PCRS_MAX - 1}")
    if not value.keys() >= set(IMAGE_PCRS):
        raise malformed("a register of the image is missing")
    if not all(isinstance(pcr, bytes) and len(pcr) == PCR_BYTES for pcr in value.values()):
        raise malformed(f"a register has {PCR_BYTES} bytes")
    return dict(sorted(value.items()))


def _bytes(value: object, *, limit: int, what: str) -> bytes:
    if not isinstance(value, bytes) or not 1 <= len(value) <= limit:
        raise malformed(f"{what} is 1 to {limit} bytes")
    return value


def _optional(value: object, *, what: str) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) > _OPTIONAL_BYTES_MAX:
        raise malformed(f"{what} is at most {_OPTIONAL_BYTES_MAX} bytes, or null")
    return value
