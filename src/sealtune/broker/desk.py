"""What every handler of the broker works with: its identity, its owners, its store, its clock.

Also the contracts that it knows, verified once and remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sealtune.attestation.anchors import TrustAnchors, vendor_anchors
from sealtune.attestation.appraisal import anchors_for
from sealtune.attestation.endorsements import Endorsements
from sealtune.broker.challenges import ChallengeBook
from sealtune.broker.rate import Rate, TokenBucket
from sealtune.broker.store import Store
from sealtune.contract.contract import (
    SignedContract,
    verify_contract_signatures_ignoring_validity,
)
from sealtune.core.clock import Clock
from sealtune.core.digest import Digest
from sealtune.crypto.dsse import parse_envelope
from sealtune.crypto.identity import Identity
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import Code, ReleaseDenied, SealtuneError, StorageError

_CONTRACTS_REMEMBERED: Final = 256
# Refusals are logged at no more than this rate, or whoever can ask could fill the disk; how many
# were left out, the next entry says. Five minutes of one a second, then one a second: 130 MB a day.
_REFUSALS: Final = Rate(per_second=1, burst=300)


class ContractBook:
    """The contracts in the store, with their signatures verified again when they are read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[Digest, SignedContract] = OrderedDict()

    def find(self, digest: Digest) -> SignedContract:
        """Return the contract with this digest.

        Raises:
            ReleaseDenied: CONTRACT_UNKNOWN: it was not registered here. Contracts of other brokers
                are not kept, so they read the same.
            StorageError: the stored contract was changed.
        """
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                self._known.move_to_end(digest)
                return known
        contract = self._read(digest)
        with self._lock:
            self._known[digest] = contract
            if len(self._known) > _CONTRACTS_REMEMBERED:
                self._known.popitem(last=False)
        return contract

    def _read(self, digest: Digest) -> SignedContract:
        data = self._store.write(lambda transaction: transaction.contract(digest))
        if data is None:
            raise ReleaseDenied(Code.CONTRACT_UNKNOWN, "this broker knows no such contract")
        try:
            contract = verify_contract_signatures_ignoring_validity(parse_envelope(data))
        except SealtuneError as error:
            raise _changed(digest) from error
        if contract.digest != digest:
            raise _changed(digest)
        return contract


class RefusalGate:
    """Says which refusals are logged, and counts the others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._bucket = TokenBucket(_REFUSALS, clock.monotonic())
        self._suppressed = 0

    def admit(self) -> int | None:
        """Return how many were left out since the last one; None if this one is left out too."""
        with self._lock:
            if not self._bucket.take(self._clock.monotonic()):
                self._suppressed += 1
                return None
            count, self._suppressed = self._suppressed, 0
            return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One broker at work."""

    identity: Identity
    owners: frozenset[VerifyingKey]
    store: Store
    clock: Clock
    accepts_insecure: bool
    endorsements: Callable[[], Endorsements]
    challenges: ChallengeBook = field(init=False)
    contracts: ContractBook = field(init=False)
    refusals: RefusalGate = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "challenges", ChallengeBook(self.clock))
        object.__setattr__(self, "contracts", ContractBook(self.store))
        object.__setattr__(self, "refusals", RefusalGate(self.clock))

    @property
    def key(self) -> VerifyingKey:
        """The key that contracts name this broker by."""
        return self.identity.signing.public

    def anchors(self, contract: SignedContract) -> TrustAnchors:
        """Return the roots that evidence for `contract` may hang on.

        A mock root counts only where the contract says so and this broker was started for it.
        """
        if self.accepts_insecure:
            return anchors_for(contract.contract.accepted_enclaves)
        return vendor_anchors()


def _changed(digest: Digest) -> StorageError:
    return StorageError(
        Code.STORE_DAMAGED,
        f"contract {digest} in the store was changed",
        remedy="restore the broker's folder from your backup",
    )
