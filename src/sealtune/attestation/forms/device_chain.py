"""The chain of a device whose report came alone, from certificates that came beside it (§17.3).

Finds; verifies no chain. A device's certificates and those of another have the same names, so that
signatures decide which belong together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.attestation.evidence import DEVICE_KINDS, Evidence
from sealtune.attestation.nvidia_spdm import SpdmReport, parse_spdm_report
from sealtune.core.limits import CHAIN_CERTIFICATES_MAX
from sealtune.crypto.algorithms import SignatureAlgorithm
from sealtune.crypto.ecdsa import verify_ecdsa_p384
from sealtune.crypto.x509 import Certificate, parse_certificate, verify_issued
from sealtune.errors import Code, SealtuneError, VerificationError

# Signatures to try are bounded, whatever lies beside the report; a machine has 32 devices.
_LEAVES_MAX = 64
_ISSUERS_MAX = 64


def with_device_chain(evidence: Evidence, *, endorsements: Endorsements) -> Evidence:
    """Return `evidence` with its chain, if it is a device's and came without certificates.

    Raises:
        FormatError: the report cannot be read.
        VerificationError: no certificate beside it can be the device's.
    """
    if evidence.kind not in DEVICE_KINDS or evidence.certificates:
        return evidence
    report = parse_spdm_report(evidence.report)
    pool = tuple(_readable(endorsements.of(EndorsementType.X509_CERTIFICATE)))
    issuers = {item.issuer for item in pool}
    # All in NVIDIA's chains is P-384; others' certificates may lie beside them.
    leaves = [
        item
        for item in pool
        if item.subject not in issuers and item.algorithm is SignatureAlgorithm.ECDSA_SHA384
    ]
    if not leaves:
        raise VerificationError(
            Code.ENDORSEMENT_MISSING,
            "SPDM report: the device's certificates are neither with it nor endorsements",
        )
    # Where none has signed it, the first: the verifier then says what is wrong with the signature.
    leaf = next((item for item in leaves[:_LEAVES_MAX] if _signed(report, item)), leaves[0])
    return dataclasses.replace(evidence, certificates=_chain(leaf, pool))


def _readable(items: Iterable[bytes]) -> Iterable[Certificate]:
    for item in items:
        try:
            yield parse_certificate(item)
        except SealtuneError:
            continue  # of another vendor, in a form that no device's certificate has


def _signed(report: SpdmReport, leaf: Certificate) -> bool:
    try:
        verify_ecdsa_p384(
            leaf.spki, r=report.signature_r, s=report.signature_s, message=report.signed
        )
    except SealtuneError:
        return False
    return True


def _chain(leaf: Certificate, pool: tuple[Certificate, ...]) -> tuple[bytes, ...]:
    chain = [leaf]
    while chain[-1].issuer != chain[-1].subject and len(chain) < CHAIN_CERTIFICATES_MAX:
        named = [item for item in pool if item.subject == chain[-1].issuer][:_ISSUERS_MAX]
        issuer = next((item for item in named if _issued(chain[-1], item)), None)
        if issuer is None:
            break  # the verifier names what is missing
        chain.append(issuer)
    return tuple(item.raw for item in chain)


def _issued(certificate: Certificate, candidate: Certificate) -> bool:
    try:
        verify_issued(certificate, issuer=candidate)
    except SealtuneError:
        return False
    return True
