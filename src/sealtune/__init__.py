"""Fine-tune a model on sealed data inside an enclave, with keys released only on evidence.

The names below are what the `sealtune` command calls, typed in `__init__.pyi`. Each is loaded when
it is first used: importing this package loads no cryptography, no pydantic and no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Text, not imports: this module is part of the enclave image, and whatever it imports would be too.
_PLACES = {
    "sealtune.crypto.identity": (
        "Identity",
        "PublicIdentity",
        "create_identity",
        "load_identity",
        "load_public_identity",
    ),
    "sealtune.bundle.dataset": ("RecordFields", "Task"),
    "sealtune.bundle.seal": ("SealSummary", "seal_data", "seal_model"),
    "sealtune.bundle.reader": ("verify_body",),
    "sealtune.bundle.open": (
        "BundleInfo",
        "OpenSummary",
        "inspect_bundle",
        "open_to_folder",
        "rewrap",
    ),
    "sealtune.deid.binding": ("bind_report_file", "read_report_file"),
    "sealtune.deid.config": ("Configuration", "find_configuration"),
    "sealtune.deid.key": ("DeidKey", "create_deid_key", "load_deid_key"),
    "sealtune.deid.propose": ("Proposal", "propose_fields"),
    "sealtune.deid.reidentify": ("reidentify",),
    "sealtune.deid.report_page": ("write_report_page",),
    "sealtune.deid.review": ("Review", "ReviewedField", "Segment", "review_records"),
    "sealtune.deid.review_page": ("write_review_page",),
    "sealtune.deid.run": ("deidentify",),
    "sealtune.deid.summary": ("DeidSummary",),
    "sealtune.contract.files": (
        "ContractFile",
        "read_contract_file",
        "sign_contract_file",
        "verify_contract_file",
        "write_contract_draft",
    ),
    "sealtune.contract.diff": ("Change", "diff_contracts"),
    "sealtune.contract.policy": ("Policy",),
    "sealtune.contract.policy_text": ("PolicyRow", "policy_rows", "policy_toml"),
    "sealtune.contract.presets": ("PRESETS", "find_policy"),
    "sealtune.contract.show": ("contract_lines",),
    "sealtune.tee.measure": ("EnclaveModule", "enclave_modules", "measure_enclave_code"),
    "sealtune.protocol.registrar": (
        "Registered",
        "register_bundle_file",
        "register_contract_file",
    ),
    "sealtune.attestation.anchors": ("Product", "RootUse", "TrustAnchors", "vendor_anchors"),
    "sealtune.attestation.appraisal": ("AppraisalRefused", "anchors_for", "simulated_root_use"),
    "sealtune.attestation.ear": ("EarIssue", "ear_of_refusal", "ear_of_result", "sign_ear"),
    "sealtune.attestation.endorsements": ("NO_ENDORSEMENTS", "Endorsements"),
    "sealtune.attestation.evidence": ("Evidence", "EvidenceKind"),
    "sealtune.attestation.examine": (
        "Examination",
        "Question",
        "Verdict",
        "examine",
        "refused_examination",
    ),
    "sealtune.attestation.explain": ("Explanation", "explain"),
    "sealtune.attestation.forms.endorsement_files": (
        "is_endorsement",
        "read_evidence_endorsements",
    ),
    "sealtune.attestation.forms.read": ("read_evidence",),
    "sealtune.attestation.reference": ("AcceptedEnclave",),
    "sealtune.core.digest": ("digest_bytes", "parse_digest", "sha256_digest"),
    "sealtune.crypto.ecdsa": ("P256Key",),
    "sealtune.receipt.files": (
        "ReceiptReport",
        "read_receipt_file",
        "read_statement_unverified",
        "verify_receipt_file",
    ),
    "sealtune.tee.events": ("WorkerError", "WorkerEvent"),
    "sealtune.tee.select": ("collect",),
    "sealtune.image.manifest": ("read_image",),
    "sealtune.image.sgx.manifest": ("read_sgx_image",),
    "sealtune.tee.launcher": (
        "LaunchSpec",
        "RunOutcome",
        "Sandbox",
        "Tee",
        "VmLaunch",
        "run_contract",
    ),
    "sealtune.tee.choose": ("choose_tee",),
    "sealtune.tee.qemu.arguments": ("Boot", "UnixQuotes", "VsockQuotes"),
    "sealtune.tee.qemu.run": ("SnpHost", "TdxHost", "VmHost", "VmImage", "VmSize"),
    "sealtune.tee.qemu.tools": ("QUOTE_SOCKETS",),
    "sealtune.tee.qemu.tpm": ("attestation_key_digest", "make_tpm"),
    "sealtune.tee.sgx.run": ("SgxLaunch",),
    "sealtune.tee.sgx.size": ("enclave_size", "job_peak"),
    "sealtune.translog.chain": ("LogEntry",),
    "sealtune.worker.planning": ("JobPlan", "Known", "plan_job"),
    "sealtune.broker.endorsements.files": (
        "EndorsementListing",
        "EndorsementRow",
        "EndorsementsExported",
        "EndorsementsFetched",
        "EndorsementsImported",
        "export_endorsements",
        "fetch_endorsements",
        "import_endorsements",
        "list_endorsements",
    ),
    "sealtune.broker.endorsements.sources": ("endorsement_services",),
    "sealtune.broker.config": ("BrokerConfig", "init_broker", "load_config"),
    "sealtune.broker.server": ("Listening", "serve_broker"),
    "sealtune.broker.status": ("BrokerStatus", "broker_status", "read_broker_log"),
    "sealtune.testing.bench.losses": ("check_losses",),
    "sealtune.testing.bench.prepare": ("BenchOptions", "Compare"),
    "sealtune.testing.bench.report": ("BenchReport", "LossReport"),
    "sealtune.testing.bench.run": ("bench_train",),
    "sealtune.testing.demo.encoder": ("find_encoder",),
    "sealtune.testing.demo.outcome": ("DemoStep", "DemoSummary", "PromiseBroken"),
    "sealtune.testing.demo.run": ("run_demo",),
    "sealtune.testing.demo.terms": ("DemoSize",),
    "sealtune.testing.mock_amd": ("make_mock_amd",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
