"""RTMR1 and RTMR2 of a TDX guest that boots directly, derived and **not verified on hardware**.

UEFI 2.10 §38.4.1 sends PCR 2 to 6 to RTMR1 and PCR 8 to 15 to RTMR2, in SHA-384. The sequence of
events is that of signed TDX quotes with event logs, recorded from another deployment's direct boots
(docs/spec/reference-values.md §4); no boot of this project's images on such a machine has been
compared. MRTD and RTMR0 depend on firmware and machine and are not derived.
"""

from __future__ import annotations

from typing import Final

from sealtune.attestation.event_log import Bank
from sealtune.image.pcr import CALLING, SEPARATOR, BootDigests, digest_of, fold

NOT_VERIFIED: Final = "not verified on hardware"
_EXITING: Final = (b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success")


def rtmr1(digests: BootDigests) -> bytes:
    """Return RTMR1: the kernel, that it was started, and that the firmware is left behind.

    Raises:
        ValueError: `digests` are of another bank than SHA-384.
    """
    _require_sha384(digests)
    said = [digest_of(data, bank=digests.bank) for data in (CALLING, SEPARATOR, *_EXITING)]
    return fold((digests.kernel, *said), bank=digests.bank)


def rtmr2(digests: BootDigests) -> bytes:
    """Return RTMR2: the command line and the initrd.

    Raises:
        ValueError: `digests` are of another bank than SHA-384.
    """
    _require_sha384(digests)
    return fold((digests.load_options, digests.initrd), bank=digests.bank)


def _require_sha384(digests: BootDigests) -> None:
    if digests.bank is not Bank.SHA384:
        raise ValueError(f"an RTMR is extended with SHA-384, not {digests.bank}")
