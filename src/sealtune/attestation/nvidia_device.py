"""Which NVIDIA device signed: what its verified certificates say (spec/attestation §16.4).

Architecture and identity come from here, never from what travels beside the evidence. Sources: TCG
DICE Attestation Architecture 1.1 §6 (TcbInfo, FWIDs); certificates of GH100, GB100, GB20X, LS_10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sealtune.attestation.evidence import EvidenceKind
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto import der
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.x509 import Certificate, VerifiedChain
from sealtune.errors import Code, FormatError, VerificationError

OID_COMPOSITE_DEVICE = "2.23.133.5.4.1"  # Hopper, LS10: an FWID beside the device's key
OID_TCB_INFO = "2.23.133.5.4.1.1"  # Blackwell: DICE's TcbInfo
_OID_SHA384 = "2.16.840.1.101.3.4.2.2"
_FWID_BYTES = 48
_TCB_FWIDS, _TCB_FLAGS = 0xA6, 0x87
_NOT_SECURE, _DEBUG = 1, 3  # DICE OperationalFlags
_CHAIN = 5  # leaf, device, provisioner, product identity, root
_PDI_DIGITS = 16


class Architecture(StrEnum):
    """NVIDIA's architectures whose devices attest in the form that is read here."""

    HOPPER = "hopper"
    BLACKWELL = "blackwell"
    LS10 = "ls10"


# X stands for a family of chips: GB20X is the chip of every GB202, GB203, ... certificate.
_CHIPS = (
    (Architecture.HOPPER, re.compile(r"GH1[0-9][0-9X]")),
    (Architecture.BLACKWELL, re.compile(r"GB[12][0-9][0-9X]")),
    (Architecture.LS10, re.compile(r"LS_?10")),
)
_KINDS = {
    Architecture.HOPPER: EvidenceKind.NVIDIA_GPU,
    Architecture.BLACKWELL: EvidenceKind.NVIDIA_GPU,
    Architecture.LS10: EvidenceKind.NVIDIA_SWITCH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """A device by its certificates.

    `device_key` is the digest of the key that its ROM holds for life, `pdi` the identifier that
    the certificate of that key is numbered with ("" where it is numbered otherwise); `ueid` is the
    leaf's serial number, which changes with the firmware. `fwid` is the digest of the firmware that
    the leaf was issued for. `debug` is what the leaf says about debugging; None: nothing.
    """

    architecture: Architecture
    chip: str
    hwmodel: str
    ueid: str
    pdi: str
    device_key: Digest
    fwid: bytes
    debug: bool | None


def identify_device(chain: VerifiedChain, *, kind: EvidenceKind) -> DeviceIdentity:
    """Return the device that the leaf of `chain` belongs to.

    Raises:
        FormatError: an extension that cannot be read, or a device of another kind.
        VerificationError: not the chain of one device, or a leaf without its firmware's digest.
    """
    if len(chain.certificates) != _CHAIN:
        raise _chain(f"{len(chain.certificates)} certificates where {_CHAIN} belong")
    leaf, device, provisioner, *_ = chain.certificates
    chip = leaf.subject_cn.partition(" ")[0]
    architecture = _architecture_of(chip)
    # Leaf and device are certified by the device itself: only the provisioner's name is NVIDIA's
    # word that this is a GPU and not, say, a network card under the same root.
    words = provisioner.subject_cn.split(" ")
    if device.subject_cn.partition(" ")[0] != chip or not any(
        _architecture_of_word(word) is architecture for word in words
    ):
        raise _chain(f"a leaf of {chip} under {provisioner.subject_cn!r}")
    if _KINDS[architecture] is not kind:
        raise FormatError(Code.EVIDENCE_KIND, f"evidence of {chip} offered as {kind}")
    number = f"{device.serial:x}"
    return DeviceIdentity(
        architecture=architecture,
        chip=chip,
        hwmodel=device.subject_cn,
        ueid=str(leaf.serial),
        pdi=number[2:] if len(number) == 2 + _PDI_DIGITS else "",
        device_key=sha256_digest(device.spki),
        fwid=_leaf_fwid(leaf),
        debug=_debug(leaf),
    )


def _chain(reason: str) -> VerificationError:
    return VerificationError(Code.EVIDENCE_CHAIN, f"NVIDIA: {reason}")


def _architecture_of_word(word: str) -> Architecture | None:
    found = (architecture for architecture, form in _CHIPS if form.fullmatch(word))
    return next(found, None)


def _architecture_of(chip: str) -> Architecture:
    architecture = _architecture_of_word(chip)
    if architecture is None:
        raise _chain(f"{chip!r} is no chip whose evidence is read here")
    return architecture


def _leaf_fwid(leaf: Certificate) -> bytes:
    composite = leaf.extensions.get(OID_COMPOSITE_DEVICE)
    if composite is not None:
        parts = der.read_element(composite.value, tag=Tag.SEQUENCE).children()
        return _fwid(parts[-1]) if parts else _no_fwid()
    listing = [part for part in _tcb_info(leaf) if part.tag == _TCB_FWIDS]
    fwids = listing[0].children() if len(listing) == 1 else ()
    # The first is the firmware's; Blackwell adds a second that is all zero.
    return _fwid(fwids[0]) if fwids else _no_fwid()


def _no_fwid() -> bytes:
    raise VerificationError(
        Code.DEVICE_FWID, "NVIDIA: a leaf that does not say which firmware it was issued for"
    )


def _tcb_info(leaf: Certificate) -> tuple[Element, ...]:
    extension = leaf.extensions.get(OID_TCB_INFO)
    if extension is None:
        return ()
    return der.read_element(extension.value, tag=Tag.SEQUENCE).children()


def _fwid(element: Element) -> bytes:
    parts = der.expect(element, Tag.SEQUENCE).children()
    if len(parts) != 2 or der.read_oid(parts[0]) != _OID_SHA384:
        raise FormatError(Code.CERTIFICATE_MALFORMED, "certificate: an FWID that is no SHA-384")
    fwid = der.expect(parts[1], Tag.OCTET_STRING).content
    if len(fwid) != _FWID_BYTES:
        raise FormatError(Code.CERTIFICATE_MALFORMED, "certificate: an FWID of another length")
    return fwid


def _debug(leaf: Certificate) -> bool | None:
    flags = [part for part in _tcb_info(leaf) if part.tag == _TCB_FLAGS]
    if not flags:
        return None
    bits = der.read_flags(Element(Tag.BIT_STRING, flags[0].content, flags[0].raw))
    return bool({_NOT_SECURE, _DEBUG} & bits)
