"""Every error that a caller may handle, each with a stable code.

An error's family says who must act; its `Code` is what tests, logs and documents refer to (the text
may change, the code may not). `docs/errors.md` lists them all and a test keeps that list complete.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Stable identifiers of everything that can go wrong, grouped by the part that raises them."""

    # core
    LIMIT_EXCEEDED = "limit-exceeded"
    JSON_MALFORMED = "json-malformed"
    DIGEST_MALFORMED = "digest-malformed"
    FILE_MISSING = "file-missing"
    FILE_EXISTS = "file-exists"
    DISK_FULL = "disk-full"
    IO_FAILED = "io-failed"
    # crypto
    KEY_FILE_MALFORMED = "key-file-malformed"
    KEY_PASSPHRASE = "key-passphrase"  # noqa: S105 - a code, no passphrase
    KEY_PERMISSIONS = "key-permissions"
    PUBLIC_KEY_MALFORMED = "public-key-malformed"
    HPKE_OPEN_FAILED = "hpke-open-failed"
    STREAM_FORGED = "stream-forged"
    STREAM_LENGTH = "stream-length"
    SCRATCH_FORGED = "scratch-forged"
    ENVELOPE_MALFORMED = "envelope-malformed"
    ENVELOPE_TYPE = "envelope-type"
    SIGNATURE_MISSING = "signature-missing"
    SIGNATURE_INVALID = "signature-invalid"
    DER_MALFORMED = "der-malformed"
    CERTIFICATE_MALFORMED = "certificate-malformed"
    CERTIFICATE_SIGNATURE = "certificate-signature"
    # de-identification reports
    DEID_REPORT_MALFORMED = "deid-report-malformed"
    DEID_REPORT_MISSING = "deid-report-missing"
    DEID_OTHER_REPORT = "deid-other-report"
    DEID_OTHER_RECORDS = "deid-other-records"
    DEID_VAULT_MALFORMED = "deid-vault-malformed"
    DEID_IRREVERSIBLE = "deid-irreversible"
    # bundle
    BUNDLE_TRUNCATED = "bundle-truncated"
    BUNDLE_MALFORMED = "bundle-malformed"
    BUNDLE_VERSION = "bundle-version"
    BUNDLE_DIGEST = "bundle-digest"
    BUNDLE_BODY_DIGEST = "bundle-body-digest"
    BUNDLE_OWNER = "bundle-owner"
    BUNDLE_KIND = "bundle-kind"
    BUNDLE_NO_SLOT = "bundle-no-slot"
    BUNDLE_ENTRY_MISSING = "bundle-entry-missing"
    MANIFEST_MALFORMED = "manifest-malformed"
    MANIFEST_DIGEST = "manifest-digest"
    ENTRY_NAME_UNSAFE = "entry-name-unsafe"
    RECORDS_EMPTY = "records-empty"
    RECORD_MALFORMED = "record-malformed"
    RECORD_FIELD = "record-field"
    RECORD_TOO_LONG = "record-too-long"
    RECORD_IMAGE = "record-image"
    LABEL_OUT_OF_RANGE = "label-out-of-range"
    RECORDS_FORMAT = "records-format"
    MODEL_NO_WEIGHTS = "model-no-weights"
    MODEL_PICKLE = "model-pickle"
    MODEL_MALFORMED = "model-malformed"
    TENSOR_NOT_FINITE = "tensor-not-finite"
    DEPENDENCY_MISSING = "dependency-missing"
    # contract
    CONTRACT_MALFORMED = "contract-malformed"
    CONTRACT_FIELD = "contract-field"
    CONTRACT_UNSIGNED = "contract-unsigned"
    CONTRACT_WRONG_SIGNER = "contract-wrong-signer"
    CONTRACT_NOT_YET_VALID = "contract-not-yet-valid"
    CONTRACT_EXPIRED = "contract-expired"
    # attestation: verification
    EVIDENCE_MALFORMED = "evidence-malformed"
    EVIDENCE_KIND = "evidence-kind"
    EVIDENCE_VERSION = "evidence-version"
    EVIDENCE_SIGNATURE = "evidence-signature"
    EVIDENCE_CHAIN = "evidence-chain"
    EVIDENCE_ROOT = "evidence-root"
    EVIDENCE_CERTIFICATE_TIME = "evidence-certificate-time"
    EVIDENCE_TCB_BINDING = "evidence-tcb-binding"
    EVIDENCE_CHIP_BINDING = "evidence-chip-binding"
    EVIDENCE_REVOKED = "evidence-revoked"
    EVIDENCE_TCB_LEVEL = "evidence-tcb-level"
    EVIDENCE_QE = "evidence-qe"
    EVIDENCE_VTPM_BINDING = "evidence-vtpm-binding"
    EVIDENCE_PCR_DIGEST = "evidence-pcr-digest"
    EVIDENCE_UNSIGNED = "evidence-unsigned"
    EVENT_LOG_MALFORMED = "event-log-malformed"
    EVENT_LOG_MISMATCH = "event-log-mismatch"
    DEVICE_FWID = "device-fwid"
    DEVICE_DUPLICATE = "device-duplicate"
    DEVICE_SPLICED = "device-spliced"
    RIM_MISMATCH = "rim-mismatch"
    FRESHNESS = "freshness"
    # attestation: endorsements
    ENDORSEMENT_MALFORMED = "endorsement-malformed"
    ENDORSEMENT_MISSING = "endorsement-missing"
    ENDORSEMENT_STALE = "endorsement-stale"
    ENDORSEMENT_MISMATCH = "endorsement-mismatch"
    ENDORSEMENT_SIGNATURE = "endorsement-signature"
    FETCH_FAILED = "fetch-failed"
    FETCH_THROTTLED = "fetch-throttled"
    # tokens
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105 - a code, no password
    TOKEN_ALGORITHM = "token-algorithm"  # noqa: S105
    TOKEN_SIGNATURE = "token-signature"  # noqa: S105
    # attestation: appraisal
    APPRAISAL_INSECURE = "appraisal-insecure"
    APPRAISAL_KIND = "appraisal-kind"
    APPRAISAL_DEBUG = "appraisal-debug"
    APPRAISAL_POLICY = "appraisal-policy"
    APPRAISAL_VMPL = "appraisal-vmpl"
    APPRAISAL_TCB = "appraisal-tcb"
    APPRAISAL_MEASUREMENT = "appraisal-measurement"
    APPRAISAL_HOST_DATA = "appraisal-host-data"
    APPRAISAL_PLATFORM = "appraisal-platform"
    APPRAISAL_TCB_STATUS = "appraisal-tcb-status"
    APPRAISAL_ADVISORY = "appraisal-advisory"
    APPRAISAL_EVALUATION = "appraisal-evaluation"
    APPRAISAL_ENDORSEMENT_AGE = "appraisal-endorsement-age"
    APPRAISAL_REGISTER = "appraisal-register"
    APPRAISAL_MEMORY = "appraisal-memory"
    APPRAISAL_DEVICES = "appraisal-devices"
    # measuring
    FIRMWARE_MALFORMED = "firmware-malformed"
    # images and virtual machines
    IMAGE_MALFORMED = "image-malformed"
    IMAGE_MISMATCH = "image-mismatch"
    BUILD_FAILED = "build-failed"
    TOOL_MISSING = "tool-missing"
    TOOL_TOO_OLD = "tool-too-old"
    GUEST_SILENT = "guest-silent"
    GUEST_FAILED = "guest-failed"
    CHANNEL_MALFORMED = "channel-malformed"
    OUTPUT_DISK_MALFORMED = "output-disk-malformed"
    # tee
    TEE_UNAVAILABLE = "tee-unavailable"
    ATTESTER_FAILED = "attester-failed"
    ATTESTER_RACED = "attester-raced"
    LAUNCH_FAILED = "launch-failed"
    # protocol, broker, release
    MESSAGE_MALFORMED = "message-malformed"
    MESSAGE_STATE = "message-state"
    CHALLENGE_UNKNOWN = "challenge-unknown"
    BROKER_IDENTITY = "broker-identity"
    BROKER_UNREACHABLE = "broker-unreachable"
    BROKER_ANSWER = "broker-answer"
    RATE_LIMITED = "rate-limited"
    CONTRACT_UNKNOWN = "contract-unknown"
    KEY_UNKNOWN = "key-unknown"
    NOT_AUTHORIZED = "not-authorized"
    DENIED_CONTRACT = "denied-contract"
    DENIED_VALIDITY = "denied-validity"
    DENIED_BUNDLE = "denied-bundle"
    DENIED_OWNER = "denied-owner"
    DENIED_DEIDENTIFICATION = "denied-deidentification"
    DENIED_RUNS = "denied-runs"
    DENIED_RESUMES = "denied-resumes"
    DENIED_RUN_CLOSED = "denied-run-closed"
    DENIED_INSECURE = "denied-insecure"
    ANCHOR_ROLLBACK = "anchor-rollback"
    LOG_BROKEN = "log-broken"
    LOG_FORKED = "log-forked"
    LOG_CUT = "log-cut"
    STORE_DAMAGED = "store-damaged"
    # worker and training
    RECIPE_UNSUPPORTED = "recipe-unsupported"
    MODEL_UNSUPPORTED = "model-unsupported"
    TOKENIZER_MALFORMED = "tokenizer-malformed"
    LOSS_NOT_FINITE = "loss-not-finite"
    NOTHING_TO_TRAIN = "nothing-to-train"
    NARROWING_TOO_COARSE = "narrowing-too-coarse"
    MEMORY_TOO_SMALL = "memory-too-small"
    CHECKPOINT_ROLLBACK = "checkpoint-rollback"
    CHECKPOINT_MISSING = "checkpoint-missing"
    CHECKPOINT_FOREIGN = "checkpoint-foreign"
    OUTPUT_REFUSED = "output-refused"
    WORKER_FAILED = "worker-failed"
    MEMORY_EXCEEDED = "memory-exceeded"
    BENCH_FAILED = "bench-failed"
    INTERNAL = "internal"
    # receipt
    RECEIPT_MALFORMED = "receipt-malformed"
    RECEIPT_BINDING = "receipt-binding"
    RECEIPT_CONTRACT = "receipt-contract"
    RECEIPT_OUTPUT = "receipt-output"
    # configuration
    CONFIG_INVALID = "config-invalid"
    TABLE_UNREACHABLE = "table-unreachable"
    IDENTITY_MISSING = "identity-missing"


class SealtuneError(Exception):
    """Base of every error that a caller may handle.

    `code` is stable; `remedy`, where there is one, says what to do about it. Neither ever holds a
    secret or content of a record.
    """

    exit_status = 1

    def __init__(self, code: Code, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message


class ConfigError(SealtuneError):
    """The caller's configuration or arguments cannot work; the caller must change them."""

    exit_status = 3


class FormatError(SealtuneError):
    """Bytes are not what they should be; whoever made the file must make it again."""

    exit_status = 4


class VerificationError(SealtuneError):
    """Cryptography says no: a signature, a tag, a chain or a binding does not hold."""

    exit_status = 5


class FreshnessError(VerificationError):
    """The verifier's challenge, the key or the contract is not what the evidence binds."""


class AppraisalError(SealtuneError):
    """Genuine evidence, but not of an enclave that the contract accepts."""

    exit_status = 6


class ReleaseDenied(SealtuneError):
    """A broker's rules said no; the contract or the request must change."""

    exit_status = 7


class TransportError(SealtuneError):
    """A peer could not be reached or did not answer in time; trying again may help."""

    exit_status = 8


class StorageError(SealtuneError):
    """The local disk refused; mend that and run the command again: no half file was kept."""

    exit_status = 9


class TrainingError(SealtuneError):
    """The training cannot go on with this recipe, model and data."""

    exit_status = 10
