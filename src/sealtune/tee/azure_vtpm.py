"""Evidence of an Azure confidential VM: its paravisor's HCL report and a quote of its vTPM.

The hardware report in it was made when the VM booted and names the vTPM's attestation key; what is
fresh is that key's quote. Certificates and TD quote come from the host's metadata service over
plain HTTP: they are hints that a verifier checks, like everything else that a host says.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.core.canonical import parse_json
from sealtune.core.limits import CERTIFICATE_BYTES_MAX, EVENT_LOG_BYTES_MAX, QUOTE_BYTES_MAX
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.pem import certificates_from_pem
from sealtune.errors import Code, SealtuneError
from sealtune.tee.machine import (
    attester_failed,
    check_report_data,
    read_optional,
    require_bound,
    tee_unavailable,
)
from sealtune.tee.tpm_tools import TpmTools

METADATA_HOST = "169.254.169.254"
EVENT_LOG = Path("/sys/kernel/security/tpm0/binary_bios_measurements")
_HCL_REPORT = "0x01400001"
_ATTESTATION_KEY = "0x81000003"
_PCRS = "sha256:" + ",".join(map(str, range(24)))
_CERTIFICATES = "/metadata/THIM/amd/certification"
_TD_QUOTE = "/acc/tdquote"
_HCL_BYTES_MAX = 16 * 1024
_HARDWARE_REPORT, _TDREPORT_BYTES = 32, 1024
_REPORT_TYPE = 1216 + 8
_SNP, _TDX = 2, 4
_ATTEST_BYTES_MAX = 1024
_PCRS_BYTES = 24 * 32
_ANSWER_BYTES_MAX = 4 * CERTIFICATE_BYTES_MAX
_TIMEOUT_S = 20.0
_REMEDY = (
    "run as root or in the group tss, in a VM whose security type is confidential (sizes DCasv5 and"
    " ECasv5 for SEV-SNP, DCesv5 and ECesv5 for TDX); a VM with trusted launch alone is tpm-vm"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Azure's services of the host, at a link-local address that only this VM reaches."""

    host: str = METADATA_HOST
    port: int = 80

    def fetch(self, method: str, path: str, body: bytes | None = None) -> object:
        """Return the JSON value of the answer.

        Raises:
            SealtuneError: no answer, another status than 200, too many bytes, or no JSON.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_S)
        headers = {"Metadata": "true", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body=body, headers=headers)
            with connection.getresponse() as answer:
                status, data = answer.status, answer.read(_ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise _refused(path, f"no answer: {type(error).__name__}") from error
        finally:
            connection.close()
        if status != 200:
            raise _refused(path, f"status {status}")
        return parse_json(data, limit=_ANSWER_BYTES_MAX, what=f"{self.host}{path}")


class AzureVtpmAttester:
    """Attests through the vTPM, on top of SEV-SNP or TDX as the HCL report says."""

    insecure = False

    def __init__(
        self,
        *,
        tools: TpmTools | None = None,
        metadata: Metadata | None = None,
        event_log: Path = EVENT_LOG,
    ) -> None:
        self._tools = tools or TpmTools()
        self._metadata = metadata or Metadata()
        self._event_log = event_log

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:  # noqa: ARG002
        """Return fresh evidence; Azure's paravisor fixes HOST_DATA, not the VM's owner.

        Raises:
            ValueError: `report_data` is not 64 bytes.
            SealtuneError: tpm2-tools are missing, the VM is not confidential, or Azure refuses.
        """
        check_report_data(report_data)
        (hcl,) = self._tools.run(
            "tpm2_nvread", "-C", "o", _HCL_REPORT, outputs={"-o": _HCL_BYTES_MAX}, remedy=_REMEDY
        )
        kind = int.from_bytes(hcl[_REPORT_TYPE : _REPORT_TYPE + 4], "little")
        if kind not in (_SNP, _TDX):
            raise tee_unavailable(
                f"vTPM index {_HCL_REPORT}: {len(hcl)} bytes, a hardware report of type {kind}",
                remedy=_REMEDY,
            )
        extra = tpm_challenge(report_data)
        quote, signature, pcrs = self._quote(extra)
        require_bound(quote, extra, what="vTPM quote")
        parts = {"tpm_quote": quote, "tpm_signature": signature, "pcrs": pcrs}
        log = read_optional(self._event_log, limit=EVENT_LOG_BYTES_MAX)
        if log:
            parts["event_log"] = log
        if kind == _SNP:
            chain = self._certificates()
            return Evidence(
                kind=EvidenceKind.AZURE_SNP, report=hcl, certificates=chain, parts=parts
            )
        parts["td_quote"] = self._td_quote(hcl)
        return Evidence(kind=EvidenceKind.AZURE_TDX, report=hcl, certificates=(), parts=parts)

    def _quote(self, extra: bytes) -> tuple[bytes, ...]:
        # The tool itself compares the values that it read with the quote, and fails on a race.
        arguments = ["-c", _ATTESTATION_KEY, "-l", _PCRS, "-q", extra.hex()]
        arguments += ["-g", "sha256", "-f", "plain", "-F", "values"]
        outputs = {"-m": _ATTEST_BYTES_MAX, "-s": _ATTEST_BYTES_MAX, "-o": _PCRS_BYTES}
        return self._tools.run("tpm2_quote", *arguments, outputs=outputs, remedy=_REMEDY)

    def _certificates(self) -> tuple[bytes, ...]:
        answer = self._metadata.fetch("GET", _CERTIFICATES)
        pem = _text(answer, "vcekCert", _CERTIFICATES) + _text(
            answer, "certificateChain", _CERTIFICATES
        )
        return certificates_from_pem(pem.encode())

    def _td_quote(self, hcl: bytes) -> bytes:
        report = hcl[_HARDWARE_REPORT : _HARDWARE_REPORT + _TDREPORT_BYTES]
        body = json.dumps({"report": b64encode(report)}).encode()
        answer = self._metadata.fetch("POST", _TD_QUOTE, body)
        # Azure pads or not; the bytes are the same.
        text = _text(answer, "quote", _TD_QUOTE).rstrip("=")
        quote = b64decode(text, what=_TD_QUOTE, code=Code.ATTESTER_FAILED)
        if len(quote) > QUOTE_BYTES_MAX:
            raise _refused(_TD_QUOTE, f"a quote of {len(quote)} bytes")
        return quote


def _text(answer: object, name: str, path: str) -> str:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value.isascii():
        raise _refused(path, f"an answer without {name}")
    return value


def _refused(path: str, message: str) -> SealtuneError:
    return attester_failed(
        f"Azure's metadata service, {path}: {message}",
        remedy="let the VM reach 169.254.169.254 without a proxy, and try again",
    )
