"""Asks vendors' services for endorsements, and believes none of them.

An answer becomes an item only if it is what was asked for and, but for OCSP, signed up to a pinned
root: a mirror or a PCCS can be late or lie, and nothing of that reaches a cache. Whether an OCSP
response is signed is seen when the certificate that it is about is at hand, by the verifier.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sealtune.attestation.anchors import Product, RootUse, TrustAnchors
from sealtune.attestation.dcap_endorsements import parse_dcap
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.rim import parse_rim, verify_rim
from sealtune.attestation.snp_endorsement import verify_endorsement
from sealtune.attestation.snp_report import Signer
from sealtune.broker.endorsements.amd import chain_path, crl_path, vcek_path
from sealtune.broker.endorsements.fetch import Fetcher, HttpAnswer, NotThereError, Question
from sealtune.broker.endorsements.intel import fetch_intel_set
from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.needs import Need
from sealtune.broker.endorsements.nvidia import (
    RIM_ANSWER_BYTES_MAX,
    ocsp_request,
    rim_of_answer,
    rim_path,
)
from sealtune.broker.endorsements.subjects import Kind, Subject, amd_authorities
from sealtune.core.canonical import parse_foreign_json
from sealtune.core.clock import Clock
from sealtune.core.limits import CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX
from sealtune.crypto.crl import CRL_BYTES_MAX, parse_crl, verify_crl
from sealtune.crypto.ocsp import OCSP_BYTES_MAX
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate, verify_issued
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

AMD_KDS: Final = "https://kdsintf.amd.com"
INTEL_PCS: Final = "https://api.trustedservices.intel.com"
INTEL_ROOT_CRL: Final = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
NVIDIA_RIM: Final = "https://rim.attestation.nvidia.com"
NVIDIA_OCSP: Final = "https://ocsp.ndis.nvidia.com"
AZURE_THIM: Final = "http://169.254.169.254"
# What a verification of an answer may refuse; all else is a signature, chain or root.
_ANSWERS: Final = {
    Code.ENDORSEMENT_MISMATCH: Code.ENDORSEMENT_MISMATCH,
    Code.ENDORSEMENT_STALE: Code.ENDORSEMENT_STALE,
    Code.EVIDENCE_CERTIFICATE_TIME: Code.ENDORSEMENT_STALE,
}
_THIM_PATH: Final = "/metadata/THIM/amd/certification"
_CHAIN_BYTES_MAX: Final = 2 * CHAIN_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Where to ask. `pccs` are asked in their order in the place of Intel's own service.

    `thim` is Azure's metadata service, which knows the certificates of the machine that asks and is
    reached from inside a VM only; None where AMD's service is asked for keys too.
    """

    kds: str = AMD_KDS
    pcs: str = INTEL_PCS
    root_crl: str = INTEL_ROOT_CRL
    pccs: tuple[str, ...] = ()
    rim: str = NVIDIA_RIM
    ocsp: str = NVIDIA_OCSP
    thim: str | None = None

    def of(self, kind: Kind) -> str:
        """Return who is asked for endorsements of `kind`, for messages."""
        if kind is Kind.AMD_KEY:
            return self.thim or self.kds
        return {
            Kind.INTEL_SET: " or ".join(self.pccs or (self.pcs,)),
            Kind.NVIDIA_RIM: self.rim,
            Kind.NVIDIA_OCSP: self.ocsp,
        }.get(kind, self.kds)


def endorsement_services(
    *, kds: str | None, pccs: Sequence[str], rim: str | None, ocsp: str | None, thim: bool
) -> Services:
    """Return the vendors' own services, but for those that are given; see `Services`."""
    return Services(
        kds=_base(kds or AMD_KDS),
        pccs=tuple(map(_base, pccs)),
        rim=_base(rim or NVIDIA_RIM),
        ocsp=ocsp or NVIDIA_OCSP,
        thim=AZURE_THIM if thim else None,
    )


def _base(url: str) -> str:
    return url.rstrip("/")


class Sources:
    """The services, and the rules by which their answers are taken."""

    def __init__(
        self, fetcher: Fetcher, *, services: Services, anchors: TrustAnchors, clock: Clock
    ) -> None:
        self._fetcher = fetcher
        self._services = services
        self._anchors = anchors
        self._clock = clock

    def fetch(self, need: Need, *, held: Collection[Item]) -> tuple[Item, ...]:
        """Return what meets `need`, and what its answer brought along.

        The options are asked for in turn until a service knows one. `held` spares questions for
        authorities that are known.

        Raises:
            TransportError: a service did not answer, or knows none of the options.
            FormatError: an answer that cannot be read.
            VerificationError: an answer that is something else, or not signed by the vendor.
        """
        for option in need.options[:-1]:
            try:
                return self._of(option, held)
            except NotThereError:
                continue
        return self._of(need.options[-1], held)

    def _of(self, subject: Subject, held: Collection[Item]) -> tuple[Item, ...]:
        try:
            return self._fetch(subject, held)
        except (FormatError, VerificationError) as error:
            # What came is the service's doing, so code and message are about its answer: whoever
            # reads them should not go and mend a file or doubt a machine.
            message = f"{error.message} (from {self._services.of(subject.kind)})"
            if isinstance(error, FormatError):
                raise FormatError(Code.ENDORSEMENT_MALFORMED, message) from error
            raise VerificationError(
                _ANSWERS.get(error.code, Code.ENDORSEMENT_SIGNATURE), message
            ) from error

    def _fetch(self, subject: Subject, held: Collection[Item]) -> tuple[Item, ...]:
        if subject.kind is Kind.AMD_KEY:
            return self._amd_key(subject, held)
        if subject.kind is Kind.AMD_AUTHORITY:
            product = Product(subject.name.rpartition("-")[2])
            signer = Signer.VLEK if "VLEK" in subject.name else Signer.VCEK
            return self._amd_chain(product, signer)
        if subject.kind is Kind.AMD_CRL:
            return self._amd_crl(subject, held)
        if subject.kind is Kind.INTEL_SET:
            return (self._intel_set(subject),)
        if subject.kind is Kind.NVIDIA_RIM:
            return (self._rim(subject),)
        return (self._ocsp(subject),)

    # -- AMD ---------------------------------------------------------------------------------------

    def _amd_key(self, subject: Subject, held: Collection[Item]) -> tuple[Item, ...]:
        if self._services.thim is not None:
            items = self._thim(subject, self._services.thim)
        else:
            product = Product(subject.parts[0])
            url = self._services.kds + vcek_path(subject)
            answer = self._ask(Question(url=url, limit=CERTIFICATE_BYTES_MAX))
            key = self._item(subject, answer.body, answer.url)
            items = (key, *self._known_chain(product, Signer.VCEK, held))
        certificates = tuple(item.endorsement.data for item in items)
        verify_endorsement(
            certificates, signer=Signer.VCEK, anchors=self._anchors, now=self._clock.now()
        )
        return items

    def _thim(self, subject: Subject, service: str) -> tuple[Item, ...]:
        url = service + _THIM_PATH
        headers = {"Metadata": "true"}
        answer = self._ask(Question(url=url, limit=_CHAIN_BYTES_MAX, headers=headers))
        value = parse_foreign_json(answer.body, limit=_CHAIN_BYTES_MAX, what="THIM")
        try:
            (key,) = certificates_from_pem(value["vcekCert"].encode())
            middle, root = certificates_from_pem(value["certificateChain"].encode())
        except (TypeError, KeyError, AttributeError, ValueError):
            message = f"{url}: not the certificate of a chip and its chain"
            raise FormatError(Code.ENDORSEMENT_MALFORMED, message) from None
        subjects = (subject, *amd_authorities(Product(subject.parts[0]), Signer.VCEK))
        return tuple(
            self._item(about, data, url)
            for about, data in zip(subjects, (key, middle, root), strict=True)
        )

    def _known_chain(
        self, product: Product, signer: Signer, held: Collection[Item]
    ) -> tuple[Item, ...]:
        wanted, now = amd_authorities(product, signer), self._clock.now()
        known = {item.subject: item for item in held if item.window.holds(now)}
        if all(subject in known for subject in wanted):
            return tuple(known[subject] for subject in wanted)
        return self._amd_chain(product, signer)

    def _amd_chain(self, product: Product, signer: Signer) -> tuple[Item, ...]:
        url = self._services.kds + chain_path(product, signer)
        answer = self._ask(Question(url=url, limit=_CHAIN_BYTES_MAX))
        chain = certificates_from_pem(answer.body)
        subjects = amd_authorities(product, signer)
        if len(chain) != len(subjects):
            message = f"{url}: {len(chain)} certificates where 2 belong"
            raise FormatError(Code.ENDORSEMENT_MALFORMED, message)
        items = tuple(
            self._item(subject, data, answer.url)
            for subject, data in zip(subjects, chain, strict=True)
        )
        middle, root = map(parse_certificate, chain)
        self._anchors.find(root.digest, use=RootUse.AMD_ARK)
        verify_issued(middle, issuer=root)
        return items

    def _amd_crl(self, subject: Subject, held: Collection[Item]) -> tuple[Item, ...]:
        product, signer = Product(subject.parts[0]), Signer(subject.parts[1])
        answer = self._ask(
            Question(url=self._services.kds + crl_path(subject), limit=CRL_BYTES_MAX)
        )
        crl = self._item(subject, answer.body, answer.url)
        chain = self._known_chain(product, signer, held)
        root = parse_certificate(chain[-1].endorsement.data)
        verify_crl(parse_crl(answer.body), issuer=root, now=self._clock.now())
        return (crl, *chain)

    # -- Intel -------------------------------------------------------------------------------------

    def _intel_set(self, subject: Subject) -> Item:
        if not self._services.pccs:
            return self._intel_set_of(subject, self._services.pcs, self._services.root_crl)
        # A set is of one service: parts of two could be of two states of the world.
        for service in self._services.pccs[:-1]:
            try:
                return self._intel_set_of(subject, service, _root_crl_of(service))
            except SealtuneError:
                continue
        service = self._services.pccs[-1]
        return self._intel_set_of(subject, service, _root_crl_of(service))

    def _intel_set_of(self, subject: Subject, service: str, root_crl: str) -> Item:
        data = fetch_intel_set(subject, service=service, root_crl=root_crl, ask=self._ask)
        item = self._item(subject, data, service)
        found = parse_dcap(data)
        root = found.crl_chain[1]
        for chain in (found.tcb_info_chain, found.qe_identity_chain, found.crl_chain):
            self._anchors.find(chain[1].digest, use=RootUse.INTEL_SGX)
        verify_crl(found.root_crl, issuer=root, now=self._clock.now())
        verify_crl(found.pck_crl, issuer=found.crl_chain[0], now=self._clock.now())
        return item

    # -- NVIDIA ------------------------------------------------------------------------------------

    def _rim(self, subject: Subject) -> Item:
        url = self._services.rim + rim_path(subject)
        answer = self._ask(Question(url=url, limit=RIM_ANSWER_BYTES_MAX))
        rim = rim_of_answer(subject, answer.body)
        item = self._item(subject, rim, answer.url)
        verify_rim(
            parse_rim(rim),
            anchors=self._anchors,
            endorsements=NO_ENDORSEMENTS,
            now=self._clock.now(),
        )
        return item

    def _ocsp(self, subject: Subject) -> Item:
        headers = {"Content-Type": "application/ocsp-request"}
        answer = self._ask(
            Question(
                url=self._services.ocsp,
                limit=OCSP_BYTES_MAX,
                headers=headers,
                body=ocsp_request(subject),
            )
        )
        return self._item(subject, answer.body, answer.url)

    def _ask(self, question: Question) -> HttpAnswer:
        return self._fetcher.ask(question)

    def _item(self, subject: Subject, data: bytes, source: str) -> Item:
        now = self._clock.now()
        item = make_item(subject, data, source=source, fetched_at=now)
        item.require_valid_at(now)
        return item


def _root_crl_of(pccs: str) -> str:
    # A PCCS hands out the root's list too; a broker that is cut off from Intel reaches only that.
    return f"{pccs}/sgx/certification/v4/rootcacrl"
