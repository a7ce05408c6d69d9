"""AMD signs certificates with RSASSA-PSS SHA-384; a chain with another algorithm is not AMD's."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sealtune.attestation.anchors import Product, RootUse, vendor_anchors
from sealtune.attestation.snp_endorsement import verify_endorsement
from sealtune.attestation.snp_report import Signer
from sealtune.crypto.algorithms import SignatureAlgorithm
from sealtune.crypto.ecdsa import P384Key
from sealtune.crypto.x509 import parse_certificate, verify_chain
from sealtune.crypto.x509_builder import (
    AuthorityKey,
    CertificateFields,
    authority_extensions,
    build_certificate,
)
from sealtune.errors import Code, VerificationError
from sealtune.testing.mock_amd import MockAmd, MockVek


def mixed_chain(
    mock_amd: MockAmd, now: datetime, algorithms: tuple[SignatureAlgorithm, ...], ask: AuthorityKey
) -> tuple[bytes, ...]:
    """Return a crypto-valid chain whose certificates are signed with these algorithms."""
    names = ("SEV-VCEK", "SEV-Genoa", "ARK-Genoa")
    keys = (ask, mock_amd.ark_key, mock_amd.ark_key)
    owners = (mock_amd.vek_key.spki, ask.spki, mock_amd.ark_key.spki)
    extensions = (
        MockVek().extensions(),
        authority_extensions(path_length=0),
        authority_extensions(path_length=None),
    )
    return tuple(
        build_certificate(
            CertificateFields(
                serial=index,
                issuer=(("2.5.4.3", names[min(index + 1, 2)]),),
                subject=(("2.5.4.3", names[index]),),
                not_before=now - timedelta(days=1),
                not_after=now + timedelta(days=30),
                spki=owners[index],
                extensions=extensions[index],
            ),
            key=keys[index],
            algorithm=algorithms[index],
        )
        for index in range(3)
    )


PSS, RSA = SignatureAlgorithm.PSS_SHA384, SignatureAlgorithm.RSA_SHA384


@pytest.mark.parametrize(
    ("algorithms", "elliptic"),
    [
        ((PSS, PSS, PSS), False),
        ((RSA, PSS, PSS), False),
        ((PSS, RSA, PSS), False),
        ((PSS, PSS, RSA), False),
        ((SignatureAlgorithm.ECDSA_SHA384, PSS, PSS), True),
    ],
    ids=["all-pss", "vcek", "ask", "ark", "vcek-under-an-elliptic-ask"],
)
def test_every_link_is_signed_as_amd_signs(
    mock_amd: MockAmd,
    now: datetime,
    algorithms: tuple[SignatureAlgorithm, ...],
    elliptic: bool,
) -> None:
    ask: AuthorityKey = P384Key.generate() if elliptic else mock_amd.ask_key
    certificates = mixed_chain(mock_amd, now, algorithms, ask)
    parsed = tuple(map(parse_certificate, certificates))
    # As a chain of anybody it is fine; only that it claims to be AMD's is not.
    verify_chain(parsed, now=now)
    trusted = vendor_anchors().with_insecure_root(
        parsed[2].digest, use=RootUse.AMD_ARK, product=Product.GENOA
    )
    if set(algorithms) == {PSS}:
        verify_endorsement(certificates, signer=Signer.VCEK, anchors=trusted, now=now)
        return
    with pytest.raises(VerificationError) as refusal:
        verify_endorsement(certificates, signer=Signer.VCEK, anchors=trusted, now=now)
    assert refusal.value.code is Code.CERTIFICATE_SIGNATURE
    assert "RSASSA-PSS" in str(refusal.value)
