"""What each decoded field of evidence means, in a word: a table for people (spec §17.5).

By kind, for one name means another thing in other evidence; looked up by the end of a field's path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sealtune.attestation.evidence import EvidenceKind

_TCB: Final = {
    "fmc": "version of the boot ROM's first firmware, from Turin on",
    "bl": "security version of the secure processor's bootloader",
    "tee": "security version of the secure processor's operating system",
    "snp": "security version of the SNP firmware",
    "ucode": "security version of the microcode",
    "rsvd": "reserved bytes",
}
_TPM: Final = {
    "extra": "what the caller of the quote wanted bound: the challenge",
    "clock": "milliseconds that the TPM has counted",
    "reset": "how often the TPM was reset: each start of the machine",
    "restart": "how often the machine was suspended since",
    "safe": "1 if the clock never went back",
    "fw": "version of the TPM's firmware",
    "sels": "which registers of which bank the quote covers",
    "pcrdigest": "digest of the covered registers",
    "trailing": "bytes after the quote, which are refused",
}
_SHARED: Final = {
    "report_data": "64 bytes that the guest chose: challenge, key and contract",
    "measurement": "SHA-384 of what was launched",
    "debug": "whether the host may look inside: then nothing is confidential",
    "firmware": "version of firmware",
}
_SNP: Final = {
    "version": "version of the report's layout",
    "guest_svn": "security version that the guest's owner gave it",
    "policy": "what the guest demanded at launch, as a number",
    "policy_bits.abi": "lowest firmware interface that the guest accepts",
    "policy_bits.smt": "1 if the guest accepts two threads on a core",
    "policy_bits.rsv1": "reserved, always 1",
    "policy_bits.migrate_ma": "1 if a migration agent may move the guest",
    "policy_bits.debug": "1 if the host may debug the guest: nothing is confidential then",
    "policy_bits.single_socket": "1 if the guest runs on one socket only",
    "policy_bits.cxl": "1 if memory devices may be attached over CXL",
    "policy_bits.aes256xts": "1 if memory must be encrypted with AES-256-XTS",
    "policy_bits.rapl_dis": "1 if power readings must be off: they leak what is computed",
    "policy_bits.cthide": "1 if ciphertext must be hidden from the host",
    "policy_bits.pageswap_dis": "1 if the host may not move the guest's pages",
    "family_id": "family that the guest's owner gave it",
    "image_id": "image that the guest's owner gave it",
    "vmpl": "privilege level that asked; 0 is the highest",
    "sigalgo": "1: ECDSA P-384 with SHA-384",
    "platform_info": "what the platform has on, as a number",
    "plat_bits.smt": "1 if two threads share a core",
    "plat_bits.tsme": "1 if all memory is encrypted transparently",
    "plat_bits.ecc": "1 if memory has error correction",
    "plat_bits.rapl_dis": "1 if power readings are off",
    "plat_bits.cthide": "1 if ciphertext is hidden from the host",
    "plat_bits.alias_ok": "1 if memory was checked for aliases (BadRAM)",
    "iommu_write_safe": "1 if devices cannot write where the guest does not allow it",
    "plat_bits.tio": "1 if trusted devices (SEV-TIO) are on",
    "flags": "author key, chip key masking and signing key, as a number",
    "author_key_en": "1 if the author key's digest is given",
    "mask_chip_key": "1 if the chip's own key is withheld",
    "signing_key": "VCEK: the chip's own key; VLEK: one that AMD lends a provider",
    "host_data": "32 bytes that the launcher fixed: the contract's digest",
    "id_key_digest": "digest of the key that signed the guest's identity block",
    "author_key_digest": "digest of the key that signed that key",
    "report_id": "number of this guest",
    "report_id_ma": "number of its migration agent; all ones if it has none",
    "cpuid": "family, model and stepping of the processor",
    "chip_id": "which chip this is; zeros if that is withheld",
    "csp_id": "provider that the VLEK is lent to",
    "gen": "generation of the processor",
    "current_tcb": "versions of the firmware that runs",
    "reported_tcb": "versions that the signing key was made for",
    "committed_tcb": "versions that the host cannot go back behind",
    "launch_tcb": "versions when the guest was launched",
    "current_ver": "firmware that runs",
    "committed_ver": "firmware that the host cannot go back behind",
    "launch_mit": "mitigations in effect at launch, as a mask",
    "current_mit": "mitigations in effect now, as a mask",
    "rsv_0x208_nonzero": "whether reserved bytes are set",
    "rsv_sig_nonzero": "whether bytes after the signature are set",
}
_INTEL: Final = {
    "quote_version": "version of the quote's layout",
    "report_class": "what the quote is of: an enclave or a trust domain, and which layout",
    "qe_svn": "security version of the quoting enclave",
    "pce_svn": "security version of the provisioning enclave",
    "qe_vendor_id": "vendor of the quoting enclave: Intel's is known",
    "user_data": "20 bytes that the quoting enclave's host chose",
    "fmspc": "kind of platform; Intel publishes TCB levels by it",
    "pck_ca": "which of Intel's authorities certified the platform",
    "sgx_type": "memory: 0 standard, 1 scalable, 2 scalable with integrity",
    "pck_validity": "when the platform's certificate is valid",
    "pck_cpusvn": "processor's versions that the certificate is for",
    "pcesvn": "provisioning enclave's version that the certificate is for",
    "pce_id": "number of the provisioning enclave",
    "ppid": "which platform this is",
    "platform_instance_id": "which installation of a platform of several packages",
    "dynamic_platform": "whether packages may be added to the platform",
    "cached_keys": "whether the platform's keys are kept at Intel",
    "smt_enabled": "whether two threads share a core",
    "tcb_status": "what Intel says of the platform's TCB",
    "advisories": "Intel's advisories that apply",
    "tcb_evaluation": "number of Intel's evaluation of the platform",
    "qe_evaluation": "number of Intel's evaluation of the quoting enclave",
    "explained_rtmrs": "registers that the event log replays to",
    "cpu_svn": "versions of microcode and firmware",
    "misc_select": "which extra state is saved when the enclave exits",
    "isv_ext_prod_id": "extended product number",
    "attributes": "flags of the enclave, DEBUG among them",
    "mr_enclave": "SHA-256 of the enclave: what was launched",
    "mr_signer": "SHA-256 of the enclave signer's key",
    "config_id": "64 bytes that the launcher fixed: the contract's digest",
    "isv_prod_id": "product number of the signer",
    "isv_svn": "security version of the enclave",
    "config_svn": "security version of what the launcher fixed",
    "isv_family_id": "product family of the signer",
    "tee_tcb_svn": "versions of TDX module and SEAM loader",
    "tee_tcb_svn2": "versions of TDX module and SEAM loader now, after updates",
    "mr_seam": "SHA-384 of the TDX module",
    "mr_signer_seam": "signer of the TDX module; zeros are Intel",
    "seam_attributes": "attributes of the TDX module",
    "td_attributes": "flags of the trust domain, DEBUG among them",
    "xfam": "processor features that the trust domain may use",
    "mr_td": "SHA-384 of the trust domain as it was launched",
    "mr_config_id": "48 bytes that the launcher fixed: the contract's digest",
    "mr_owner": "identity of the owner, if given",
    "mr_owner_config": "the owner's configuration, if given",
    "mr_service_td": "service domain that may export this one; zeros if none",
    "rt_mr0": "register 0: firmware's configuration",
    "rt_mr1": "register 1: kernel and boot loader",
    "rt_mr2": "register 2: command line, initrd",
    "rt_mr3": "register 3: whatever the guest measured later",
}
_AZURE: Final = {
    "hcl.ver": "version of the paravisor's report",
    "hcl.size": "bytes of the report that count",
    "hcl.reqtype": "2: made for certifying the attestation key",
    "hcl.status": "0: no error",
    "hcl.data_size": "bytes of the claims with their header",
    "hcl.data_ver": "version of the claims' header",
    "hcl.rtype": "hardware: 2 SEV-SNP, 4 TDX",
    "hcl.hash": "1: the claims are bound by SHA-256",
    "hcl.varsize": "bytes of the claims",
    "var_data_sha256": "digest of the claims; the hardware report binds it",
    "user_data": "what the guest asked to be included",
    "console-enabled": "whether the VM has a console",
    "secure-boot": "whether the VM checks who signed what boots",
    "tpm-enabled": "whether the paravisor runs the vTPM",
    "tpm-persisted": "whether the vTPM's state outlives the VM",
    "root-cert-thumbprint": "certificate that the guest's agent trusts",
    "vmUniqueId": "Azure's number of this VM",
    "vm_configuration": "settings that the paravisor states",
    "var_data.keys": "keys that the claims name: HCLAkPub signs the vTPM's quotes",
    "var_data": "the paravisor's claims",
    "ak_sha256": "digest of the attestation key",
    "tpm_signature": "the vTPM's signature over the quote",
    "pcr_digest": "whether the registers are those that the quote covers",
    "event_log_explains": "registers that the event log replays to",
    "td_quote_report_data": "what the trust domain's quote binds: the claims' digest",
    "vcek_chain": "product line of AMD's root",
    "vcek_validity": "when the chip's certificate is valid",
    "binding": "whether the hardware report binds the claims",
}
_TPM_ONLY: Final = {
    "signature": "scheme of the quote's signature",
    "ak_certified": "whether anybody certified the attestation key",
    "ak_subject": "name in the attestation key's certificate",
    "ek": "endorsement key of the TPM",
}
_NITRO: Final = {
    "module_id": "number of this enclave",
    "timestamp_ms": "when the document was made, in milliseconds since 1970",
    "leaf_validity": "when the signing key is valid: some hours",
    "pcrs.0": "the enclave's image; all zeros in debug mode",
    "pcrs.1": "its kernel and boot",
    "pcrs.2": "its application",
    "pcrs.3": "IAM role of the parent instance",
    "pcrs.4": "number of the parent instance",
    "pcrs.8": "certificate that signed the image",
    "pcrs": "a register that the enclave may lock",
    "user_data": "up to 1024 bytes that the enclave chose",
    "nonce": "what the enclave's caller wanted bound: the challenge",
    "public_key": "a key of the enclave, for answers",
}
_NVIDIA: Final = {
    "req_nonce": "nonce of the request: the challenge",
    "resp_nonce": "nonce of the device",
    "slot": "which certificate chain signed",
    "driver": "version of the driver",
    "vbios": "version of the VBIOS, as bytes",
    "chip_sku": "variant of the chip",
    "project": "board",
    "project_sku": "variant of the board",
    "nblocks": "how many measurements there are",
    "protected_pcie": "whether protected PCIe is on; none if the device does not say",
    "switch_pdis": "identities of the switches that the device sees",
    "measurements": "a measurement, compared with NVIDIA's reference values",
    "opaque": "a field of NVIDIA's own",
    "fwid_match": "whether the report is of the firmware that the certificate is for",
    "certificates": "names in the device's chain, its own first",
    "arch": "architecture",
    "chip": "chip",
    "hwmodel": "name of the device in its certificate",
    "ueid": "number of the device's certificate",
    "pdi": "identity of the device",
    "device_key": "digest of the key in the device's ROM",
    "fwid": "digest of the firmware that the certificate is for",
    "vbios_version": "version of the VBIOS",
    "ocsp.good": "certificates that NVIDIA says are good",
    "ocsp.unknown": "certificates that no response was given about",
    "driver_rim": "reference values of the driver",
    "vbios_rim": "reference values of the VBIOS",
    "root": "whether the chain ends at NVIDIA's root",
}
_EVENT_LOG: Final = {
    "event_log.events": "how many events the log has",
    "event_log.banks": "digest algorithms of the log",
    "event_log.replayed": "value that the log's events give, replayed",
    "event_log.error": "why the log cannot be read",
}
# TCG PC Client Platform Firmware Profile, table 1, and what Linux and systemd add.
_PCRS: Final = {
    0: "firmware",
    1: "firmware's configuration",
    2: "drivers on cards",
    3: "configuration of drivers on cards",
    4: "boot loader and boot attempts",
    5: "partition table and boot loader's configuration",
    6: "manufacturer's",
    7: "secure boot: whether it is on, and whose keys",
    8: "command line (GRUB) or unused",
    9: "files that the boot loader read: kernel, initrd",
    10: "files that Linux opened (IMA)",
    11: "unified kernel image (systemd)",
    12: "command line and credentials (systemd)",
    13: "system extensions (systemd)",
    14: "shim's own keys (MOK)",
    15: "machine's identity, file system keys (systemd)",
    16: "for debugging: software may reset it",
    17: "dynamic launch",
    18: "dynamic launch",
    19: "dynamic launch",
    20: "dynamic launch",
    21: "dynamic launch",
    22: "dynamic launch",
    23: "for applications: software may reset it",
}
_AMD_WORDS: Final = {**_SHARED, **_TCB, **_SNP}
_INTEL_WORDS: Final = {**_SHARED, **_INTEL}
_QUOTE_WORDS: Final = {**_TPM, **_AZURE, **_TPM_ONLY}
# What Azure evidence has of its own comes first: `user_data` there is the paravisor's.
_WORDS: Final[Mapping[EvidenceKind, Mapping[str, str]]] = MappingProxyType(
    {
        EvidenceKind.SEV_SNP: _AMD_WORDS,
        EvidenceKind.TDX: _INTEL_WORDS,
        EvidenceKind.SGX: _INTEL_WORDS,
        EvidenceKind.AZURE_SNP: {**_AMD_WORDS, **_QUOTE_WORDS},
        EvidenceKind.AZURE_TDX: {**_INTEL_WORDS, **_QUOTE_WORDS},
        EvidenceKind.TPM_VM: _QUOTE_WORDS,
        EvidenceKind.NITRO: _NITRO,
        EvidenceKind.NVIDIA_GPU: _NVIDIA,
        EvidenceKind.NVIDIA_SWITCH: _NVIDIA,
    }
)
_PCR = re.compile(r"pcr([0-9]{1,2})(?:_[a-z0-9]{1,12})?")


def meaning_of(path: tuple[str, ...], *, kind: EvidenceKind) -> str:
    """Return what the field at `path` of evidence of `kind` means; "" if nobody wrote it down.

    The longest end of `path` that has a meaning counts, then what the field is a part of.
    """
    words = {**_EVENT_LOG, **_WORDS[kind]}
    register = _PCR.fullmatch(path[-1])
    if register is not None:
        return pcr_meaning(int(register[1]))
    names = [name for name in path if not name.isdigit()]
    if path[-1].isdigit() and path[:-1] == ("pcrs_sha256",):
        return pcr_meaning(int(path[-1]))
    candidates = [".".join(path[start:]) for start in range(len(path))]
    candidates += [".".join(names[start:]) for start in range(len(names))]
    # A member of something described, as a measurement of a list of them.
    candidates += [".".join(names[:end]) for end in range(len(names) - 1, 0, -1)]
    candidates += reversed(names[:-1])
    return next((words[name] for name in candidates if name in words), "")


def pcr_meaning(index: int) -> str:
    """Return what a TPM's register of that number is for."""
    return f"PCR {index}: {_PCRS.get(index, 'no agreed use')}"
