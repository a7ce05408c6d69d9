"""What every Attester offers: evidence for 64 bytes of report_data."""

from __future__ import annotations

from typing import Protocol

from sealtune.attestation.evidence import Evidence


class Attester(Protocol):
    """The enclave's side of attestation, one implementation per TEE."""

    @property
    def insecure(self) -> bool:
        """Whether the evidence is simulated and proves nothing."""
        ...

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:
        """Return fresh evidence that binds the 64 bytes of `report_data`.

        `host_data` is the 32 bytes that the launcher fixed. Hardware reports its own and ignores
        the argument; only a simulation has to be told.

        Raises:
            ValueError: a wrong length.
            SealtuneError: the TEE is not there or refuses.
        """
        ...
