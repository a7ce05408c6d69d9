"""What the worker tells every broker after the release: its newest checkpoint, its receipt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.contract.contract import VerifiedContract
from sealtune.core.digest import Digest
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import SealtuneError, TransportError
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.reports import (
    anchor_request,
    open_anchor_answer,
    open_receipt_answer,
    receipt_report,
)
from sealtune.protocol.session import Anchor


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """The brokers of one run's contract and how to reach them."""

    contract: VerifiedContract
    run_id: str
    clients: Mapping[str, BrokerClient]

    def anchor(self, anchor: Anchor, *, signing: SigningKey) -> bool:
        """Have every broker remember `anchor`; return whether all were reached.

        Raises:
            ReleaseDenied: a broker knows a later checkpoint, or has closed the run.
            VerificationError: something else answers in a broker's place.
        """
        digest = self.contract.digest
        request = anchor_request(anchor, contract=digest, run_id=self.run_id, signing=signing)
        return self._tell_all(
            "/v1/anchor",
            request,
            lambda answer, key: open_anchor_answer(answer, request=request, broker=key),
        )

    def report(self, receipt: Mapping[str, Any], *, digest: Digest) -> bool:
        """Hand the receipt to every broker, which closes the run there; return whether all have it.

        Raises:
            ReleaseDenied: a broker refuses the receipt.
            VerificationError: something else answers in a broker's place.
        """
        report = receipt_report(receipt, contract=self.contract.digest, run_id=self.run_id)
        return self._tell_all(
            "/v1/receipt",
            report,
            lambda answer, key: open_receipt_answer(
                answer, request=report, receipt=digest, broker=key
            ),
        )

    def _tell_all(
        self, path: str, request: bytes, open_answer: Callable[[bytes, VerifyingKey], object]
    ) -> bool:
        # One broker that refuses must not keep the others from hearing of it.
        reached, refusals = True, []
        for name, broker in self.contract.contract.brokers.items():
            try:
                open_answer(self.clients[name].ask(path, request), broker.signing)
            except TransportError:
                reached = False
            except SealtuneError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]
        return reached
