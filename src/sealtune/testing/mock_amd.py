"""A mock of AMD's key hierarchy: crypto-valid, and INSECURE because anybody can make one.

`make_mock_amd` writes a folder that `sealtune.tee.simulated` attests with. `MockAmd` makes evidence
with any field of a report or certificate changed, so that an attack on the verifier is two lines.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sealtune.attestation.anchors import Product, RootUse, TrustAnchors, amd_anchors
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave, SnpTerms
from sealtune.attestation.snp_endorsement import (
    AMD_OID,
    OID_CSP_ID,
    OID_HWID,
    OID_PRODUCT_NAME,
    OID_STRUCT_VERSION,
    SPL,
)
from sealtune.attestation.snp_report import Generation, Signer, Tcb
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.files import PRIVATE_MODE, SHARED_MODE, write_atomic
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P384Key
from sealtune.crypto.rsa import RsaKey
from sealtune.crypto.x509 import Extension
from sealtune.crypto.x509_builder import (
    CertificateFields,
    CrlFields,
    authority_extensions,
    build_certificate,
    build_crl,
)
from sealtune.tee.simulated import (
    CERTIFICATE_FILES,
    CHIP_FILE,
    VCEK_KEY_FILE,
    InsecureReport,
    sign_insecure_report,
)

_README = """INSECURE: a mock of AMD's key hierarchy, made by sealtune for a simulated TEE.

Whoever can read this folder can forge evidence under its root. Nothing here has to do with AMD.
No contract accepts this root unless it says insecure_accept_simulated and names it.
"""
_ORGANIZATION = "INSECURE sealtune mock, not AMD"
_KEY_FILES = ("ark.key.der", "ask.key.der")
_CPUID = {
    Product.MILAN: (0x19, 0x01, 0x01),
    Product.GENOA: (0x19, 0x11, 0x01),
    Product.TURIN: (0x1A, 0x02, 0x01),
}
_TCB = Tcb(bl=10, tee=0, snp=27, ucode=90, fmc=None, reserved=bytes(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class MockVek:
    """What a mock VCEK or VLEK says.

    `changes` replaces the value of an extension by its OID, or leaves it out where it is None.
    """

    product: Product = Product.GENOA
    signer: Signer = Signer.VCEK
    product_name: str = "Genoa"
    tcb: Tcb = _TCB
    hwid: bytes = hashlib.sha512(b"INSECURE mock chip").digest()
    csp_id: str = "CN=insecure-mock-provider"
    not_before: datetime | None = None
    not_after: datetime | None = None
    subject: str = ""
    changes: tuple[tuple[str, bytes | None], ...] = ()

    def extensions(self) -> dict[str, Extension]:
        """Return AMD's extensions (spec/attestation §6.4) with `changes` applied."""
        values: dict[str, bytes | None] = {
            OID_STRUCT_VERSION: der.encode_integer(int(self.product is Product.TURIN)),
            OID_PRODUCT_NAME: der.encode(Tag.IA5_STRING, self.product_name.encode()),
        }
        levels = {SPL[name]: getattr(self.tcb, name) for name in SPL}
        levels.update(enumerate(self.tcb.reserved, start=8 - len(self.tcb.reserved)))
        for number, level in levels.items():
            if level is not None:
                values[f"{AMD_OID}.3.{number}"] = der.encode_integer(level)
        if self.signer is Signer.VCEK:
            values[OID_HWID] = self.hwid
        else:
            values[OID_CSP_ID] = der.encode(Tag.IA5_STRING, self.csp_id.encode())
        values.update(self.changes)
        return {
            oid: Extension(critical=False, value=value)
            for oid, value in values.items()
            if value is not None
        }


TURIN_VEK = MockVek(
    product=Product.TURIN,
    product_name="Turin",
    tcb=Tcb(fmc=1, bl=2, tee=3, snp=4, ucode=81, reserved=bytes(3)),
    hwid=MockVek().hwid[:8],
)


def encode_tcb(tcb: Tcb) -> bytes:
    """Return the eight bytes of `tcb`, with `fmc` in Turin's layout (spec/attestation §5.3)."""
    if tcb.fmc is None:
        return bytes((tcb.bl, tcb.tee)) + tcb.reserved + bytes((tcb.snp, tcb.ucode))
    return bytes((tcb.fmc, tcb.bl, tcb.tee, tcb.snp)) + tcb.reserved + bytes((tcb.ucode,))


class MockAmd:
    """The keys of a mock hierarchy, and certificates and evidence of any shape signed with them."""

    def __init__(self, *, ark: RsaKey, ask: RsaKey, vek: P384Key, now: datetime) -> None:
        self.ark_key = ark
        self.ask_key = ask
        self.vek_key = vek
        self._now = now
        self._chains: dict[MockVek, tuple[bytes, bytes, bytes]] = {}
        # Issued once: RSA-PSS is randomized, and a root has to keep its digest.
        self._authorities: dict[str, bytes] = {}

    @classmethod
    def generate(cls, *, now: datetime) -> MockAmd:
        """Return a new hierarchy whose certificates are valid around `now`; takes seconds."""
        return cls(ark=RsaKey.generate(), ask=RsaKey.generate(), vek=P384Key.generate(), now=now)

    @property
    def root(self) -> Digest:
        """The digest of the mock ARK of product line Genoa, which simulations use."""
        return sha256_digest(self.chain(MockVek())[-1])

    def anchors(self, product: Product = Product.GENOA) -> TrustAnchors:
        """Return AMD's roots and this mock's root for `product`."""
        ark = self.chain(MockVek(product=product, product_name=str(product)))[-1]
        return amd_anchors().with_insecure_root(
            sha256_digest(ark), use=RootUse.AMD_ARK, product=product
        )

    def chain(self, vek: MockVek) -> tuple[bytes, bytes, bytes]:
        """Return the certificates of the key that signs reports, the intermediate and the root."""
        if vek not in self._chains:
            self._chains[vek] = (
                self._issue_vek(vek),
                self.intermediate(vek.product, signer=vek.signer),
                self.authority(f"ARK-{vek.product}", f"ARK-{vek.product}", spki=self.ark_key.spki),
            )
        return self._chains[vek]

    def intermediate(self, product: Product, *, signer: Signer) -> bytes:
        """Return the ASK (for a VCEK) or the ASVK (for a VLEK); both have the same mock key."""
        return self.authority(
            _intermediate_name(product, signer), f"ARK-{product}", spki=self.ask_key.spki
        )

    def evidence(self, *, vek: MockVek | None = None, **changes: Any) -> Evidence:
        """Return evidence of a guest on the chip of `vek`; `changes` are fields of its report.

        Fields that are not given are an honest guest's (`InsecureReport`), with zeros for
        report_data, host_data and measurement.
        """
        vek = vek or MockVek()
        return self.evidence_of(self.report(vek, **changes).signed_bytes(), vek=vek)

    def report(self, vek: MockVek, **changes: Any) -> InsecureReport:
        """Return the report of a guest on the chip of `vek`, with `changes` to its fields."""
        tcb = encode_tcb(vek.tcb)
        vcek = vek.signer is Signer.VCEK
        report = InsecureReport(
            report_data=bytes(64),
            host_data=bytes(32),
            measurement=bytes(48),
            chip_id=vek.hwid if vcek else b"",
            reported_tcb=tcb,
            committed_tcb=tcb,
            current_tcb=tcb,
            launch_tcb=tcb,
            signing_key=0 if vcek else 1,
            cpuid=_CPUID[vek.product],
        )
        return dataclasses.replace(report, **changes)

    def insecure_enclave(self, **changes: Any) -> AcceptedEnclave:
        """Return reference values that accept `evidence()` as it is.

        `changes` are fields of the entry or of its terms for AMD's hardware.
        """
        terms = SnpTerms(
            minimum_tcb={Generation.GENOA: {"bl": 0, "tee": 0, "snp": 0, "ucode": 0}},
            vmpl=frozenset({0}),
            chip_ids=None,
            csp_ids=frozenset(),
            required_policy=frozenset(),
            required_platform=frozenset(),
            minimum_mitigations=0,
            require_crl=False,
        )
        enclave = AcceptedEnclave(
            name="simulated",
            kind=EvidenceKind.SEV_SNP,
            measurements=frozenset({"00" * 48}),
            registers={},
            contract_at_launch=True,
            snp=terms,
            dcap=None,
            tpm=None,
            devices=(),
            insecure_accept_simulated=True,
            simulated_root=self.root,
        )
        return changed_enclave(enclave, **changes)

    def evidence_of(self, signed: bytes, *, vek: MockVek) -> Evidence:
        """Return evidence with exactly `signed` (0x2A0 bytes) as its signed part."""
        return Evidence(
            kind=EvidenceKind.SEV_SNP,
            report=sign_insecure_report(signed, key=self.vek_key),
            certificates=self.chain(vek),
        )

    def _issue_vek(self, vek: MockVek) -> bytes:
        fields = CertificateFields(
            serial=0,  # as AMD's
            issuer=_name(_intermediate_name(vek.product, vek.signer)),
            subject=_name(vek.subject or f"SEV-{vek.signer}"),
            not_before=vek.not_before or self._now - timedelta(days=1),
            not_after=vek.not_after or self._now + timedelta(days=7 * 365),
            spki=self.vek_key.spki,
            extensions=vek.extensions(),
        )
        return build_certificate(fields, key=self.ask_key)

    def revocation_list(
        self, *revoked: int, product: Product = Product.GENOA, **changes: Any
    ) -> bytes:
        """Return a list of the mock ARK with these serial numbers; `changes` are its fields."""
        fields: dict[str, Any] = {
            "issuer": _name(f"ARK-{product}"),
            "this_update": self._now - timedelta(days=1),
            "next_update": self._now + timedelta(days=30),
            "revoked": dict.fromkeys(revoked),
        }
        return build_crl(CrlFields(**{**fields, **changes}), key=self.ark_key)

    def authority(self, subject: str, issuer: str, *, spki: bytes) -> bytes:
        """Return the certificate of an authority named `subject`, signed with the ARK's key."""
        if subject not in self._authorities:
            self._authorities[subject] = self._issue_authority(subject, issuer, spki=spki)
        return self._authorities[subject]

    def _issue_authority(self, subject: str, issuer: str, *, spki: bytes) -> bytes:
        fields = CertificateFields(
            serial=int.from_bytes(hashlib.sha256(subject.encode()).digest()[:4], "big"),
            issuer=_name(issuer),
            subject=_name(subject),
            # Root and intermediate each have days on which only one of them is valid.
            not_before=self._now - timedelta(days=2 if subject == issuer else 3),
            not_after=self._now + timedelta(days=365 * (21 if subject == issuer else 20)),
            spki=spki,
            extensions=authority_extensions(path_length=None if subject == issuer else 0),
        )
        return build_certificate(fields, key=self.ark_key)


def changed_enclave(enclave: AcceptedEnclave, **changes: Any) -> AcceptedEnclave:
    """Return `enclave` with `changes` to its fields or to those of its terms for AMD's hardware."""
    of_terms = {name: changes.pop(name) for name in SnpTerms.__slots__ if name in changes}
    if of_terms and enclave.snp is not None:
        changes["snp"] = dataclasses.replace(enclave.snp, **of_terms)
    return dataclasses.replace(enclave, **changes)


def make_mock_amd(folder: Path, *, now: datetime) -> MockAmd:
    """Write a new mock hierarchy to `folder` and return it; takes seconds.

    The folder gets the certificates, the private keys (0600) and a README that says INSECURE.

    Raises:
        StorageError: the disk refuses.
    """
    mock = MockAmd.generate(now=now)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "README", _README.encode())
    for name, certificate in zip(CERTIFICATE_FILES, mock.chain(MockVek()), strict=True):
        write_atomic(folder / name, certificate, mode=SHARED_MODE)
    chip = {"chip_id": MockVek().hwid.hex(), "tcb": encode_tcb(MockVek().tcb).hex()}
    write_atomic(folder / CHIP_FILE, canonical_json(chip), mode=SHARED_MODE)
    keys = (mock.ark_key.reveal(), mock.ask_key.reveal(), mock.vek_key.reveal())
    for name, key in zip((*_KEY_FILES, VCEK_KEY_FILE), keys, strict=True):
        write_atomic(folder / name, key, mode=PRIVATE_MODE)
    return mock


def _intermediate_name(product: Product, signer: Signer) -> str:
    return f"SEV-{product}" if signer is Signer.VCEK else f"SEV-VLEK-{product}"


def _name(common_name: str) -> tuple[tuple[str, str], ...]:
    return (("2.5.4.10", _ORGANIZATION), ("2.5.4.3", common_name))
