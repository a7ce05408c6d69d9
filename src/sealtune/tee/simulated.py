"""A simulated TEE for trying sealtune out and for tests. INSECURE: its evidence proves nothing.

It writes SEV-SNP reports of version 5 and signs them with the key of a mock hierarchy that anybody
can make (`sealtune.testing.mock_amd`). The production verifier checks them like real ones; that
they pass needs the mock root among the anchors and `insecure_accept_simulated` in the contract.
"""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from pathlib import Path

from sealtune.attestation.binding import REPORT_DATA_BYTES
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_report import REPORT_BYTES, SIGNED_BYTES
from sealtune.core.canonical import parse_json
from sealtune.core.files import read_bounded
from sealtune.core.limits import CERTIFICATE_BYTES_MAX, KEY_FILE_BYTES_MAX
from sealtune.crypto.ecdsa import P384Key
from sealtune.errors import Code, ConfigError, SealtuneError, StorageError
from sealtune.tee.measure import measure_enclave_code

HOST_DATA_BYTES = 32
CERTIFICATE_FILES = ("vcek.der", "ask.der", "ark.der")
VCEK_KEY_FILE = "vcek.key.der"
CHIP_FILE = "chip.json"  # what the VCEK says of the chip, so that no certificate is parsed here
_GENOA_CPUID = (0x19, 0x11, 0x01)


@dataclass(frozen=True, slots=True, kw_only=True)
class InsecureReport:
    """The fields of a report that anybody may write; spec/attestation §5.1 has the table.

    The defaults are those of an honest Genoa guest without debugging.
    """

    report_data: bytes
    host_data: bytes
    measurement: bytes
    chip_id: bytes
    reported_tcb: bytes
    committed_tcb: bytes
    current_tcb: bytes
    launch_tcb: bytes
    version: int = 5
    guest_svn: int = 0
    policy: int = 0x30000
    vmpl: int = 0
    signature_algorithm: int = 1
    platform_info: int = 0x25
    signing_key: int = 0
    cpuid: tuple[int, int, int] = _GENOA_CPUID
    firmware: tuple[int, int, int] = (1, 55, 49)
    mitigations: int = 0

    def signed_bytes(self) -> bytes:
        """Return bytes 0 to 0x29F of the report; REPORT_ID is fresh."""
        data = bytearray(SIGNED_BYTES)
        numbers = (
            (0x000, 4, self.version),
            (0x004, 4, self.guest_svn),
            (0x008, 8, self.policy),
            (0x030, 4, self.vmpl),
            (0x034, 4, self.signature_algorithm),
            (0x040, 8, self.platform_info),
            (0x048, 4, self.signing_key << 2),
            (0x1F8, 8, self.mitigations),
            (0x200, 8, self.mitigations),
        )
        for offset, size, number in numbers:
            data[offset : offset + size] = number.to_bytes(size, "little")
        firmware = bytes(reversed(self.firmware))
        fields = (
            (0x038, self.current_tcb),
            (0x050, self.report_data),
            (0x090, self.measurement),
            (0x0C0, self.host_data),
            (0x140, secrets.token_bytes(32)),
            (0x160, b"\xff" * 32),
            (0x180, self.reported_tcb),
            (0x188, bytes(self.cpuid)),
            (0x1A0, self.chip_id),
            (0x1E0, self.committed_tcb),
            (0x1E8, firmware),
            (0x1EC, firmware),
            (0x1F0, self.launch_tcb),
        )
        for offset, content in fields:
            data[offset : offset + len(content)] = content
        return bytes(data)


def sign_insecure_report(signed: bytes, *, key: P384Key) -> bytes:
    """Return the 1184 bytes of a report: `signed` (0x2A0 bytes) and its signature."""
    scalars = (number.to_bytes(72, "little") for number in key.sign(signed))
    return (signed + b"".join(scalars)).ljust(REPORT_BYTES, b"\0")


def insecure_report(chip: object) -> InsecureReport:
    """Return a report as a guest on `chip` would get; the guest's part is zero.

    `chip` is the JSON object of spec/attestation §8.1, with a TCB in the layout of Milan and Genoa.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(chip, dict) or chip.keys() != {"chip_id", "tcb"}:
        raise _no_chip("an object of chip_id and tcb belongs there")
    chip_id, tcb = _hex(chip["chip_id"], size=64), _hex(chip["tcb"], size=8)
    return InsecureReport(
        report_data=bytes(REPORT_DATA_BYTES),
        host_data=bytes(HOST_DATA_BYTES),
        measurement=bytes(48),
        chip_id=chip_id,
        reported_tcb=tcb,
        committed_tcb=tcb,
        current_tcb=tcb,
        launch_tcb=tcb,
    )


def _hex(text: object, *, size: int) -> bytes:
    try:
        value = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        value = b""
    if len(value) != size:
        raise _no_chip(f"{size} bytes in hexadecimal belong there")
    return value


def _no_chip(reason: str) -> ConfigError:
    return ConfigError(Code.TEE_UNAVAILABLE, f"{CHIP_FILE}: {reason}")


class InsecureSimulatedAttester:
    """Attests with a mock chip's key; the measurement is that of the installed worker's code.

    `folder` is one that `make_mock_amd` made.

    Raises:
        ConfigError: `folder` holds no mock chip.
    """

    insecure = True

    def __init__(self, folder: Path) -> None:
        try:
            self._certificates = tuple(
                read_bounded(folder / name, limit=CERTIFICATE_BYTES_MAX, what="certificate")
                for name in CERTIFICATE_FILES
            )
            key = read_bounded(folder / VCEK_KEY_FILE, limit=KEY_FILE_BYTES_MAX, what="key")
            self._key = P384Key.from_der(key)
            chip = read_bounded(folder / CHIP_FILE, limit=KEY_FILE_BYTES_MAX, what="mock chip")
            self._report = insecure_report(
                parse_json(chip, limit=KEY_FILE_BYTES_MAX, what="mock chip")
            )
        except StorageError:
            raise
        except SealtuneError as error:
            raise ConfigError(
                Code.TEE_UNAVAILABLE, f"{folder}: no mock chip of a simulated TEE: {error}"
            ) from error
        self._measurement = bytes.fromhex(measure_enclave_code())

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:
        """Return evidence for `report_data` (64 bytes) of a guest launched with `host_data` (32).

        Raises:
            ValueError: a wrong length.
        """
        if len(report_data) != REPORT_DATA_BYTES or len(host_data) != HOST_DATA_BYTES:
            raise ValueError("report_data has 64 bytes and host_data 32")
        report = dataclasses.replace(
            self._report,
            report_data=report_data,
            host_data=host_data,
            measurement=self._measurement,
        )
        return Evidence(
            kind=EvidenceKind.SEV_SNP,
            report=sign_insecure_report(report.signed_bytes(), key=self._key),
            certificates=self._certificates,
        )
