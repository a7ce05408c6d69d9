"""A report in a file, verified, and what ties a bundle to it: for the owner who seals.

Below this, `bundle` knows digests only (docs/adr/0009).
"""

from __future__ import annotations

from pathlib import Path

from sealtune.bundle.seal import DeidBinding
from sealtune.core.files import read_bounded
from sealtune.crypto.signing import VerifyingKey
from sealtune.deid.report import REPORT_BYTES_MAX, VerifiedReport, verify_report


def read_report_file(path: Path, *, owner: VerifyingKey) -> VerifiedReport:
    """Return the report in the file at `path` once `owner` has signed it.

    Raises:
        StorageError: the file cannot be read.
        FormatError, VerificationError: as `verify_report`.
    """
    data = read_bounded(path, limit=2 * REPORT_BYTES_MAX, what="de-identification report")
    return verify_report(data, owner=owner)


def bind_report_file(path: Path, *, owner: VerifyingKey) -> DeidBinding:
    """Return what `seal_data` needs of the report at `path`, verified as by `read_report_file`."""
    report = read_report_file(path, owner=owner).report
    return DeidBinding(report=report.digest, records=report.records_digest)
