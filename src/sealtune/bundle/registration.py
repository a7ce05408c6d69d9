"""The signed blocks of a bundle, verified: its header and its key slots (spec/bundle §4, §5, §8).

A registration is these two blocks without the file: an owner posts it to its broker, which unwraps
the ContentKey from its slot. Does no I/O. Whoever calls compares the owner and the digest with what
it expects: anybody can sign a bundle of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sealtune.bundle.format import (
    HEADER_TYPE,
    SLOTS_TYPE,
    BundleKind,
    Header,
    Slot,
    exact_fields,
    malformed,
    parse_header,
    parse_slots,
    slot_info,
    slots_payload,
)
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.limits import (
    BUNDLE_HEADER_BYTES_MAX,
    BUNDLE_SLOTS_BYTES_MAX,
    BUNDLE_SLOTS_MAX,
    MIB,
)
from sealtune.crypto.dsse import (
    Envelope,
    envelope_from_dict,
    parse_envelope,
    sign_envelope,
    verify_envelope,
)
from sealtune.crypto.hpke import RecipientKey, RecipientPublicKey
from sealtune.crypto.secret import CONTENT_KEY_BYTES, ContentKey
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, ConfigError, FormatError, VerificationError

_REPORT = "de-identification report"
_REGISTRATION_FORMAT = "sealtune-registration/1"
# The same with the report that the header names; only then, so that brokers of before know others.
_REPORTED_FORMAT = "sealtune-registration/2"
REPORT_ENVELOPE_BYTES_MAX = 2 * MIB  # as much as `deid.report` takes
_REGISTRATION_BYTES_MAX = (
    2 * (BUNDLE_HEADER_BYTES_MAX + BUNDLE_SLOTS_BYTES_MAX) + REPORT_ENVELOPE_BYTES_MAX
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRegistration:
    """A header and slots, both signed by the owner whom the header names.

    `report` is the de-identification report that the header names by its digest: those very bytes,
    whose signature nobody has verified (that is `deid.report`).
    """

    header: Header
    slots: tuple[Slot, ...]
    report: Envelope | None = None

    @property
    def digest(self) -> Digest:
        """The bundle's digest, as a contract names it."""
        return self.header.digest

    @property
    def kind(self) -> BundleKind:
        """What the bundle holds."""
        return self.header.kind

    @property
    def owner(self) -> VerifyingKey:
        """The key that signed header and slots; compare it with the owner that you expect."""
        return self.header.owner

    def unwrap(self, recipient: RecipientKey) -> ContentKey:
        """Return the ContentKey from `recipient`'s slot (spec/bundle §5.2).

        Raises:
            ConfigError: there is no slot for this key.
            VerificationError: the slot does not open with it.
        """
        key_id = recipient.public.key_id
        wrapped = [slot.wrapped for slot in self.slots if slot.recipient == key_id]
        if not wrapped:
            message = f"the bundle is not sealed to this key ({key_id[:23]}...)"
            remedy = "ask its owner to rewrap it to you"
            raise ConfigError(Code.BUNDLE_NO_SLOT, message, remedy=remedy)
        raw = recipient.open(wrapped[0], info=slot_info(self.digest))
        if len(raw) != CONTENT_KEY_BYTES:
            raise FormatError(Code.BUNDLE_MALFORMED, "bundle slot: holds no ContentKey")
        return ContentKey(raw)


def seal_header(header: Header, *, owner: SigningKey) -> bytes:
    """Return the header block: `header` in an envelope signed by `owner`."""
    envelope = sign_envelope(header.to_payload(), payload_type=HEADER_TYPE, keys=[owner])
    return envelope.to_json()


def seal_slots(
    header: Header,
    *,
    owner: SigningKey,
    key: ContentKey,
    recipients: tuple[RecipientPublicKey, ...],
) -> bytes:
    """Return the slots block: `key` sealed to each of `recipients`, signed by `owner`.

    Raises:
        ValueError: no recipient, too many, or one twice.
    """
    if not 1 <= len(recipients) <= BUNDLE_SLOTS_MAX:
        raise ValueError(f"a bundle has 1 to {BUNDLE_SLOTS_MAX} recipients")
    if len({recipient.raw for recipient in recipients}) != len(recipients):
        raise ValueError("one recipient twice")
    info = slot_info(header.digest)
    slots = tuple(
        Slot(recipient.key_id, recipient.seal(key.reveal(), info=info)) for recipient in recipients
    )
    payload = slots_payload(header.digest, slots)
    return sign_envelope(payload, payload_type=SLOTS_TYPE, keys=[owner]).to_json()


def verify_blocks(header_block: bytes, slots_block: bytes) -> SealedRegistration:
    """Return header and slots once both are in canonical form and signed by the header's owner.

    Raises:
        FormatError: a block has another form.
        VerificationError: a signature does not hold, or the slots are another bundle's.
    """
    return _verify_envelopes(
        _canonical_envelope(header_block, what="bundle header"),
        _canonical_envelope(slots_block, what="bundle slots"),
    )


def registration_bytes(
    header_block: bytes, slots_block: bytes, *, report: bytes | None = None
) -> bytes:
    """Return the registration (spec/bundle §8) made of a bundle's two signed blocks.

    `report` is the envelope of the de-identification report that the header names.
    """
    fields: dict[str, Any] = {
        "format": _REGISTRATION_FORMAT,
        "header": parse_envelope(header_block, what="bundle header").to_dict(),
        "slots": parse_envelope(slots_block, what="bundle slots").to_dict(),
    }
    if report is not None:
        fields["format"] = _REPORTED_FORMAT
        fields["deidentification"] = parse_envelope(report, what=_REPORT).to_dict()
    return canonical_json(fields)


def parse_registration(data: bytes) -> SealedRegistration:
    """Return the registration in `data`, its signatures verified.

    Raises:
        FormatError: another form.
        VerificationError: a signature does not hold, the slots are another bundle's, or the report
            is not the one that the header names.
    """
    value = parse_json(data, limit=_REGISTRATION_BYTES_MAX, what="registration")
    given = value.get("format") if isinstance(value, dict) else None
    names = {"format", "header", "slots"}
    if given == _REPORTED_FORMAT:
        names.add("deidentification")
    fields = exact_fields(value, names, what="registration")
    if given not in (_REGISTRATION_FORMAT, _REPORTED_FORMAT):
        raise FormatError(Code.BUNDLE_VERSION, "a registration of another version")
    verified = _verify_envelopes(
        envelope_from_dict(fields["header"], what="bundle header"),
        envelope_from_dict(fields["slots"], what="bundle slots"),
    )
    report = fields.get("deidentification")
    envelope = None if given == _REGISTRATION_FORMAT else envelope_from_dict(report, what=_REPORT)
    _check_report(verified.header, envelope)
    return replace(verified, report=envelope)


def _check_report(header: Header, report: Envelope | None) -> None:
    # spec/bundle §8.2: a report that is absent is as bad as one of another dataset.
    if report is None and header.deidentification is not None:
        remedy = "give the report that the bundle was sealed with"
        message = "the bundle names a de-identification report, and there is none with it"
        raise VerificationError(Code.DEID_REPORT_MISSING, message, remedy=remedy)
    if report is not None and sha256_digest(report.payload) != header.deidentification:
        remedy = "give the report that the bundle was sealed with"
        message = "the de-identification report is not the one that the bundle names"
        raise VerificationError(Code.DEID_OTHER_REPORT, message, remedy=remedy)


def _canonical_envelope(block: bytes, *, what: str) -> Envelope:
    envelope = parse_envelope(block, what=what)
    # spec/bundle §2.3: the signature covers the payload, not the JSON around it; without this rule
    # a host could rewrite spaces and escapes, and two files would be one bundle.
    if envelope.to_json() != block:
        raise malformed(what.removeprefix("bundle "), "not in canonical form")
    return envelope


def _verify_envelopes(header_envelope: Envelope, slots_envelope: Envelope) -> SealedRegistration:
    # spec/bundle §4.3: the header names the key that must have signed it. That proves possession,
    # not identity: see the module's note.
    header = parse_header(header_envelope.payload)
    verify_envelope(header_envelope, payload_type=HEADER_TYPE, required=[header.owner])
    verified = verify_envelope(slots_envelope, payload_type=SLOTS_TYPE, required=[header.owner])
    bundle, slots = parse_slots(verified.payload)
    # spec/bundle §5.3: slots of another bundle of the same owner are signed, too.
    if bundle != header.digest:
        raise VerificationError(Code.BUNDLE_DIGEST, "the key slots are of another bundle")
    return SealedRegistration(header=header, slots=slots)
