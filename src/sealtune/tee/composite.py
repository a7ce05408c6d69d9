"""One machine's evidence with that of its devices, all under one challenge.

The devices' nonce follows from report_data, so devices of another machine would have to be asked
for exactly this request (spec/attestation §3).
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from sealtune.attestation.binding import device_challenge
from sealtune.attestation.evidence import Evidence
from sealtune.tee.attester import Attester


class DeviceAttester(Protocol):
    """The enclave's side of attestation of devices."""

    def attest_devices(self, nonce: bytes) -> tuple[Evidence, ...]:
        """Return fresh evidence of every device that this machine sees, all under `nonce`."""
        ...


class CompositeAttester:
    """Attests the machine with `machine` and its devices with `devices`."""

    def __init__(self, machine: Attester, devices: DeviceAttester) -> None:
        self._machine = machine
        self._devices = devices

    @property
    def insecure(self) -> bool:
        """Whether the machine's own evidence is simulated."""
        return self._machine.insecure

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:
        """Return the machine's evidence with its devices' in it.

        Raises:
            ValueError: a wrong length.
            SealtuneError: the machine or a device refuses.
        """
        evidence = self._machine.attest(report_data, host_data=host_data)
        devices = self._devices.attest_devices(device_challenge(report_data))
        return dataclasses.replace(evidence, devices=devices)
