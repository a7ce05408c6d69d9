"""A contract's canonical form, digest, signatures, verification (docs/spec/contract.md §1, §5, §6).

Verification does no I/O and reads no clock. It proves that the keys which the contract itself names
have signed it; whose keys they are, the relying party knows from elsewhere (§5.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sealtune.contract.fields import json_document
from sealtune.contract.problems import field_problems
from sealtune.contract.schema import Contract
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.limits import CONTRACT_BYTES_MAX
from sealtune.crypto.dsse import Envelope, add_signature, sign_envelope, verify_envelope
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, FormatError, VerificationError

CONTRACT_PAYLOAD_TYPE = "application/vnd.sealtune.contract.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContract:
    """A contract that all who must have signed; whether it is still valid nobody has asked.

    Enough to read a receipt by, too little to release a key by.
    """

    contract: Contract
    digest: Digest
    envelope: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedContract:
    """A contract that all who must have signed and that was valid at the moment of asking."""

    contract: Contract
    digest: Digest
    envelope: Envelope

    @property
    def signed(self) -> SignedContract:
        """The same without the claim about time."""
        return SignedContract(contract=self.contract, digest=self.digest, envelope=self.envelope)


def canonical_contract(contract: Contract) -> bytes:
    """Return the bytes that are signed: RFC 8785 JSON with every field (spec §1)."""
    return canonical_json(json_document(contract))


def contract_digest(contract: Contract) -> Digest:
    """Return the digest that names `contract` everywhere, whoever has signed it (spec §1.1)."""
    return sha256_digest(canonical_contract(contract))


def parse_contract(data: bytes, *, what: str = "contract") -> Contract:
    """Return the contract in `data`, which must be its canonical form (spec §1.2).

    Raises:
        FormatError: too large, not JSON, not a contract, fields that disagree, or another spelling
            than the canonical one.
    """
    document = parse_json(data, limit=CONTRACT_BYTES_MAX, what=what)
    contract = contract_from_document(document, what=what)
    if canonical_contract(contract) != data:
        # A second spelling would be a second digest of the same agreement; and a field left to its
        # default would not be what is signed.
        reason = "not the canonical JSON of a contract with every field written out"
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: {reason}")
    return contract


def contract_from_document(document: Any, *, what: str) -> Contract:
    """Return the contract that a JSON value describes, defaults filled in; `what` names it.

    Raises:
        FormatError: a field is unknown, missing or wrong, or fields disagree.
    """
    if not isinstance(document, dict):
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: not an object")
    try:
        data = canonical_json(document)
    except ValueError as error:
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: {error}") from None
    try:
        return Contract.model_validate_json(data)
    except ValidationError as error:
        code = Code.CONTRACT_FIELD
        raise field_problems(error, model=Contract, what=what, code=code) from None
    except FormatError as error:
        message = f"{what}: {error.message}"
        raise FormatError(error.code, message, remedy=error.remedy) from None


def sign_contract(contract: Contract | Envelope, identity: Identity) -> Envelope:
    """Return the contract with `identity`'s signature added to those that it has.

    Raises:
        FormatError: the envelope holds no contract.
        VerificationError: the contract does not name `identity` among those who sign, or a
            signature that is there already is not good.
    """
    if isinstance(contract, Contract):
        _check_signer(contract, identity)
        payload = canonical_contract(contract)
        return sign_envelope(payload, payload_type=CONTRACT_PAYLOAD_TYPE, keys=[identity.signing])
    _check_type(contract)
    parsed = parse_contract(contract.payload)
    _check_signer(parsed, identity)
    _verify_signatures(contract, parsed, required=_signed_by(contract, parsed))
    return add_signature(contract, identity.signing)


def verify_contract(envelope: Envelope, *, now: datetime) -> VerifiedContract:
    """Verify that everybody has signed the contract in `envelope` and that it is valid at `now`.

    The steps are those of spec §6.

    Raises:
        FormatError: the payload is no contract in canonical form.
        VerificationError: another payload type; a signature is missing (the message says whose),
            foreign or bad; `now` is outside the validity period.
    """
    signed = verify_contract_signatures_ignoring_validity(envelope)
    validity = signed.contract.validity
    if now < validity.start:
        message = f"the contract is valid from {validity.not_before}"
        remedy = "wait, or check this machine's clock"
        raise VerificationError(Code.CONTRACT_NOT_YET_VALID, message, remedy=remedy)
    if now >= validity.end:
        message = f"the contract ended at {validity.not_after}"
        remedy = "agree on a new contract, or check this machine's clock"
        raise VerificationError(Code.CONTRACT_EXPIRED, message, remedy=remedy)
    return VerifiedContract(
        contract=signed.contract, digest=signed.digest, envelope=signed.envelope
    )


def verify_contract_signatures_ignoring_validity(envelope: Envelope) -> SignedContract:
    """Verify everything about the contract but the time (spec §6.1): for receipts, not for keys.

    Raises:
        FormatError: the payload is no contract in canonical form.
        VerificationError: another payload type; a signature is missing, foreign or bad.
    """
    _check_type(envelope)
    contract = parse_contract(envelope.payload)
    missing = missing_signers(envelope, contract)
    if missing:
        message = f"not signed by {', '.join(missing)}"
        remedy = "each of them runs `sealtune contract sign`"
        raise VerificationError(Code.CONTRACT_UNSIGNED, message, remedy=remedy)
    _verify_signatures(envelope, contract, required=list(contract.signers))
    digest = sha256_digest(envelope.payload)
    return SignedContract(contract=contract, digest=digest, envelope=envelope)


def missing_signers(envelope: Envelope, contract: Contract) -> list[str]:
    """Return the names of the parties who must sign and whose signature is not in `envelope`.

    It only says who has still to be asked; whether the signatures are good, `verify_contract` says.
    """
    signed = _signed_by(envelope, contract)
    return [name for name in contract.signers if name not in signed]


def _signed_by(envelope: Envelope, contract: Contract) -> list[str]:
    key_ids = {item.key_id for item in envelope.signatures}
    return [name for name, key in contract.signers.items() if key.key_id in key_ids]


def _verify_signatures(envelope: Envelope, contract: Contract, *, required: list[str]) -> None:
    # spec §6 step 4 before step 5, so that a stranger's signature is called one.
    signers = contract.signers
    expected = {signers[name].key_id for name in required}
    if any(item.key_id not in expected for item in envelope.signatures):
        message = "signed by a key that is no data owner's, model owner's or recipient's"
        raise VerificationError(Code.CONTRACT_WRONG_SIGNER, message)
    verify_envelope(
        envelope,
        payload_type=CONTRACT_PAYLOAD_TYPE,
        required=[signers[name] for name in required],
    )


def _check_type(envelope: Envelope) -> None:
    # spec §6 step 1: before the payload is read as something that it may not be.
    if envelope.payload_type != CONTRACT_PAYLOAD_TYPE:
        shown = ascii(envelope.payload_type[:80])
        raise VerificationError(Code.ENVELOPE_TYPE, f"not a contract: signed as {shown}")


def _check_signer(contract: Contract, identity: Identity) -> None:
    if identity.signing.public not in contract.signers.values():
        message = f"the contract does not name {identity.name}'s key among those who sign"
        remedy = "data owners, model owners and recipients sign, with the keys that it names"
        raise VerificationError(Code.CONTRACT_WRONG_SIGNER, message, remedy=remedy)
