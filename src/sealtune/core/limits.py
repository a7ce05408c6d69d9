"""Named upper bounds, checked before anything is parsed.

Each bound is a multiple of the largest honest input known, so that a hostile one costs the reader
little.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

JSON_DEPTH_MAX = 32  # our deepest document (a contract in an envelope in a receipt) nests 9 levels
JSON_MARKS_MAX = 2**18  # `canonical.parse_json`; the largest contract has a third of it
OWNED_JSON_MARKS_MAX = 2**26  # a manifest, tokenizer or record, which its owner alone can write
ENVELOPE_BYTES_MAX = 4 * MIB  # a DSSE envelope; a contract with 64 parties is about 150 KiB
EVIDENCE_BYTES_MAX = 512 * KIB  # 4x a TDX quote with event log, 8 GPUs and 4 switches
FOREIGN_EVIDENCE_BYTES_MAX = 4 * MIB  # the largest evidence, each octet a number in JSON
QUOTE_BYTES_MAX = 16 * KIB  # 3x the largest quote; the library that checks it has no bound
EVENT_LOG_BYTES_MAX = 256 * KIB  # the largest that firmware reserves; a real log fills a sixth
FOREIGN_EVIDENCE_MARKS_MAX = EVIDENCE_BYTES_MAX + 64 * KIB  # a comma for each octet
EVIDENCE_PARTS_MAX = 8
EVIDENCE_PART_NAME_MAX = 32
DEVICES_MAX = 32  # 8 GPUs and 4 switches are the largest machine on sale
ENDORSEMENT_BYTES_MAX = 1 * MIB  # one item; a VBIOS RIM is about 100 KiB
ENDORSEMENTS_MAX = 1024
ENDORSEMENTS_BYTES_MAX = 64 * MIB
CERTIFICATE_BYTES_MAX = 8 * KIB  # 4x an AMD ARK
CHAIN_CERTIFICATES_MAX = 8
CONTRACT_BYTES_MAX = 1 * MIB
POLICY_BYTES_MAX = 48 * KIB  # 9x our largest preset, and room for 300 chips
CONTRACT_PARTIES_MAX = 64
CONTRACT_INPUTS_MAX = 64
CONTRACT_BROKERS_MAX = 64
CONTRACT_ENCLAVES_MAX = 16
CONTRACT_MEASUREMENTS_MAX = 64
CONTRACT_CHIPS_MAX = 1024
CONTRACT_PURPOSE_MAX = 2_000
CONTRACT_METRICS_MAX = 64
CONTRACT_RUNS_MAX = 1_000
CONTRACT_DAYS_MAX = 400  # a year, and time to agree on the next contract before it ends
OUTPUT_BYTES_MAX = 2**40
MESSAGE_BYTES_MAX = 8 * MIB  # one broker message: a contract envelope is the largest
RECEIPT_BYTES_MAX = 8 * MIB
RECEIPT_FILES_MAX = 4_096  # a result folder has about 10 files, a sharded full model some hundreds
KEY_FILE_BYTES_MAX = 64 * KIB
KEY_REQUEST_BYTES_MAX = 1 * MIB  # the largest evidence, twice in base64, and 64 bundles
SMALL_MESSAGE_BYTES_MAX = 16 * KIB  # a request without evidence; the largest is about 2 KiB
RUN_STEPS_MAX = 2**40
ANSWER_BYTES_MAX = 1 * MIB  # a broker's answer; 64 wrapped keys are about 200 KiB
LOG_ENTRY_BYTES_MAX = 256 * KIB  # a decision over 64 bundles is about 30 KiB

BUNDLE_HEADER_BYTES_MAX = 64 * KIB
BUNDLE_SLOTS_BYTES_MAX = 1 * MIB  # about 250 recipients
BUNDLE_SLOTS_MAX = 256
BUNDLE_MANIFEST_BYTES_MAX = 64 * MIB  # about 250,000 tensors
BUNDLE_ENTRIES_MAX = 1_000_000
BUNDLE_ENTRY_NAME_MAX = 1024
TENSOR_RANK_MAX = 16

RECORD_BYTES_MAX = 16 * MIB
IMAGE_BYTES_MAX = 11 * MIB  # a JPEG or PNG file; in base64 it still fits a record
IMAGE_PIXELS_MAX = 50_000_000  # a camera of 50 megapixels; up to 600 MB while it is decoded
DATASET_FILES_MAX = (
    2_000_000  # of a folder; the largest public image set has 14 million, in archives
)
LABELS_MAX = 10_000  # classes of a dataset; the largest public benchmark has about 4,000
SHARD_BYTES = (
    4 * MIB
)  # plaintext of one shard of records: large enough to amortize, small enough to hold
SAFETENSORS_HEADER_BYTES_MAX = 100 * MIB  # the limit of the safetensors format itself
MODEL_FILE_BYTES_MAX = (
    64 * MIB
)  # one configuration or tokenizer file; the largest known tokenizer.json is 33 MiB
