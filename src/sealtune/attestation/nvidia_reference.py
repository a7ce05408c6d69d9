"""A device's measurements against NVIDIA's reference measurements (spec/attestation §16.5).

A RIM that is given and claims to concern the device must verify and match; others are left alone.
Whether there must be one is appraisal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import Root, TrustAnchors
from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.attestation.nvidia_device import Architecture
from sealtune.attestation.nvidia_spdm import NVDEC0, SpdmReport
from sealtune.attestation.nvidia_status import Revocation
from sealtune.attestation.rim import Rim, RimContent, parse_rim, verify_rim
from sealtune.errors import Code, VerificationError

_NVDEC0_INDEX = 35
_NVDEC0_DISABLED, _NVDEC0_ENABLED = b"\x55", b"\xaa"
# NVIDIA's switches do not state their board; its attestation-sdk has this constant for LS10.
_LS10_BOARD = "5612_0002_890"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What the evidence of a device says it runs; `driver` is None for a switch."""

    architecture: Architecture
    chip: str
    driver: str | None
    vbios: str
    board: tuple[str, str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A RIM whose every active measurement the device has, but for `skipped` (spec §16.5).

    `revocation` is about its signer and the authorities above.
    """

    tag_id: str
    version: str
    root: Root
    valid_until: datetime
    revocation: Revocation
    compared: tuple[int, ...]
    skipped: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The RIMs that a device matches; None where none was given for this version."""

    driver: Match | None
    vbios: Match | None

    @property
    def matches(self) -> tuple[Match, ...]:
        """Those that there are."""
        return tuple(match for match in (self.driver, self.vbios) if match is not None)


def rim_ids(versions: Versions) -> tuple[str, ...]:
    """Return the ids under which NVIDIA's service may have the RIMs of a device.

    The names of drivers' RIMs for Blackwell differ by chip and are not all published; each that is
    possible is listed. An id only finds a RIM: what it is about stands in its signed content.
    """
    number = versions.vbios.replace(".", "")
    if versions.architecture is Architecture.LS10:
        return (f"NV_SWITCH_BIOS_{_LS10_BOARD}_{number}",)
    drivers = [f"NV_GPU_DRIVER_{versions.chip}_{versions.driver}"]
    if versions.architecture is Architecture.BLACKWELL:
        drivers += [
            f"NV_GPU_CC_DRIVER_{chip}_{versions.driver}"
            for chip in dict.fromkeys(("GB100", versions.chip))
        ]
    board = "" if versions.board is None else f"NV_GPU_VBIOS_{'_'.join(versions.board)}_{number}"
    return (*drivers, *filter(None, (board,)))


def compare_references(
    report: SpdmReport,
    versions: Versions,
    *,
    endorsements: Endorsements,
    anchors: TrustAnchors,
    now: datetime,
) -> References:
    """Verify the RIMs among `endorsements` that claim this device and compare them with its report.

    Raises:
        FormatError: a RIM, whomever it is about, or an OCSP response that cannot be read.
        VerificationError: a RIM that NVIDIA did not sign, that is not valid at `now` or whose
            signer is revoked, measurements that differ, or two RIMs that both claim an index.
    """
    rims = _verified_rims(versions, endorsements=endorsements, anchors=anchors, now=now)
    driver = _match(report, versions, rims, version=versions.driver)
    vbios = _match(report, versions, rims, version=versions.vbios)
    if driver is not None and vbios is not None:
        # Each RIM speaks for indices of its own; one that speaks for another's could excuse it.
        both = {*driver.compared, *driver.skipped} & {*vbios.compared, *vbios.skipped}
        if both:
            raise _mismatch(f"both claim measurements {sorted(both)}")
    return References(driver=driver, vbios=vbios)


def _mismatch(reason: str) -> VerificationError:
    return VerificationError(Code.RIM_MISMATCH, f"RIM: {reason}")


def _verified_rims(
    versions: Versions, *, endorsements: Endorsements, anchors: TrustAnchors, now: datetime
) -> list[Rim]:
    # spec/attestation §16.5: a RIM of another chip or version says nothing about this device, true
    # or forged, and is not verified: a machine's many devices would each pay for all RIMs of a
    # broker. What it is about it says itself, so that a forged one that claims this device's
    # version is verified and refused; one that claims another's is of no use to its forger.
    claimed = map(parse_rim, endorsements.of(EndorsementType.NVIDIA_RIM))
    return [
        verify_rim(parsed, anchors=anchors, endorsements=endorsements, now=now)
        for parsed in claimed
        if _concerns(parsed.content, versions)
    ]


def _concerns(content: RimContent, versions: Versions) -> bool:
    product = content.product.removesuffix("-CC")
    chip = versions.chip.replace("_", "")
    # X in a chip's name stands for its family, on either side.
    same = len(product) == len(chip) and all(
        left == right or "X" in (left, right) for left, right in zip(product, chip, strict=True)
    )
    return same and content.version in (versions.driver, versions.vbios)


def _match(
    report: SpdmReport, versions: Versions, rims: list[Rim], *, version: str | None
) -> Match | None:
    refusal = None
    for rim in rims:
        if rim.content.version != version:
            continue
        skipped = _skipped(report, versions, rim.content.measurements)
        different = _different(report, rim.content.measurements, skipped=skipped)
        if not different:
            # Boards of one version have RIMs of their own; the device has to match one wholly.
            return Match(
                tag_id=rim.content.tag_id,
                version=rim.content.version,
                root=rim.root,
                valid_until=rim.valid_until,
                revocation=rim.revocation,
                compared=tuple(sorted(rim.content.measurements.keys() - skipped)),
                skipped=tuple(sorted(skipped)),
            )
        refusal = _mismatch(f"of {version}: measurements {different} differ")
    if refusal is not None:
        raise refusal
    return None


def _skipped(
    report: SpdmReport, versions: Versions, measurements: Mapping[int, tuple[bytes, ...]]
) -> frozenset[int]:
    # A GPU whose first video decoder is disabled in hardware has not loaded what this measures.
    if versions.architecture is Architecture.LS10 or _NVDEC0_INDEX not in measurements:
        return frozenset()
    status = report.opaque.get(NVDEC0)
    if status not in (_NVDEC0_DISABLED, _NVDEC0_ENABLED):
        raise _mismatch("a device that does not say whether measurement 35 applies")
    return frozenset({_NVDEC0_INDEX}) if status == _NVDEC0_DISABLED else frozenset()


def _different(
    report: SpdmReport,
    measurements: Mapping[int, tuple[bytes, ...]],
    *,
    skipped: frozenset[int],
) -> list[int]:
    # spec/attestation §16.5: index i of a RIM is block i + 1 of a report.
    return [
        index
        for index, accepted in sorted(measurements.items())
        if index not in skipped and report.blocks.get(index + 1) not in accepted
    ]
