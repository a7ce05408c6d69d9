"""The operator of a measured VM plays with its evidence, between a real TPM and real brokers.

No machine boots: a TPM in software is extended by what a boot would have measured, and its quotes
are made by the worker's own Attester. What an operator can do who lies with the TPM itself is in
docs/spec/vm.md §1.5; here the TPM is honest and everything around it is not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chain.world import World
from sealtune.attestation.event_log import Bank
from sealtune.attestation.evidence import Evidence
from sealtune.contract.contract import (
    SignedContract,
    verify_contract_signatures_ignoring_validity,
)
from sealtune.crypto.dsse import parse_envelope
from sealtune.errors import Code, SealtuneError
from sealtune.image.pcr import CALLING, SEPARATOR, digest_of, fold
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.session import (
    BrokerSession,
    ReleasedKeys,
    SessionTerms,
    VerifiedChallenge,
    WorkerSecrets,
)
from sealtune.tee.qemu.tpm import attestation_key_digest, make_tpm
from sealtune.tee.tpm_device import TpmAttester
from sealtune.testing.scene import new_run_id
from tee.fakes_swtpm import SoftwareTpm, require_tools, running

BROKER = "hospital-broker"
Events = Sequence[tuple[int, bytes]]
AGREED: Events = (
    (4, b"the agreed kernel"),
    (4, CALLING),
    (4, SEPARATOR),
    (9, b"the agreed command line"),
    (9, b"the agreed initrd"),
)
WITH_A_SHELL: Events = (*AGREED[:3], (9, b"the agreed command line init=/bin/sh"), AGREED[4])


def registers(events: Events) -> dict[str, list[str]]:
    """What a contract says of a machine that measured `events`."""
    found: dict[str, list[str]] = {}
    for number in {register for register, _ in events}:
        digests = (digest_of(data, bank=Bank.SHA256) for n, data in events if n == number)
        found[f"pcr{number}"] = [fold(digests, bank=Bank.SHA256).hex()]
    return found


def event_log(events: Events) -> bytes:
    """The firmware's log of `events` (TCG PC Client PFP §10), with the one bank of this TPM."""

    def number(value: int, width: int = 4) -> bytes:
        return value.to_bytes(width, "little")

    head = b"Spec ID Event03\0" + bytes(8) + number(1) + number(0x0B, 2) + number(32, 2) + b"\0"
    log = number(0) + number(3) + bytes(20) + number(len(head)) + head
    for register, data in events:
        log += number(register) + number(13) + number(1) + number(0x0B, 2)
        log += digest_of(data, bank=Bank.SHA256) + number(len(data)) + data
    return log


def extend(tpm: SoftwareTpm, events: Events) -> None:
    """TPM2_PCR_Extend, as firmware and kernel do it: no password, one SHA-256 digest."""
    for register, data in events:
        body = register.to_bytes(4, "big") + bytes.fromhex("00000009 40000009 0000 00 0000")
        body += bytes.fromhex("00000001 000b") + digest_of(data, bank=Bank.SHA256)
        command = bytes.fromhex("8002") + (10 + len(body)).to_bytes(4, "big")
        answer = tpm.transmit(command + bytes.fromhex("00000182") + body)
        assert answer[6:10] == bytes(4), answer.hex()


@contextlib.contextmanager
def booted(state: Path, events: Events) -> Iterator[Callable[[VerifiedChallenge], Evidence]]:
    """A machine with the TPM in `state` that has measured `events`; answers challenges."""
    with tempfile.TemporaryDirectory(prefix="tpm-") as short:
        shutil.copytree(state, Path(short, "made"))
        with running(Path(short, "made"), Path(short)) as tpm:
            extend(tpm, events)
            log = Path(short, "log")
            log.write_bytes(event_log(events))
            attester = TpmAttester(event_log=log, transmit=tpm.transmit)
            yield lambda challenge: attester.attest(challenge.report_data, host_data=bytes(32))


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TPM whose key the contracts accept."""
    require_tools("swtpm", "swtpm_setup", "swtpm_localca")
    return tmp_path_factory.mktemp("enrolled") / "tpm"


@pytest.fixture(scope="module")
def enclave(tpm: Path) -> dict[str, Any]:
    return {
        "name": "measured-vm",
        "kind": "tpm-vm",
        "registers": registers(AGREED),
        "contract_at_launch": False,
        "ak_digests": [attestation_key_digest(make_tpm(tpm))],
    }


@pytest.fixture(scope="module")
def contract(world: World, enclave: dict[str, Any]) -> SignedContract:
    return read(world.agree("evidence", enclaves=[enclave]))


def read(path: Path) -> SignedContract:
    return verify_contract_signatures_ignoring_validity(parse_envelope(path.read_bytes()))


def ask(
    world: World,
    contract: SignedContract,
    attest: Callable[[VerifiedChallenge], Evidence],
    *,
    secrets: WorkerSecrets | None = None,
) -> ReleasedKeys:
    """Do what a worker does with its first broker."""
    broker = contract.contract.brokers[BROKER]
    session = BrokerSession(
        SessionTerms(
            broker=broker.signing,
            contract=contract.digest,
            run_id=new_run_id(),
            bundles=tuple(i.bundle for i in contract.contract.inputs if i.broker == BROKER),
            worker=secrets or WorkerSecrets.generate(),
        )
    )
    client = BrokerClient(world.brokers[BROKER].address)
    challenge = session.on_challenge(client.post("/v1/challenge", session.start()))
    return session.on_release(client.post("/v1/release", session.request(attest(challenge))))


def refused(
    world: World,
    contract: SignedContract,
    attest: Callable[[VerifiedChallenge], Evidence],
    *,
    secrets: WorkerSecrets | None = None,
) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        ask(world, contract, attest, secrets=secrets)
    return refusal.value.code


def test_the_honest_machine_gets_its_key(world: World, contract: SignedContract, tpm: Path) -> None:
    with booted(make_tpm(tpm), AGREED) as attest:
        assert ask(world, contract, attest).keys


def test_a_quote_of_an_earlier_run(world: World, contract: SignedContract, tpm: Path) -> None:
    """The operator records a run and lets its evidence answer the next one's challenge.

    He even has the first worker's keys, which he never would: the challenge alone must do.
    """
    recorded: list[Evidence] = []
    secrets = WorkerSecrets.generate()

    def record(challenge: VerifiedChallenge) -> Evidence:
        recorded.append(attest(challenge))
        return recorded[0]

    with booted(make_tpm(tpm), AGREED) as attest:
        assert ask(world, contract, record, secrets=secrets).keys
        assert refused(world, contract, lambda _: recorded[0], secrets=secrets) is Code.FRESHNESS


def test_a_quote_of_a_tpm_that_nobody_enrolled(
    world: World, contract: SignedContract, tmp_path: Path
) -> None:
    """The right files boot in a second VM, whose TPM the operator made himself."""
    with booted(make_tpm(tmp_path / "own"), AGREED) as attest:
        assert refused(world, contract, attest) is Code.APPRAISAL_PLATFORM


def test_another_machines_event_log_with_ones_own_quote(
    world: World, contract: SignedContract, tpm: Path
) -> None:
    """A shell was booted; the log beside the quote is that of an honest boot, or its own."""
    with booted(make_tpm(tpm), WITH_A_SHELL) as attest:

        def embellished(challenge: VerifiedChallenge) -> Evidence:
            return with_part(attest(challenge), "event_log", event_log(AGREED))

        assert refused(world, contract, embellished) is Code.EVENT_LOG_MISMATCH
        assert refused(world, contract, attest) is Code.APPRAISAL_REGISTER


def test_another_machines_registers_with_ones_own_quote(
    world: World, contract: SignedContract, tpm: Path
) -> None:
    """The same, with log and list of registers both from the honest boot."""
    honest: list[Evidence] = []
    with booted(make_tpm(tpm), AGREED) as attest:
        ask(world, contract, lambda challenge: honest.append(attest(challenge)) or honest[0])
    with booted(make_tpm(tpm), WITH_A_SHELL) as attest:

        def dressed(challenge: VerifiedChallenge) -> Evidence:
            mine = with_part(attest(challenge), "pcrs", honest[0].part("pcrs"))
            return with_part(mine, "event_log", event_log(AGREED))

        assert refused(world, contract, dressed) is Code.EVIDENCE_PCR_DIGEST


@pytest.mark.parametrize(
    "told",
    [
        AGREED[:-1],
        (*AGREED[:3], AGREED[4], AGREED[3]),
        (*AGREED[:4], (9, b"another initrd")),
        (*AGREED, (9, b"one that never was")),
    ],
    ids=["dropped", "swapped", "changed", "added"],
)
def test_a_log_that_tells_another_story(
    told: Events, world: World, contract: SignedContract, tpm: Path
) -> None:
    """The machine is the agreed one, and its log was edited on the way to the broker."""
    with booted(make_tpm(tpm), AGREED) as attest:

        def edited(challenge: VerifiedChallenge) -> Evidence:
            return with_part(attest(challenge), "event_log", event_log(told))

        assert refused(world, contract, edited) is Code.EVENT_LOG_MISMATCH


def test_a_contract_for_another_enclave(world: World, enclave: dict[str, Any], tpm: Path) -> None:
    """All have signed it and the broker knows it; it names another image than the one that runs."""
    other = read(
        world.agree("elsewhere", enclaves=[enclave | {"registers": registers(WITH_A_SHELL)}])
    )
    with booted(make_tpm(tpm), AGREED) as attest:
        assert refused(world, other, attest) is Code.APPRAISAL_REGISTER


def test_evidence_for_another_contract(
    world: World, contract: SignedContract, enclave: dict[str, Any], tpm: Path
) -> None:
    """The enclave runs one contract; its evidence is shown for another that accepts it as well."""
    other = read(world.agree("generous", enclaves=[enclave]))
    secrets = WorkerSecrets.generate()
    with booted(make_tpm(tpm), AGREED) as attest:
        recorded: list[Evidence] = []
        ask(world, contract, lambda c: recorded.append(attest(c)) or recorded[0], secrets=secrets)
        assert refused(world, other, lambda _: recorded[0], secrets=secrets) is Code.FRESHNESS


def test_a_contract_that_no_broker_was_given(
    world: World, enclave: dict[str, Any], tpm: Path
) -> None:
    """Signed by all, and kept back from the brokers: they cannot know what they would agree to."""
    envelope = world.sign(world.document(name="kept-back", enclaves=[enclave]))
    unknown = verify_contract_signatures_ignoring_validity(envelope)
    with booted(make_tpm(tpm), AGREED) as attest:
        assert refused(world, unknown, attest) is Code.CONTRACT_UNKNOWN


def with_part(evidence: Evidence, name: str, value: bytes) -> Evidence:
    return dataclasses.replace(evidence, parts={**evidence.parts, name: value})
