"""A small agreement between four parties, for tests: identities, a contract, its signatures.

The keys are real and fresh; the contract names a simulated enclave and is marked insecure. Change
its document, and sign again what you made of it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sealtune.contract.contract import contract_from_document, sign_contract
from sealtune.contract.schema import Contract
from sealtune.core.digest import sha256_digest
from sealtune.crypto.dsse import Envelope
from sealtune.crypto.identity import Identity

SIGNERS = ("hospital", "modelworks", "clinic")
PARTIES = {
    "hospital": ["data_owner"],
    "modelworks": ["model_owner"],
    "clinic": ["recipient"],
    "datacentre": ["operator"],
}
BROKERS = {"hospital-broker": "hospital", "modelworks-broker": "modelworks"}
MEASUREMENT = "5e" * 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The parties' and brokers' identities by name, and the contract's document."""

    identities: dict[str, Identity]
    base: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return a copy of the contract's document, to be changed freely."""
        return copy.deepcopy(self.base)

    def contract(self) -> Contract:
        """Return the contract as it stands."""
        return contract_from_document(self.base, what="agreement")

    def envelope(self) -> Envelope:
        """Return the contract signed by everybody who must."""
        return self.sign(self.contract(), signers=SIGNERS)

    def sign(self, contract: Contract, *, signers: Sequence[str]) -> Envelope:
        """Return `contract` signed by the parties `signers`, in this order."""
        envelope = sign_contract(contract, self.identities[signers[0]])
        for name in signers[1:]:
            envelope = sign_contract(envelope, self.identities[name])
        return envelope


def make_agreement() -> Agreement:
    """Return an agreement with fresh keys, valid for 90 days from 2026-11-01."""
    identities = {name: Identity.generate(name) for name in (*PARTIES, *BROKERS)}
    draft = _document(identities)
    # Through the schema once, so that every default is written out.
    whole = contract_from_document(draft, what="agreement")
    return Agreement(identities=identities, base=whole.model_dump(mode="json"))


def _document(identities: dict[str, Identity]) -> dict[str, Any]:
    keys = {
        name: {
            "signing_key": identity.public.signing.text,
            "recipient_key": identity.public.recipient.text,
        }
        for name, identity in identities.items()
    }
    return {
        "name": "triage-notes",
        "purpose": "Classify de-identified notes by specialty; inside the clinic only.",
        "parties": {name: {"roles": roles, **keys[name]} for name, roles in PARTIES.items()},
        "brokers": {name: {"owner": owner, **keys[name]} for name, owner in BROKERS.items()},
        "inputs": [
            _input("notes", "dataset", "hospital"),
            _input("encoder", "model", "modelworks"),
        ],
        "recipe": {
            "model": "encoder",
            "datasets": ["notes"],
            "task": "text-classification",
            "method": "lora",
            "labels": ["cardiology", "neurology"],
        },
        "enclaves": [
            {
                "name": "simulated",
                "kind": "sev-snp",
                "measurements": [MEASUREMENT],
                "minimum_tcb": {
                    "genoa": {"bl": 9, "tee": 0, "snp": 23, "ucode": 72},
                },
                "vmpl": [0],
                "insecure_accept_simulated": True,
                "simulated_root": sha256_digest(b"a root that nobody trusts"),
            }
        ],
        "outputs": {"kinds": ["adapter"], "max_bytes": 2**28, "recipients": ["clinic"]},
        "receipt": {"metrics": ["accuracy_before", "accuracy_after"], "counts": ["records"]},
        "validity": {"not_before": "2026-11-01T00:00:00Z", "not_after": "2027-01-30T00:00:00Z"},
        "max_runs": 2,
    }


def _input(name: str, kind: str, owner: str) -> dict[str, Any]:
    digest = sha256_digest(name.encode())
    entry = {"name": name, "kind": kind, "digest": digest}
    return {**entry, "owner": owner, "broker": f"{owner}-broker"}
