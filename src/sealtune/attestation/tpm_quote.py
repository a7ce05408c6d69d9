"""A TPM 2.0 quote: the attested structure and the PCR values under its digest.

Source: TPM 2.0 Library, part 2 (TPMS_ATTEST, TPMS_QUOTE_INFO) and part 3 (TPM2_Quote). Who signed
the quote is `tpm_signature`'s question; who vouches for that key is the verifier's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sealtune.attestation.tpm_wire import TpmHash, TpmReader
from sealtune.errors import Code, FormatError, VerificationError

_GENERATED = 0xFF544347
_QUOTE = 0x8018
_ATTEST_BYTES_MAX = 1024  # 4x the longest: every buffer at its limit and 5 banks
_NAME_BYTES_MAX = 66  # TPMT_HA: a hash algorithm and SHA-512
_EXTRA_BYTES_MAX = 66
_DIGEST_BYTES_MAX = 64
_BITMAP_BYTES_MAX = 4
# Nobody may rely on these: a second message with the same SHA-1 value costs little.
_RECORDED_ONLY = frozenset({TpmHash.SHA1})


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrSelection:
    """The registers of one bank that a quote covers; `bitmap` has register 0 in its first bit."""

    bank: TpmHash
    bitmap: bytes

    @property
    def indices(self) -> tuple[int, ...]:
        """The numbers of the selected registers, ascending."""
        return tuple(
            8 * place + bit
            for place, octet in enumerate(self.bitmap)
            for bit in range(8)
            if octet >> bit & 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmQuote:
    """Every field of a quote; `extra_data` is what the caller of TPM2_Quote wanted bound."""

    signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    selections: tuple[PcrSelection, ...]
    pcr_digest: bytes
    raw: bytes

    def to_fields(self) -> dict[str, object]:
        """Return every field for people and JSON."""
        return {
            "extra": self.extra_data.hex(),
            "clock": self.clock,
            "reset": self.reset_count,
            "restart": self.restart_count,
            "safe": int(self.safe),
            "fw": f"{self.firmware_version:016x}",
            "sels": [[f"{chosen.bank:#x}", chosen.bitmap.hex()] for chosen in self.selections],
            "pcrdigest": self.pcr_digest.hex(),
            "trailing": 0,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pcr:
    """One register whose value a verified quote covers."""

    bank: TpmHash
    index: int
    value: bytes

    @property
    def name(self) -> str:
        """What reference values call it: `pcr7` is SHA-256, `pcr7_sha384` says its bank."""
        plain = self.bank is TpmHash.SHA256
        return f"pcr{self.index}" if plain else f"pcr{self.index}_{self.bank.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedPcrs:
    """The registers under a verified quote, in the order of its selection.

    Made by `open_pcrs` alone.
    """

    values: tuple[Pcr, ...]

    def bank(self, bank: TpmHash) -> Mapping[int, bytes]:
        """Return the values of one bank by register number."""
        return MappingProxyType({pcr.index: pcr.value for pcr in self.values if pcr.bank is bank})

    @property
    def registers(self) -> Mapping[str, str]:
        """The values in hexadecimal by name.

        Without SHA-1: its values are recorded and nothing may rely on them.
        """
        return MappingProxyType(
            {pcr.name: pcr.value.hex() for pcr in self.values if pcr.bank not in _RECORDED_ONLY}
        )

    @property
    def measurement(self) -> str:
        """SHA-256 over the registers' names and values, 64 hexadecimal digits.

        With their names: the quote's own digest covers values only, and software can bring a
        register that it may reset (16, 23) to any value that another one reached.
        """
        lines = (f"{name}={value}\n" for name, value in sorted(self.registers.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def parse_tpm_quote(data: bytes) -> TpmQuote:
    """Return the quote that `data`, a TPMS_ATTEST, holds.

    Raises:
        FormatError: not made by a TPM as a quote, a bank twice or unknown, or bytes missing, left
            over or beyond bounds.
    """
    if len(data) > _ATTEST_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"TPM quote: larger than {_ATTEST_BYTES_MAX} bytes")
    reader = TpmReader(data, what="TPM quote")
    # A TPM signs with a restricted key only what begins so, and begins nothing else so: without it,
    # anything that such a key may sign could be offered as a quote.
    if reader.number(4) != _GENERATED:
        raise reader.malformed("does not say that a TPM generated it")
    if reader.number(2) != _QUOTE:
        raise reader.malformed("attests something else than registers")
    quote = TpmQuote(
        signer=reader.sized(limit=_NAME_BYTES_MAX),
        extra_data=reader.sized(limit=_EXTRA_BYTES_MAX),
        clock=reader.number(8),
        reset_count=reader.number(4),
        restart_count=reader.number(4),
        safe=_yes_no(reader),
        firmware_version=reader.number(8),
        selections=tuple(_selections(reader)),
        pcr_digest=reader.sized(limit=_DIGEST_BYTES_MAX),
        raw=data,
    )
    reader.end()
    return quote


def _yes_no(reader: TpmReader) -> bool:
    value = reader.number(1)
    if value > 1:
        raise reader.malformed("a yes or no that is neither")
    return bool(value)


def _selections(reader: TpmReader) -> Iterator[PcrSelection]:
    # However large the count: banks are few and each comes once, so this ends soon.
    seen: set[TpmHash] = set()
    for _ in range(reader.number(4)):
        bank = reader.hash()
        size = reader.number(1)
        if bank in seen or not 1 <= size <= _BITMAP_BYTES_MAX:
            raise reader.malformed("a bank twice, or a selection of a wrong size")
        seen.add(bank)
        yield PcrSelection(bank=bank, bitmap=reader.take(size))


def open_pcrs(quote: TpmQuote, values: bytes, *, hashed_with: TpmHash) -> QuotedPcrs:
    """Return the registers that `values`, joined in the order of the selection, give `quote`.

    `hashed_with` is the hash algorithm of the quote's signature: the TPM uses it for the digest.

    Raises:
        VerificationError: more or fewer values than the quote selects, or others than it covers.
    """
    places = [(chosen.bank, index) for chosen in quote.selections for index in chosen.indices]
    expected = sum(bank.size for bank, _ in places)
    # Before the digest: with values of two sizes a cut list could be read in two ways.
    if len(values) != expected:
        raise VerificationError(
            Code.EVIDENCE_PCR_DIGEST,
            f"TPM quote: {len(values)} bytes of registers where its {len(places)} have {expected}",
        )
    if not hmac.compare_digest(_digest(values, hashed_with), quote.pcr_digest):
        raise VerificationError(
            Code.EVIDENCE_PCR_DIGEST, "TPM quote: the register values are not those it covers"
        )
    opened, offset = [], 0
    for bank, index in places:
        opened.append(Pcr(bank=bank, index=index, value=values[offset : offset + bank.size]))
        offset += bank.size
    return QuotedPcrs(values=tuple(opened))


def _digest(values: bytes, algorithm: TpmHash) -> bytes:
    return hashlib.new(algorithm.label, values).digest()
