"""Getting the keys: one attestation to each broker that the contract names.

Each broker decides for itself; without all of them the job has no keys. What comes back is opened
only here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sealtune.attestation.evidence import Evidence
from sealtune.contract.contract import VerifiedContract
from sealtune.core.digest import Digest, digest_bytes
from sealtune.crypto.kdf import derive_key
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, VerificationError
from sealtune.protocol.client import BrokerClient, fetch_keys
from sealtune.protocol.session import (
    Anchor,
    ReleasedKeys,
    SessionTerms,
    VerifiedChallenge,
    WorkerSecrets,
)
from sealtune.tee.attester import Attester

_CHECKPOINT_LABEL = b"sealtune/v1/training-checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKeys:
    """Everything that the brokers released to this worker for this run."""

    content_keys: Mapping[Digest, ContentKey]
    released: Mapping[str, ReleasedKeys]
    newest: Anchor | None
    _shares: bytes = field(repr=False)

    def checkpoint_key(self, *, contract: Digest, run_id: str, step: int) -> ContentKey:
        """Return the key of the checkpoint after `step`, which only all brokers together give."""
        context = digest_bytes(contract) + bytes.fromhex(run_id) + step.to_bytes(8, "big")
        return derive_key(self._shares, label=_CHECKPOINT_LABEL, context=context)


def gather_keys(
    contract: VerifiedContract,
    *,
    run_id: str,
    clients: Mapping[str, BrokerClient],
    attester: Attester,
    secrets: WorkerSecrets,
) -> RunKeys:
    """Attest to every broker of the contract and return all keys (spec/protocol §5).

    Raises:
        ReleaseDenied: a broker's rules said no.
        VerificationError: something that answers is not the broker that the contract names.
        TransportError: a broker was not reached.
    """
    host_data = digest_bytes(contract.digest)

    def attest(challenge: VerifiedChallenge) -> Evidence:
        return attester.attest(challenge.report_data, host_data=host_data)

    released = {}
    for name, broker in sorted(contract.contract.brokers.items()):
        bundles = tuple(item.bundle for item in contract.contract.inputs if item.broker == name)
        terms = SessionTerms(
            broker=broker.signing,
            contract=contract.digest,
            run_id=run_id,
            bundles=bundles,
            worker=secrets,
        )
        released[name] = fetch_keys(clients[name], terms=terms, attest=attest)
    return RunKeys(
        content_keys={key: value for item in released.values() for key, value in item.keys.items()},
        released=released,
        newest=_newest(item.anchor for item in released.values()),
        _shares=b"".join(released[name].run_share for name in sorted(released)),
    )


def _newest(told: Iterable[Anchor | None]) -> Anchor | None:
    # A worker writes a checkpoint before it tells any broker, so the newest one told exists. Two
    # of the same step are two histories of this run, and one of them was put there.
    anchors = {anchor for anchor in told if anchor is not None}
    if not anchors:
        return None
    last = max(anchor.step for anchor in anchors)
    newest = [anchor for anchor in anchors if anchor.step == last]
    if len(newest) > 1:
        message = f"the brokers know different training checkpoints of step {last}"
        raise VerificationError(Code.CHECKPOINT_ROLLBACK, message)
    return newest[0]
