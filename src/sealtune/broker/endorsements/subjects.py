"""What an endorsement is about: one name for each, the same in cache, bundle and messages.

A subject reads `KIND/PART/...`. It is what was asked for; `examine` says whether bytes are that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sealtune.attestation.anchors import Product
from sealtune.attestation.dcap_pck import PckCa
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.snp_report import Signer, decode_tcb
from sealtune.errors import Code, FormatError

SUBJECT_TEXT_MAX: Final = 300
_PRODUCT = "(Milan|Genoa|Turin)"
_RIM_ID: Final = re.compile(r"NV_[A-Za-z0-9._-]{1,120}")


class Kind(StrEnum):
    """What vendors sign that a verification needs."""

    AMD_KEY = "amd-key"  # the certificate of one chip's VCEK at one TCB
    AMD_AUTHORITY = "amd-authority"  # an ASK, ASVK or ARK
    AMD_CRL = "amd-crl"  # what an ARK has revoked
    INTEL_SET = "intel-set"  # TCB info, QE identity and revocation lists of one FMSPC and TEE
    NVIDIA_RIM = "nvidia-rim"  # the reference measurements of one driver or VBIOS
    NVIDIA_OCSP = "nvidia-ocsp"  # whether one certificate is revoked


_FORMS: Final = {
    Kind.AMD_KEY: re.compile(rf"{_PRODUCT}/(?:[0-9a-f]{{128}}|[0-9a-f]{{16}})/[0-9a-f]{{16}}"),
    Kind.AMD_AUTHORITY: re.compile(rf"(?:ARK|SEV|SEV-VLEK)-{_PRODUCT}"),
    Kind.AMD_CRL: re.compile(rf"{_PRODUCT}/(VCEK|VLEK)"),
    Kind.INTEL_SET: re.compile(r"(SGX|TDX)/[0-9a-f]{12}/(platform|processor)"),
    Kind.NVIDIA_RIM: _RIM_ID,
    Kind.NVIDIA_OCSP: re.compile(r"[0-9a-f]{96}/[0-9a-f]{96}/[0-9a-f]{1,64}"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The name of one endorsement.

    Raises:
        FormatError: `name` has not the form of its kind.
    """

    kind: Kind
    name: str

    def __post_init__(self) -> None:
        if not _FORMS[self.kind].fullmatch(self.name):
            raise _malformed()

    @property
    def text(self) -> str:
        """The subject as one text."""
        return f"{self.kind}/{self.name}"

    @property
    def parts(self) -> list[str]:
        """The parts of its name."""
        return self.name.split("/")

    def __str__(self) -> str:
        """Return the subject for people."""
        return _DESCRIBED[self.kind](self)


def parse_subject(text: object) -> Subject:
    """Return the subject that `text` names.

    Raises:
        FormatError: it names none.
    """
    if not isinstance(text, str) or len(text) > SUBJECT_TEXT_MAX:
        raise _malformed()
    kind, _, name = text.partition("/")
    if kind not in set(Kind):
        raise _malformed()
    return Subject(Kind(kind), name)


def amd_key(product: Product, *, chip_id: bytes, tcb: bytes) -> Subject:
    """Return the subject of a VCEK: CHIP_ID and REPORTED_TCB as a report has them.

    Raises:
        FormatError: `chip_id` or `tcb` has another length.
    """
    # AMD's service knows a Turin chip by the 8 bytes that its certificates hold; 64 are answered
    # with 404.
    chip = chip_id[:8] if product is Product.TURIN else chip_id
    return Subject(Kind.AMD_KEY, f"{product}/{chip.hex()}/{tcb.hex()}")


def amd_authorities(product: Product, signer: Signer) -> tuple[Subject, Subject]:
    """Return the subjects of the intermediate that issued a VCEK or VLEK, and of the root."""
    middle = f"SEV-{product}" if signer is Signer.VCEK else f"SEV-VLEK-{product}"
    return Subject(Kind.AMD_AUTHORITY, middle), Subject(Kind.AMD_AUTHORITY, f"ARK-{product}")


def amd_crl(product: Product, signer: Signer) -> Subject:
    """Return the subject of the revocation list that AMD publishes beside VCEKs or VLEKs."""
    return Subject(Kind.AMD_CRL, f"{product}/{signer}")


def intel_set(tee: Tee, *, fmspc: bytes, ca: PckCa) -> Subject:
    """Return the subject of Intel's documents for one kind of platform.

    Raises:
        FormatError: `fmspc` is not 6 bytes.
    """
    return Subject(Kind.INTEL_SET, f"{tee}/{fmspc.hex()}/{ca}")


def nvidia_rim(rim_id: str) -> Subject:
    """Return the subject of a RIM.

    Raises:
        FormatError: `rim_id` is none of NVIDIA's.
    """
    return Subject(Kind.NVIDIA_RIM, rim_id)


def _describe_amd_key(subject: Subject) -> str:
    product, chip, tcb = subject.parts
    levels = decode_tcb(bytes.fromhex(tcb), product=Product(product))
    return f"AMD VCEK, {product} chip {chip[:16]} at {levels}"


def _describe_intel_set(subject: Subject) -> str:
    tee, fmspc, ca = subject.parts
    return f"Intel {tee} set, FMSPC {fmspc} ({ca} CA)"


_DESCRIBED: Final[Mapping[Kind, Callable[[Subject], str]]] = {
    Kind.AMD_KEY: _describe_amd_key,
    Kind.AMD_AUTHORITY: lambda subject: f"AMD certificate {subject.name}",
    Kind.AMD_CRL: lambda subject: (
        f"AMD revocation list of ARK-{subject.parts[0]} ({subject.parts[1]})"
    ),
    Kind.INTEL_SET: _describe_intel_set,
    Kind.NVIDIA_RIM: lambda subject: f"NVIDIA RIM {subject.name}",
    Kind.NVIDIA_OCSP: lambda subject: f"NVIDIA OCSP status of certificate {subject.parts[2]}",
}


def _malformed() -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, "not the name of an endorsement")
