"""SEV-SNP evidence from a report and the certificate table that came with it."""

from __future__ import annotations

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_cert_table import parse_cert_table

_KEY_INFO = 0x48
_SIGNED_WITH_VLEK = 1


def snp_evidence(report: bytes, table: bytes) -> Evidence:
    """Return the evidence; it lacks the certificates that the host did not attach.

    They are hints: a verifier checks them, and has what is missing from its own endorsements.

    Raises:
        FormatError: `table` is no certificate table.
    """
    found = parse_cert_table(table)
    # A host may attach both; the report says which key signed it (spec/attestation §5.1).
    signing_key = report[_KEY_INFO] >> 2 & 7 if len(report) > _KEY_INFO else 0
    signer = found.vlek if signing_key == _SIGNED_WITH_VLEK else found.vcek
    chain = tuple(item for item in (signer, found.ask, found.ark) if item is not None)
    return Evidence(kind=EvidenceKind.SEV_SNP, report=report, certificates=chain)
