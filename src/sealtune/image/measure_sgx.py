"""MRENCLAVE and MRSIGNER from the SIGSTRUCT with which Gramine signs an enclave.

Source: Intel SDM volume 3D, table 35-19 (SIGSTRUCT). Gramine's signer computes MRENCLAVE from its
own loader and the manifest; this reads what came out and checks the signature over it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sealtune.crypto.rsa import rsa_spki, verify_rsa_pkcs1
from sealtune.errors import Code, FormatError

SIGSTRUCT_BYTES: Final = 1808
_HEADER = bytes.fromhex("06000000e10000000000010000000000")
_SECOND_HEADER = bytes.fromhex("01010000600000006000000001000000")
_SECOND_HEADER_AT = 24
_MODULUS = slice(128, 512)
_EXPONENT = slice(512, 516)
_SIGNATURE = slice(516, 900)
_SIGNED = (slice(0, 128), slice(900, 1028))
_ATTRIBUTES = slice(928, 936)
_MRENCLAVE = slice(960, 992)
_PRODUCT = slice(1024, 1026)
_VERSION = slice(1026, 1028)
_DEBUG = 0x2
_EXPONENT_VALUE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxMeasurement:
    """What a quote of the enclave shows."""

    mrenclave: bytes
    mrsigner: bytes
    product: int
    version: int


def parse_sigstruct(data: bytes) -> SgxMeasurement:
    """Return what the SIGSTRUCT `data` lets start.

    Raises:
        FormatError: not a SIGSTRUCT, or one of a debug enclave.
        VerificationError: its signature is not that of the key in it.
    """
    if len(data) != SIGSTRUCT_BYTES:
        raise _malformed(f"{len(data)} bytes where {SIGSTRUCT_BYTES} belong")
    second = data[_SECOND_HEADER_AT : _SECOND_HEADER_AT + len(_SECOND_HEADER)]
    if not data.startswith(_HEADER) or second != _SECOND_HEADER:
        raise _malformed("not a SIGSTRUCT")
    if _number(data, _EXPONENT) != _EXPONENT_VALUE:
        raise _malformed("a key whose exponent is not 3")
    # The processor checks the same; a file that was altered is found before a contract names it.
    verify_rsa_pkcs1(
        rsa_spki(modulus=_number(data, _MODULUS), exponent=_EXPONENT_VALUE),
        signature=data[_SIGNATURE][::-1],
        message=b"".join(data[part] for part in _SIGNED),
        digest="sha256",
    )
    if _number(data, _ATTRIBUTES) & _DEBUG:
        raise _malformed("signed for debugging: the operator could read the enclave")
    return SgxMeasurement(
        mrenclave=data[_MRENCLAVE],
        mrsigner=hashlib.sha256(data[_MODULUS]).digest(),
        product=_number(data, _PRODUCT),
        version=_number(data, _VERSION),
    )


def _number(data: bytes, part: slice) -> int:
    return int.from_bytes(data[part], "little")


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.IMAGE_MALFORMED, f"SIGSTRUCT: {reason}")
