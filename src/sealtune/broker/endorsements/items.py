"""One endorsement on its way from a service to a verifier: bytes, what they are, and until when.

`make_item` reads the bytes and refuses what is not what it is called. It is used before an item
enters a cache, when it is read from there, and when a bundle brings it. Signatures up to a pinned
root are the verifier's business, with every evidence anew; `sources` checks them once more where a
service's answer brings the whole chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sealtune.attestation.endorsements import Endorsement, EndorsementType
from sealtune.broker.endorsements.amd import (
    examine_amd_authority,
    examine_amd_crl,
    examine_amd_key,
)
from sealtune.broker.endorsements.intel import examine_intel_set
from sealtune.broker.endorsements.nvidia import examine_ocsp, examine_rim
from sealtune.broker.endorsements.subjects import Kind, Subject
from sealtune.broker.endorsements.window import Window
from sealtune.core.clock import format_time
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

_READERS: Final[Mapping[Kind, tuple[EndorsementType, Callable[[Subject, bytes], Window]]]] = {
    Kind.AMD_KEY: (EndorsementType.X509_CERTIFICATE, examine_amd_key),
    Kind.AMD_AUTHORITY: (EndorsementType.X509_CERTIFICATE, examine_amd_authority),
    Kind.AMD_CRL: (EndorsementType.X509_CRL, examine_amd_crl),
    Kind.INTEL_SET: (EndorsementType.DCAP, examine_intel_set),
    Kind.NVIDIA_RIM: (EndorsementType.NVIDIA_RIM, examine_rim),
    Kind.NVIDIA_OCSP: (EndorsementType.OCSP, examine_ocsp),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An endorsement that is what `subject` calls it; only `make_item` makes it.

    `source` is the address that it came from, `fetched_at` when.
    """

    subject: Subject
    endorsement: Endorsement = field(repr=False)
    source: str
    fetched_at: datetime
    window: Window

    def require_valid_at(self, now: datetime) -> None:
        """Return when `now` is in the validity.

        Raises:
            VerificationError: it is not; the message says since when.
        """
        if now > self.window.ends:
            reason = f"stale since {format_time(self.window.ends)}"
        elif now < self.window.begins:
            reason = f"not valid before {format_time(self.window.begins)}"
        else:
            return
        message = f"{self.subject}: {reason} (fetched {format_time(self.fetched_at)})"
        raise VerificationError(Code.ENDORSEMENT_STALE, message)


def make_item(subject: Subject, data: bytes, *, source: str, fetched_at: datetime) -> Item:
    """Return `data` as the item that `subject` names.

    Raises:
        FormatError: it cannot be read.
        VerificationError: it is something else than `subject`, or its parts were never valid at the
            same time.
    """
    kind, examine = _READERS[subject.kind]
    endorsement = Endorsement(type=kind, data=data)
    try:
        window = examine(subject, data)
    except VerificationError as error:
        message = f"{subject}: {error.message}"
        raise VerificationError(Code.ENDORSEMENT_MISMATCH, message) from error
    except SealtuneError as error:
        message = f"{subject}: {error.message}"
        raise FormatError(Code.ENDORSEMENT_MALFORMED, message) from error
    if window.begins > window.ends:
        reason = "made of parts that were never valid at the same time"
        raise VerificationError(Code.ENDORSEMENT_MISMATCH, f"{subject}: {reason}")
    return Item(
        subject=subject,
        endorsement=endorsement,
        source=source,
        fetched_at=fetched_at,
        window=window,
    )
