"""Whether an event log explains the registers that a TPM quoted (spec/attestation §12, §13.3)."""

from __future__ import annotations

import hmac

from sealtune.attestation.event_log import Bank, EventLog, read_event_log, replay
from sealtune.attestation.tpm_quote import Pcr, QuotedPcrs
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.errors import Code, FormatError, VerificationError

_BANKS = {
    TpmHash.SHA256: Bank.SHA256,
    TpmHash.SHA384: Bank.SHA384,
    TpmHash.SHA512: Bank.SHA512,
}


def require_pcrs(data: bytes, pcrs: QuotedPcrs) -> tuple[str, ...]:
    """Return the names of the registers that the log `data` explains.

    A register is explained when the log's events, replayed, give the value that was quoted. One
    that the quote has and the log does not extend is not among them, and no contradiction.

    Raises:
        FormatError: not a log, or one without a digest for any bank that was quoted.
        VerificationError: a register that was quoted has another value.
    """
    log = read_event_log(data)
    common = {
        quoted: bank
        for quoted, bank in _BANKS.items()
        if bank in log.banks and any(pcr.bank is quoted for pcr in pcrs.values)
    }
    if not common:
        raise FormatError(
            Code.EVENT_LOG_MALFORMED, "event log: no digests of a bank that was quoted"
        )
    replayed = _replay(log, common)
    extended = [pcr for pcr in pcrs.values if (pcr.bank, pcr.index) in replayed]
    wrong = [pcr.name for pcr in extended if not _same(pcr, replayed)]
    if wrong:
        raise VerificationError(
            Code.EVENT_LOG_MISMATCH, f"event log: replays to other values of {', '.join(wrong)}"
        )
    return tuple(pcr.name for pcr in extended)


def _replay(log: EventLog, banks: dict[TpmHash, Bank]) -> dict[tuple[TpmHash, int], bytes]:
    return {
        (quoted, index): value
        for quoted, bank in banks.items()
        for index, value in replay(log, bank=bank).items()
    }


def _same(pcr: Pcr, replayed: dict[tuple[TpmHash, int], bytes]) -> bool:
    return hmac.compare_digest(pcr.value, replayed[pcr.bank, pcr.index])
