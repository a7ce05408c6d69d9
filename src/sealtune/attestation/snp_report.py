"""The AMD SEV-SNP ATTESTATION_REPORT: its bytes and what they mean (spec/attestation §5.1-5.4).

Source: AMD publication 56860 (SEV-SNP firmware ABI), table 23. Parses; verifies nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sealtune.attestation.anchors import Product
from sealtune.errors import Code, FormatError, VerificationError

REPORT_BYTES = 0x4A0
SIGNED_BYTES = 0x2A0
# spec/attestation §5.1: version 4 has the fields of version 3; AMD documents no other.
_VERSIONS = frozenset({2, 3, 4, 5})
_FIRST_VERSION_WITH_CPUID = 3
_FIRST_VERSION_WITH_MITIGATIONS = 5
_ECDSA_P384_SHA384 = 1
_SCALAR_BYTES = 48
_SCALAR_FIELD_BYTES = 72


class Signer(StrEnum):
    """Which kind of key signed a report: the chip's own, or one that AMD lends a provider."""

    VCEK = "VCEK"
    VLEK = "VLEK"


class Generation(StrEnum):
    """EPYC generations, as far as their TCB numbers are comparable."""

    MILAN = "milan"
    GENOA = "genoa"
    SIENA_BERGAMO = "siena-bergamo"
    TURIN = "turin"


_SIGNERS = {0: Signer.VCEK, 1: Signer.VLEK}

# spec/attestation §5.4: (family, first model, last model), generation, and the root it belongs to.
_CPUID = (
    (0x19, 0x00, 0x0F, Generation.MILAN, Product.MILAN),
    (0x19, 0x10, 0x1F, Generation.GENOA, Product.GENOA),
    (0x19, 0xA0, 0xAF, Generation.SIENA_BERGAMO, Product.GENOA),
    (0x1A, 0x00, 0x1F, Generation.TURIN, Product.TURIN),
)
# A version 2 report has no CPUID. Under Genoa's root it may be Siena or Bergamo too, whose
# microcode numbers are lower: taking it for Genoa applies the stricter floor.
_WITHOUT_CPUID = {
    Product.MILAN: Generation.MILAN,
    Product.GENOA: Generation.GENOA,
    Product.TURIN: Generation.TURIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcb:
    """A TCB_VERSION by component; `fmc` exists from Turin on, `reserved` must match too."""

    bl: int
    tee: int
    snp: int
    ucode: int
    fmc: int | None
    reserved: bytes

    def __str__(self) -> str:
        names = ("bl", "tee", "snp", "ucode")
        first = "" if self.fmc is None else f"fmc={self.fmc} "
        return first + " ".join(f"{name}={getattr(self, name)}" for name in names)


def decode_tcb(raw: bytes, *, product: Product) -> Tcb:
    """Return the eight bytes of a TCB_VERSION by component (spec/attestation §5.3)."""
    if product is Product.TURIN:
        fmc, bl, tee, snp = raw[:4]
        return Tcb(fmc=fmc, bl=bl, tee=tee, snp=snp, reserved=raw[4:7], ucode=raw[7])
    return Tcb(fmc=None, bl=raw[0], tee=raw[1], reserved=raw[2:6], snp=raw[6], ucode=raw[7])


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpReport:
    """Every field of a report; TCB versions are raw, for their layout depends on the product."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform_info: int
    author_key_enabled: bool
    mask_chip_key: bool
    signer: Signer
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid: tuple[int, int, int]
    chip_id: bytes
    committed_tcb: bytes
    current_version: tuple[int, int, int]
    committed_version: tuple[int, int, int]
    launch_tcb: bytes
    launch_mitigations: int
    current_mitigations: int
    signature_r: int
    signature_s: int
    signed: bytes = field(repr=False)

    @property
    def has_cpuid(self) -> bool:
        """Whether this version of the report says what processor made it."""
        return self.version >= _FIRST_VERSION_WITH_CPUID


def parse_snp_report(data: bytes) -> SnpReport:
    """Return the report that `data` holds.

    Raises:
        FormatError: not exactly 1184 bytes, another version than 2 to 5, another signature
            algorithm than ECDSA P-384 SHA-384, or unsigned bytes that are not zero.
        VerificationError: SIGNING_KEY names no key that signs for a guest.
    """
    if len(data) != REPORT_BYTES:
        raise _malformed(f"{len(data)} bytes where {REPORT_BYTES} belong")
    version = _number(data, 0x000, 4)
    if version not in _VERSIONS:
        raise FormatError(Code.EVIDENCE_VERSION, f"SNP report: version {version} is not known")
    algorithm = _number(data, 0x034, 4)
    if algorithm != _ECDSA_P384_SHA384:
        raise _malformed(f"signature algorithm {algorithm} is not ECDSA P-384 SHA-384")
    # spec/attestation §5.1: nothing signs what follows S; another value would be a second
    # spelling of the same evidence, or a place to smuggle.
    if any(data[SIGNED_BYTES + 2 * _SCALAR_FIELD_BYTES :]):
        raise _malformed("bytes after the signature are not zero")
    flags = _number(data, 0x048, 4)
    has_mitigations = version >= _FIRST_VERSION_WITH_MITIGATIONS
    return SnpReport(
        version=version,
        guest_svn=_number(data, 0x004, 4),
        policy=_number(data, 0x008, 8),
        family_id=data[0x010:0x020],
        image_id=data[0x020:0x030],
        vmpl=_number(data, 0x030, 4),
        signature_algorithm=algorithm,
        current_tcb=data[0x038:0x040],
        platform_info=_number(data, 0x040, 8),
        author_key_enabled=bool(flags & 1),
        mask_chip_key=bool(flags & 2),
        signer=_signer(flags >> 2 & 7),
        report_data=data[0x050:0x090],
        measurement=data[0x090:0x0C0],
        host_data=data[0x0C0:0x0E0],
        id_key_digest=data[0x0E0:0x110],
        author_key_digest=data[0x110:0x140],
        report_id=data[0x140:0x160],
        report_id_ma=data[0x160:0x180],
        reported_tcb=data[0x180:0x188],
        cpuid=(data[0x188], data[0x189], data[0x18A]),
        chip_id=data[0x1A0:0x1E0],
        committed_tcb=data[0x1E0:0x1E8],
        # Stored as build, minor, major.
        current_version=(data[0x1EA], data[0x1E9], data[0x1E8]),
        committed_version=(data[0x1EE], data[0x1ED], data[0x1EC]),
        launch_tcb=data[0x1F0:0x1F8],
        # Earlier versions do not define these bytes: nothing there says that a mitigation is on.
        launch_mitigations=_number(data, 0x1F8, 8) if has_mitigations else 0,
        current_mitigations=_number(data, 0x200, 8) if has_mitigations else 0,
        signature_r=_scalar(data, SIGNED_BYTES),
        signature_s=_scalar(data, SIGNED_BYTES + _SCALAR_FIELD_BYTES),
        signed=data[:SIGNED_BYTES],
    )


def generation_of(report: SnpReport, *, product: Product) -> Generation:
    """Return the generation of the processor that made `report`, under the root of `product`.

    Raises:
        VerificationError: the report's CPUID is of a processor that `product` does not endorse.
    """
    if not report.has_cpuid:
        return _WITHOUT_CPUID[product]
    family, model, _stepping = report.cpuid
    for of_family, first, last, generation, root_product in _CPUID:
        if family == of_family and first <= model <= last and root_product is product:
            return generation
    raise VerificationError(
        Code.EVIDENCE_CHAIN,
        f"a processor of family {family:#x} model {model:#x} is not endorsed by ARK-{product}",
    )


def product_of(report: SnpReport) -> Product | None:
    """Return the product line that `report` says it is of; None where it does not say."""
    family, model, _stepping = report.cpuid
    for of_family, first, last, _generation, product in _CPUID:
        if report.has_cpuid and family == of_family and first <= model <= last:
            return product
    return None


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"SNP report: {reason}")


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")


def _signer(value: int) -> Signer:
    signer = _SIGNERS.get(value)
    if signer is None:
        raise VerificationError(
            Code.EVIDENCE_SIGNATURE, f"SNP report: SIGNING_KEY {value} signs for no guest"
        )
    return signer


def _scalar(data: bytes, offset: int) -> int:
    if any(data[offset + _SCALAR_BYTES : offset + _SCALAR_FIELD_BYTES]):
        raise _malformed("padding of R or S is not zero")
    return _number(data, offset, _SCALAR_BYTES)
