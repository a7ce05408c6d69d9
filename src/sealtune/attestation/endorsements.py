"""Endorsements: what vendors signed about their hardware, as bytes (spec/attestation §19).

Nothing here is fetched or trusted. A verifier takes the items that its evidence needs and checks
each up to a pinned root; who delivered them does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sealtune.core.limits import (
    ENDORSEMENT_BYTES_MAX,
    ENDORSEMENTS_BYTES_MAX,
    ENDORSEMENTS_MAX,
)
from sealtune.errors import Code, FormatError


class EndorsementType(StrEnum):
    """What an item is, and so who reads it."""

    X509_CERTIFICATE = "x509-certificate"  # DER
    X509_CRL = "x509-crl"  # DER
    DCAP = "dcap"  # JSON: one consistent set of Intel's documents for a FMSPC and TEE
    NVIDIA_RIM = "nvidia-rim"  # a swidtag in XML
    OCSP = "ocsp"  # a DER response


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """One vendor-signed document, unverified.

    Raises:
        FormatError: larger than any honest one.
    """

    type: EndorsementType
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) > ENDORSEMENT_BYTES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, f"a {self.type} endorsement is too large")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsements:
    """All that a verification may draw on.

    Raises:
        FormatError: more items or bytes than anybody needs.
    """

    items: tuple[Endorsement, ...]

    def __post_init__(self) -> None:
        if len(self.items) > ENDORSEMENTS_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "too many endorsements")
        if sum(len(item.data) for item in self.items) > ENDORSEMENTS_BYTES_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, "endorsements: too many bytes")

    def of(self, kind: EndorsementType) -> tuple[bytes, ...]:
        """Return the documents of one type, in the order given."""
        return tuple(item.data for item in self.items if item.type is kind)

    def also(self, other: Endorsements) -> Endorsements:
        """Return the items of both, each once."""
        return Endorsements(items=tuple(dict.fromkeys((*self.items, *other.items))))


NO_ENDORSEMENTS: Final = Endorsements(items=())
