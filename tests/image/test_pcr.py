"""Registers of a direct boot against values that a software TPM showed, and another computation."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest

from image.pe import KERNEL, by_the_specification
from sealtune.attestation.event_log import Bank, event_log_from_json, replay
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError
from sealtune.image import pcr as module
from sealtune.image.pcr import (
    COMMAND_LINE_CHARACTERS_MAX,
    BootDigests,
    BootFiles,
    LoadOptions,
    boot_digests,
    digest_of,
    pcr4,
    pcr9,
)
from sealtune.image.pcr_firmware import KNOWN_FIRMWARE, known_firmware, recorded_firmware
from sealtune.image.rtmr import rtmr1, rtmr2

FILES = BootFiles(kernel=KERNEL.image(), initrd=b"an initrd", command_line="panic=-1 quiet")
SPELLINGS = {
    LoadOptions.INITRD_LAST: "panic=-1 quiet initrd=initrd\0",
    LoadOptions.INITRD_FIRST: "initrd=initrd panic=-1 quiet\0",
}


def digests(family: LoadOptions, bank: Bank = Bank.SHA256) -> BootDigests:
    return boot_digests(FILES, load_options=family, bank=bank)


def extended(name: str, *events: bytes) -> bytes:
    value = bytes(hashlib.new(name).digest_size)
    for event in events:
        value = hashlib.new(name, value + event).digest()
    return value


def h(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).digest()


# -- what is derived -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", LoadOptions)
def test_pcr_4_and_9_are_the_specifications_events(family: LoadOptions) -> None:
    kernel = bytes.fromhex(by_the_specification(FILES.kernel, "sha256"))
    calling = b"Calling EFI Application from Boot Option"
    found = digests(family)
    assert pcr4(found) == extended("sha256", kernel, h("sha256", calling), h("sha256", bytes(4)))
    options = SPELLINGS[family].encode("utf-16-le")
    assert pcr9(found) == extended("sha256", h("sha256", options), h("sha256", FILES.initrd))


def test_pcr_4_and_9_are_those_that_a_software_tpm_showed() -> None:
    # A boot of Debian's 6.12.95 cloud kernel under QEMU 10.0.2 and edk2 2025.02: the kernel's and
    # the initrd's digest as its event log gave them, the registers as the TPM did.
    options = "console=ttyS0 panic=-1 quiet initrd=initrd\0".encode("utf-16-le")
    seen = BootDigests(
        bank=Bank.SHA256,
        kernel=bytes.fromhex("c830f84c0c40deb7d49de5df2f4c1c471b7e7678d992d7ebb6a1c29b61fb2a7a"),
        load_options=digest_of(options, bank=Bank.SHA256),
        initrd=bytes.fromhex("1ec91d3d879d55c71034368996b2d36e3453fb6ad69146e14e3720ed74f671ba"),
    )
    assert pcr4(seen).hex() == "15e48da84c08127f95b17854c32e99de12e7664e8615e61a88bed8190a50be52"
    assert pcr9(seen).hex() == "d7052612c921f8eabff622a37304f22e6a69c00fac9b7d13c5b37f424e240ce1"


@pytest.mark.parametrize("part", ["kernel", "initrd", "command_line"])
def test_every_file_counts(part: str) -> None:
    changed = {
        "kernel": KERNEL.but(sections=(b"X" * 512,)),
        "initrd": b"another initrd",
        "command_line": "panic=-1 quiet init=/bin/sh",
    }
    fields = {"kernel": FILES.kernel, "initrd": FILES.initrd, "command_line": FILES.command_line}
    other = boot_digests(
        BootFiles(**{**fields, part: changed[part]}),  # type: ignore[arg-type]
        load_options=LoadOptions.INITRD_LAST,
        bank=Bank.SHA256,
    )
    mine = digests(LoadOptions.INITRD_LAST)
    assert (pcr4(other) != pcr4(mine)) == (part == "kernel")
    assert (pcr9(other) != pcr9(mine)) == (part != "kernel")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("", id="empty"),
        pytest.param("quiet\0init=/bin/sh", id="nul"),
        pytest.param("quiet\n", id="line-feed"),
        pytest.param("caf\u00e9", id="not-ascii"),
        pytest.param("x" * (COMMAND_LINE_CHARACTERS_MAX + 1), id="cut-off-by-the-kernel"),
    ],
)
def test_a_command_line_that_would_arrive_altered_is_refused(line: str) -> None:
    with pytest.raises(FormatError) as refusal:
        BootFiles(kernel=b"", initrd=b"i", command_line=line)
    assert refusal.value.code is Code.IMAGE_MALFORMED


def test_the_longest_command_line_is_taken() -> None:
    assert BootFiles(kernel=b"", initrd=b"i", command_line="x" * COMMAND_LINE_CHARACTERS_MAX)


def test_no_initrd_or_a_huge_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INITRD_BYTES_MAX", 8)
    for initrd in (b"", bytes(9)):
        with pytest.raises(FormatError) as refusal:
            BootFiles(kernel=b"", initrd=initrd, command_line="x")
        assert refusal.value.code is Code.IMAGE_MALFORMED


# -- RTMRs -----------------------------------------------------------------------------------------


def test_rtmrs_are_the_specifications_events() -> None:
    found = digests(LoadOptions.INITRD_LAST, Bank.SHA384)
    kernel = bytes.fromhex(by_the_specification(FILES.kernel, "sha384"))
    strings = (
        b"Calling EFI Application from Boot Option",
        bytes(4),
        b"Exit Boot Services Invocation",
        b"Exit Boot Services Returned with Success",
    )
    assert rtmr1(found) == extended("sha384", kernel, *(h("sha384", said) for said in strings))
    options = SPELLINGS[LoadOptions.INITRD_LAST].encode("utf-16-le")
    assert rtmr2(found) == extended("sha384", h("sha384", options), h("sha384", FILES.initrd))


def test_rtmrs_of_another_bank_are_a_mistake() -> None:
    for register in (rtmr1, rtmr2):
        with pytest.raises(ValueError, match="SHA-384"):
            register(digests(LoadOptions.INITRD_LAST))


@pytest.mark.parametrize("name", ["quote-report.json", "tdx-lite-getquote.json"])
def test_signed_quotes_of_direct_boots_measured_the_same_sequence(
    shared_dir: Path, name: str
) -> None:
    text = json.loads((shared_dir / "vectors" / "tdx" / "dstack" / name).read_text())["event_log"]
    data = text.encode() if isinstance(text, str) else json.dumps(text).encode()
    log = event_log_from_json(data)
    events = {n: [e.digests[Bank.SHA384] for e in log.events if e.register == n] for n in (2, 3)}
    options, initrd = events[3]
    seen = BootDigests(bank=Bank.SHA384, kernel=events[2][0], load_options=options, initrd=initrd)
    # The quotes are verified, and their registers found in these logs, by the attestation's tests.
    registers = replay(log, bank=Bank.SHA384)
    assert (rtmr1(seen), rtmr2(seen)) == (registers[2], registers[3])


# -- firmware --------------------------------------------------------------------------------------


def test_known_firmware_is_found_by_its_digest() -> None:
    for digest, profile in KNOWN_FIRMWARE.items():
        assert known_firmware(digest) is profile
        assert (len(profile.pcr0), len(profile.pcr7)) == (32, 32)


def test_unknown_firmware_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError) as refusal:
        known_firmware(sha256_digest(b"another firmware"))
    assert "--record" in refusal.value.remedy


def log_of(*events: tuple[int, bytes], algorithm: int = 0x0B, size: int = 32) -> bytes:
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<IHH", 1, algorithm, size) + b"\0"
    data = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
    for register, digest in events:
        data += struct.pack("<IIIH", register, 1, 1, algorithm) + digest + struct.pack("<I", 0)
    return data


def events_of(family: LoadOptions) -> list[tuple[int, bytes]]:
    mine = digests(family)
    said = (h("sha256", b"Calling EFI Application from Boot Option"), h("sha256", bytes(4)))
    return [
        (0, b"\1" * 32),
        (7, b"\2" * 32),
        *((4, digest) for digest in (mine.kernel, *said)),
        *((9, digest) for digest in (mine.load_options, mine.initrd)),
    ]


@pytest.mark.parametrize("family", LoadOptions)
def test_a_recorded_boot_tells_the_firmwares_values_and_spelling(family: LoadOptions) -> None:
    log = log_of(*events_of(family))
    profile = recorded_firmware(log, name="mine", digests=digests)
    assert profile.load_options is family
    assert profile.pcr0 == extended("sha256", b"\1" * 32)
    assert profile.pcr7 == extended("sha256", b"\2" * 32)


@pytest.mark.parametrize("register", [0, 4, 7, 9])
def test_a_boot_that_leaves_a_register_alone_is_no_record(register: int) -> None:
    kept = [event for event in events_of(LoadOptions.INITRD_LAST) if event[0] != register]
    with pytest.raises(SealtuneError) as refusal:
        recorded_firmware(log_of(*kept), name="mine", digests=digests)
    assert refusal.value.code is Code.EVENT_LOG_MISMATCH


@pytest.mark.parametrize("register", [4, 9])
def test_a_boot_of_something_else_is_no_record(register: int) -> None:
    events = [*events_of(LoadOptions.INITRD_LAST), (register, b"\3" * 32)]
    with pytest.raises(SealtuneError) as refusal:
        recorded_firmware(log_of(*events), name="mine", digests=digests)
    assert refusal.value.code is Code.EVENT_LOG_MISMATCH


def test_a_log_without_the_bank_is_no_record() -> None:
    with pytest.raises(FormatError) as refusal:
        recorded_firmware(log_of(algorithm=0x0C, size=48), name="mine", digests=digests)
    assert refusal.value.code is Code.EVENT_LOG_MALFORMED
