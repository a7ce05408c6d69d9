"""What every `Code` means and what to do about it: the source of docs/errors.md.

A command prints the remedy here where the error brings none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sealtune.errors import Code


@dataclass(frozen=True, slots=True)
class Guidance:
    """One row of docs/errors.md."""

    families: str
    meaning: str
    remedy: str


_COPY = "copy the file again from whoever made it, and compare its digest with theirs"
_SEALED = "give a file that `sealtune seal` or a run made; if it is one, copy it again"
_MAKER = "ask whoever made the file to make it again; do not repair it by hand"
_OPERATOR = "run on a machine that the contract accepts, or agree on a contract that names this one"
_GENUINE = "do not run on this machine: its evidence is not what the vendor signed"
_AGREE = "agree on a new contract; every signing party signs it"
_STOP = "stop using this broker's answers and ask its owner: somebody changed its records"
_RESTORE = "restore the file from the place where it was made; then run the same command again"

GUIDE: Final[dict[Code, Guidance]] = {
    Code.LIMIT_EXCEEDED: Guidance(
        "format, config",
        "An input is larger, longer or more numerous than the named limit.",
        "make the input smaller; the limits are in `sealtune.core.limits`",
    ),
    Code.JSON_MALFORMED: Guidance(
        "format",
        "Not JSON, or JSON with a name twice, too deep, or a number that is not finite.",
        "mend the file at the place that the message names",
    ),
    Code.DIGEST_MALFORMED: Guidance(
        "format",
        "A digest is not `sha256:` and 64 hexadecimal digits.",
        "copy the digest whole, as `sealtune inspect` prints it",
    ),
    Code.FILE_MISSING: Guidance(
        "storage", "A file or folder that the command needs is not there.", "check the path"
    ),
    Code.FILE_EXISTS: Guidance(
        "storage",
        "The output exists already, and overwriting it could lose something.",
        "choose another name, or move the existing file away",
    ),
    Code.DISK_FULL: Guidance(
        "storage",
        "The disk is full; nothing half-written was kept.",
        "make room and run the same command again",
    ),
    Code.IO_FAILED: Guidance(
        "storage",
        "The operating system refused to read or write a file.",
        "check that the path is of the right kind (file or folder), its owner and permissions",
    ),
    Code.KEY_FILE_MALFORMED: Guidance(
        "config, format",
        "Not a private key file that `sealtune key create` wrote.",
        "give the NAME.key file, unchanged",
    ),
    Code.KEY_PASSPHRASE: Guidance(
        "config, verification",
        "The key file's passphrase is missing or wrong, or the file was changed.",
        "try the passphrase again; without it the key is lost",
    ),
    Code.KEY_PERMISSIONS: Guidance(
        "config", "Other users of this machine may read a private key.", "chmod 600 the file"
    ),
    Code.PUBLIC_KEY_MALFORMED: Guidance(
        "format",
        "Not a public key, or not a public identity file.",
        "give the NAME.pub file that `sealtune key create` wrote, whole",
    ),
    Code.HPKE_OPEN_FAILED: Guidance(
        "verification",
        "A wrapped key does not open: another recipient's, for another purpose, or changed.",
        "use the key file of the recipient that it was sealed to",
    ),
    Code.STREAM_FORGED: Guidance(
        "verification", "Encrypted content was changed, cut, moved or swapped.", _COPY
    ),
    Code.STREAM_LENGTH: Guidance(
        "verification", "Encrypted content has another length than stated.", _COPY
    ),
    Code.SCRATCH_FORGED: Guidance(
        "verification",
        "What a run had put on the disk for a while was changed, or replaced by something older.",
        "see who writes to the run's folder, check the disk, and run the same command again",
    ),
    Code.ENVELOPE_MALFORMED: Guidance("format", "Not a DSSE envelope of this version.", _COPY),
    Code.ENVELOPE_TYPE: Guidance(
        "verification",
        "A signed document of another kind than the one asked for.",
        "check that the right file was given: a contract, a receipt and a bundle are not the same",
    ),
    Code.SIGNATURE_MISSING: Guidance(
        "verification",
        "A signature that must be there is not.",
        "ask the party that the message names to sign",
    ),
    Code.SIGNATURE_INVALID: Guidance(
        "verification",
        "A signature does not match the key and the signed bytes.",
        "do not trust the file; get it again from its signer",
    ),
    Code.DER_MALFORMED: Guidance("format", "A certificate or signature is not strict DER.", _MAKER),
    Code.CERTIFICATE_MALFORMED: Guidance(
        "format", "A certificate has not the expected form.", _MAKER
    ),
    Code.CERTIFICATE_SIGNATURE: Guidance(
        "verification", "A certificate was not signed by its issuer.", _GENUINE
    ),
    Code.DEID_REPORT_MALFORMED: Guidance(
        "format",
        "Not a de-identification report, or its figures disagree.",
        "give the report that `sealtune deidentify` wrote, unchanged",
    ),
    Code.DEID_REPORT_MISSING: Guidance(
        "verification, release",
        "A bundle names a de-identification report, and there is none with it.",
        "give the report that the bundle was sealed with (`--deidentification`)",
    ),
    Code.DEID_OTHER_REPORT: Guidance(
        "verification, release",
        "A de-identification report is not the one that the bundle names.",
        "give the report that the bundle was sealed with (`--deidentification`)",
    ),
    Code.DEID_OTHER_RECORDS: Guidance(
        "verification",
        "A de-identification report is about other records than those to be sealed.",
        "seal the file that `sealtune deidentify` wrote with this report, unchanged",
    ),
    Code.DEID_VAULT_MALFORMED: Guidance(
        "format",
        "Not the vault of a de-identification.",
        "give the vault that `sealtune deidentify` wrote, unchanged",
    ),
    Code.DEID_IRREVERSIBLE: Guidance(
        "config",
        "There is no vault: the profile did not allow a way back, or the file is elsewhere.",
        "give the vault that `sealtune deidentify` wrote beside the output, if it did",
    ),
    Code.TABLE_UNREACHABLE: Guidance(
        "config",
        "No generalization of a table reaches the k, l or t that its configuration asks for.",
        "ask for less in `[table]`, give more records, or name fewer quasi-identifiers",
    ),
    Code.BUNDLE_TRUNCATED: Guidance(
        "format", "A bundle is cut short, or something follows it.", _COPY
    ),
    Code.BUNDLE_MALFORMED: Guidance(
        "format", "Not a SealedBundle, or a part of it has another form.", _SEALED
    ),
    Code.BUNDLE_VERSION: Guidance(
        "format",
        "A SealedBundle of another version of the format.",
        "use the version of sealtune that made it, or a newer one",
    ),
    Code.BUNDLE_DIGEST: Guidance(
        "verification",
        "The bundle is a genuine one, but not the one that the contract names.",
        "give the bundle whose digest the contract names (`sealtune contract show`)",
    ),
    Code.BUNDLE_BODY_DIGEST: Guidance(
        "verification", "The body of a bundle was changed, cut or swapped.", _COPY
    ),
    Code.BUNDLE_OWNER: Guidance(
        "format, verification",
        "The bundle was signed by another owner than expected.",
        "get the bundle from the owner that the contract names",
    ),
    Code.BUNDLE_KIND: Guidance(
        "config, format",
        "A bundle of another kind: dataset, model, training_checkpoint or result.",
        "give the bundle of the kind that the message asks for",
    ),
    Code.BUNDLE_NO_SLOT: Guidance(
        "config",
        "The bundle is not sealed to this key.",
        "use the key of a listed recipient, or have the owner run `sealtune rewrap`",
    ),
    Code.BUNDLE_ENTRY_MISSING: Guidance(
        "config", "A bundle lacks an entry that is needed.", _MAKER
    ),
    Code.MANIFEST_MALFORMED: Guidance(
        "format", "The list of a bundle's entries has another form.", _MAKER
    ),
    Code.MANIFEST_DIGEST: Guidance(
        "verification", "The list of a bundle's entries was changed.", _COPY
    ),
    Code.ENTRY_NAME_UNSAFE: Guidance(
        "format",
        "An entry's name would be written outside the output folder.",
        "do not open this bundle; ask its owner",
    ),
    Code.RECORDS_EMPTY: Guidance(
        "format", "The data file holds no records.", "check that the right file was given"
    ),
    Code.RECORD_MALFORMED: Guidance(
        "format", "A line of the data file is no record.", "mend the line that the message names"
    ),
    Code.RECORD_FIELD: Guidance(
        "format",
        "A record lacks a field that the task needs, or it has another type.",
        "mend the record that the message names, or name the field with --text-field",
    ),
    Code.RECORD_TOO_LONG: Guidance(
        "format",
        "A record has more tokens than the recipe's max_length, and may not be cut or split.",
        "leave it out, or agree on a recipe with a larger max_length or another overflow",
    ),
    Code.RECORD_IMAGE: Guidance(
        "format",
        "An image of the data is no whole JPEG or PNG, or larger than allowed.",
        "mend the image that the message names, or leave it out",
    ),
    Code.LABEL_OUT_OF_RANGE: Guidance(
        "format",
        "A record's label is none of the labels given.",
        "mend the record, or list every label with --labels in the order of their numbers",
    ),
    Code.RECORDS_FORMAT: Guidance(
        "format",
        "The data file or folder is of no known kind, or of several at once.",
        "convert it to JSON Lines, CSV or Parquet, or give a folder of one of the known layouts",
    ),
    Code.MODEL_NO_WEIGHTS: Guidance(
        "format",
        "The model folder holds no safetensors weights.",
        "give the folder that holds config.json and model.safetensors",
    ),
    Code.MODEL_PICKLE: Guidance(
        "format, config",
        "The model's weights are pickle files, which can run code when they are read.",
        "convert them on your own machine to safetensors, with the command in the message",
    ),
    Code.MODEL_MALFORMED: Guidance(
        "format",
        "A file of the model folder is damaged or contradicts another.",
        "download or save the model again",
    ),
    Code.TENSOR_NOT_FINITE: Guidance(
        "format",
        "A tensor holds NaN or infinity.",
        "save the model again from a good training checkpoint",
    ),
    Code.DEPENDENCY_MISSING: Guidance(
        "config",
        "An optional package that this command needs is not installed.",
        "install the extra that the message names, for example: pip install 'sealtune[broker]'",
    ),
    Code.CONTRACT_MALFORMED: Guidance(
        "format",
        "Not a contract, or not in its canonical form.",
        "mend the TOML file and draft it again; do not edit what `contract draft` wrote",
    ),
    Code.CONTRACT_FIELD: Guidance(
        "format",
        "A field of the contract is unknown, missing, out of range or contradicts another.",
        "mend the field that the message names; docs/spec/contract.md lists them all",
    ),
    Code.CONTRACT_UNSIGNED: Guidance(
        "verification",
        "A party that must sign the contract has not.",
        "have each party that the message names run `sealtune contract sign`",
    ),
    Code.CONTRACT_WRONG_SIGNER: Guidance(
        "verification",
        "A key that the contract does not name as a signer's signed it, or is asked to.",
        "sign with the key of a data owner, model owner or recipient of this contract",
    ),
    Code.CONTRACT_NOT_YET_VALID: Guidance(
        "verification",
        "The contract's validity has not begun.",
        "wait, or check this machine's clock",
    ),
    Code.CONTRACT_EXPIRED: Guidance(
        "verification",
        "The contract's validity is over.",
        "agree on a new contract, or check this machine's clock",
    ),
    Code.EVIDENCE_MALFORMED: Guidance(
        "format",
        "Evidence has another form than its kind says.",
        "give the evidence as the machine made it, whole and of the kind that was named",
    ),
    Code.EVIDENCE_KIND: Guidance(
        "format", "Evidence of a kind that no verifier here knows.", _OPERATOR
    ),
    Code.EVIDENCE_VERSION: Guidance(
        "format", "A hardware report of a version that no verifier here knows.", _OPERATOR
    ),
    Code.EVIDENCE_SIGNATURE: Guidance(
        "verification", "The hardware report was not signed by the key of its processor.", _GENUINE
    ),
    Code.EVIDENCE_CHAIN: Guidance(
        "verification",
        "The certificates of the processor's key do not form a chain.",
        "fetch the processor's certificates from the vendor again",
    ),
    Code.EVIDENCE_ROOT: Guidance(
        "verification",
        "The chain ends in a root that is not a vendor's (a simulated one, for example).",
        "use real hardware; for a trial, an insecure contract names the simulated root, and so "
        "does `receipt verify --insecure-root`",
    ),
    Code.EVIDENCE_CERTIFICATE_TIME: Guidance(
        "verification",
        "A certificate is not valid at this time.",
        "check this machine's clock, then fetch the certificates again",
    ),
    Code.EVIDENCE_TCB_BINDING: Guidance(
        "verification",
        "The certificate is for other firmware versions than the report states.",
        "fetch the processor's certificate for its present firmware",
    ),
    Code.EVIDENCE_CHIP_BINDING: Guidance(
        "verification",
        "The certificate is of another processor than the report.",
        "fetch the certificate of the processor that made the report",
    ),
    Code.EVIDENCE_REVOKED: Guidance(
        "verification", "The vendor has revoked a certificate.", _GENUINE
    ),
    Code.EVIDENCE_TCB_LEVEL: Guidance(
        "verification",
        "Intel's TCB info has no level for this platform.",
        "update the platform's firmware; fetch newer endorsements if it is newer than those",
    ),
    Code.EVIDENCE_QE: Guidance(
        "verification",
        "The quoting enclave is not the one that Intel names.",
        _GENUINE,
    ),
    Code.EVIDENCE_VTPM_BINDING: Guidance(
        "verification",
        "The virtual TPM is not the one that the hardware report names.",
        _GENUINE,
    ),
    Code.EVIDENCE_PCR_DIGEST: Guidance(
        "verification",
        "PCR values are not those that the TPM signed.",
        "collect the evidence again; do not edit it",
    ),
    Code.EVIDENCE_UNSIGNED: Guidance(
        "verification",
        "A token that nobody signed (`alg: none`) is offered as evidence.",
        "send the device's own evidence, not a local verifier's opinion of it",
    ),
    Code.EVENT_LOG_MALFORMED: Guidance(
        "format",
        "An event log cannot be read.",
        "collect the evidence again on the machine itself",
    ),
    Code.EVENT_LOG_MISMATCH: Guidance(
        "verification",
        "Replaying the event log does not give the registers that the hardware signed.",
        "collect log and evidence together; if it stays, the log was changed",
    ),
    Code.DEVICE_FWID: Guidance(
        "verification",
        "A device runs other firmware than its certificate was made for.",
        _GENUINE,
    ),
    Code.DEVICE_DUPLICATE: Guidance(
        "verification",
        "One device stands for several.",
        "collect evidence of every device; each answers for itself only",
    ),
    Code.DEVICE_SPLICED: Guidance(
        "verification",
        "Request and response in a device's evidence do not belong together.",
        "collect the evidence again; do not edit it",
    ),
    Code.RIM_MISMATCH: Guidance(
        "verification",
        "A device's measurements differ from the vendor's reference values.",
        "install a driver and firmware that the vendor published, then attest again",
    ),
    Code.FRESHNESS: Guidance(
        "verification",
        "The evidence does not bind this challenge, worker key and contract: it is replayed, "
        "relayed or of another run.",
        "start the run again; if it happens twice, the machine or the network is hostile",
    ),
    Code.ENDORSEMENT_MALFORMED: Guidance(
        "format",
        "A vendor's document (certificate, revocation list, TCB info, RIM) cannot be read.",
        "fetch it again with `sealtune endorsements fetch`",
    ),
    Code.ENDORSEMENT_MISSING: Guidance(
        "verification",
        "A vendor's document that this evidence needs is not there.",
        "fetch it with `sealtune endorsements fetch EVIDENCE`, or give it with --endorsements",
    ),
    Code.ENDORSEMENT_STALE: Guidance(
        "verification",
        "A vendor's document is not valid at this time.",
        "fetch a current one with `sealtune endorsements fetch`; check the clock",
    ),
    Code.ENDORSEMENT_MISMATCH: Guidance(
        "verification",
        "Vendor documents of different platforms or times are mixed.",
        "fetch all of them again together with `sealtune endorsements fetch`",
    ),
    Code.ENDORSEMENT_SIGNATURE: Guidance(
        "verification",
        "A vendor's document is not signed by the vendor.",
        "fetch it again; if it stays, somebody changed it on the way",
    ),
    Code.FETCH_FAILED: Guidance(
        "transport",
        "An endorsement service could not be reached or answered something else.",
        "check the address and the network, then try again",
    ),
    Code.FETCH_THROTTLED: Guidance(
        "transport",
        "An endorsement service asked for fewer requests.",
        "wait for the time that the message names, then try again",
    ),
    Code.TOKEN_MALFORMED: Guidance(
        "format",
        "A token is not a compact JWS with the expected claims.",
        _MAKER,
    ),
    Code.TOKEN_ALGORITHM: Guidance(
        "verification",
        "A token is signed with an algorithm that is not accepted.",
        _MAKER,
    ),
    Code.TOKEN_SIGNATURE: Guidance(
        "verification",
        "A token's signature does not match.",
        _MAKER,
    ),
    Code.APPRAISAL_INSECURE: Guidance(
        "appraisal",
        "Simulated evidence, and the contract accepts none.",
        "use real hardware; only a contract that says insecure_accept_simulated takes this",
    ),
    Code.APPRAISAL_KIND: Guidance(
        "appraisal", "The contract accepts no enclave of this kind.", _OPERATOR
    ),
    Code.APPRAISAL_DEBUG: Guidance(
        "appraisal",
        "The enclave can be debugged, so its memory can be read.",
        "start the guest without the debug policy bit",
    ),
    Code.APPRAISAL_POLICY: Guidance(
        "appraisal",
        "The guest policy allows what is never accepted, such as migration.",
        "start the guest with a stricter policy",
    ),
    Code.APPRAISAL_VMPL: Guidance(
        "appraisal",
        "The report was asked for from another privilege level than the contract accepts.",
        _OPERATOR,
    ),
    Code.APPRAISAL_TCB: Guidance(
        "appraisal",
        "The processor's firmware is older than the contract accepts.",
        "update the firmware, or run on another machine",
    ),
    Code.APPRAISAL_MEASUREMENT: Guidance(
        "appraisal",
        "The enclave runs other code than the contract accepts.",
        "run the released version whose measurement the contract names (`sealtune measure`)",
    ),
    Code.APPRAISAL_HOST_DATA: Guidance(
        "appraisal", "The enclave was started for another contract.", "start it with this contract"
    ),
    Code.APPRAISAL_PLATFORM: Guidance(
        "appraisal", "The machine is set up in a way that the contract does not accept.", _OPERATOR
    ),
    Code.APPRAISAL_TCB_STATUS: Guidance(
        "appraisal",
        "Intel's status of this platform is not an accepted one.",
        _OPERATOR,
    ),
    Code.APPRAISAL_ADVISORY: Guidance(
        "appraisal",
        "A security advisory that the policy denies applies to this platform.",
        _OPERATOR,
    ),
    Code.APPRAISAL_EVALUATION: Guidance(
        "appraisal",
        "The platform was judged by an older TCB evaluation than the policy asks for.",
        "fetch newer endorsements with `sealtune endorsements fetch`",
    ),
    Code.APPRAISAL_ENDORSEMENT_AGE: Guidance(
        "appraisal",
        "The vendor's documents are older than the policy allows.",
        "fetch newer endorsements with `sealtune endorsements fetch`",
    ),
    Code.APPRAISAL_REGISTER: Guidance(
        "appraisal",
        "A runtime register (RTMR, PCR, MRSIGNER ...) is not an accepted one.",
        "start the agreed image unchanged, or agree on these values",
    ),
    Code.APPRAISAL_MEMORY: Guidance(
        "appraisal",
        "The operator can read this machine's memory and the policy does not accept that.",
        _OPERATOR,
    ),
    Code.APPRAISAL_DEVICES: Guidance(
        "appraisal",
        "The devices are not those that the policy asks for.",
        "attach the agreed devices in confidential mode, or agree on these",
    ),
    Code.FIRMWARE_MALFORMED: Guidance(
        "format",
        "A firmware file cannot be measured.",
        "give the OVMF file that the guest boots with",
    ),
    Code.IMAGE_MALFORMED: Guidance(
        "format",
        "A file of an enclave image cannot be read.",
        "build the image again with `sealtune image build`",
    ),
    Code.IMAGE_MISMATCH: Guidance(
        "verification",
        "A file of an enclave image is not the one that its image.json names.",
        "copy the image again as a whole, or build it again",
    ),
    Code.BUILD_FAILED: Guidance(
        "storage",
        "A tool that builds an enclave image stopped with an error.",
        "see the message, mend that, and run the same command again",
    ),
    Code.TOOL_MISSING: Guidance(
        "config",
        "A program that this command needs is not installed.",
        "install the package that the message names",
    ),
    Code.TOOL_TOO_OLD: Guidance(
        "config",
        "A program that this command needs is too old.",
        "install the version that the message names, or a newer one",
    ),
    Code.GUEST_SILENT: Guidance(
        "transport",
        "A virtual machine did not answer in its time.",
        "look at `sealtune doctor`; give it more time or memory, then run again",
    ),
    Code.GUEST_FAILED: Guidance(
        "transport",
        "A virtual machine ended without saying how its job went.",
        "run the same command again: the run resumes; if it stays, build the image again",
    ),
    Code.CHANNEL_MALFORMED: Guidance(
        "format",
        "A virtual machine and its launcher do not understand each other.",
        "use the launcher and the image of one version",
    ),
    Code.OUTPUT_DISK_MALFORMED: Guidance(
        "format",
        "The output disk of a virtual machine cannot be read.",
        "give the run a new output folder; sealed files that were copied before stay good",
    ),
    Code.TEE_UNAVAILABLE: Guidance(
        "config",
        "The TEE or sandbox that was asked for does not work here.",
        "check the machine's firmware settings and the permissions of its device",
    ),
    Code.ATTESTER_FAILED: Guidance(
        "transport",
        "The TEE's own interface refused to make evidence.",
        "see `sealtune doctor`; try again, and look at the kernel log",
    ),
    Code.ATTESTER_RACED: Guidance(
        "transport",
        "Somebody else used the TEE's interface at the same time, again and again.",
        "stop other programs that attest, then try again",
    ),
    Code.LAUNCH_FAILED: Guidance(
        "failure",
        "The worker could not be started.",
        "check the message; then run the same command again",
    ),
    Code.MESSAGE_MALFORMED: Guidance(
        "format",
        "A message between worker, launcher and broker has another form.",
        "use the same version of sealtune on both sides",
    ),
    Code.MESSAGE_STATE: Guidance("failure", "A message came out of turn.", "start the run again"),
    Code.CHALLENGE_UNKNOWN: Guidance(
        "verification",
        "The challenge was never given out, was used already, or is too old.",
        "start the run again, and see that it reaches the broker without long delays",
    ),
    Code.BROKER_IDENTITY: Guidance(
        "verification",
        "An answer was not signed by the broker that the contract names.",
        "check the broker's address; somebody may be impersonating it",
    ),
    Code.BROKER_UNREACHABLE: Guidance(
        "transport",
        "A broker could not be reached, or did not answer in time.",
        "see that the broker runs and that its address is right; then run the same command again",
    ),
    Code.BROKER_ANSWER: Guidance(
        "format",
        "A broker's answer cannot be understood.",
        "use the same version of sealtune on both sides",
    ),
    Code.RATE_LIMITED: Guidance(
        "transport", "Too many requests in a short time.", "wait a minute and try again"
    ),
    Code.CONTRACT_UNKNOWN: Guidance(
        "release",
        "The broker has not this contract.",
        "have its owner run `sealtune broker add-contract` with the signed contract",
    ),
    Code.KEY_UNKNOWN: Guidance(
        "release",
        "The broker has not the key of a bundle.",
        "have its owner run `sealtune broker add-key` with the bundle",
    ),
    Code.NOT_AUTHORIZED: Guidance(
        "release",
        "Only the broker's owner may do this.",
        "hand it to the broker of its own owner (`broker init --owner` said whose a broker is)",
    ),
    Code.DENIED_CONTRACT: Guidance(
        "release",
        "The broker releases nothing under this contract.",
        "use a contract that all its parties signed and the broker's owner registered",
    ),
    Code.DENIED_VALIDITY: Guidance(
        "release", "At the broker the contract is not valid now.", _AGREE
    ),
    Code.DENIED_BUNDLE: Guidance(
        "release", "A key was asked for whose bundle the contract does not name.", _AGREE
    ),
    Code.DENIED_OWNER: Guidance(
        "release",
        "A bundle does not belong to the owner of this broker.",
        "ask the broker of the bundle's owner",
    ),
    Code.DENIED_DEIDENTIFICATION: Guidance(
        "release",
        "A dataset's de-identification report is missing or weaker than the contract asks.",
        "de-identify the records as the contract asks and seal them with the report",
    ),
    Code.DENIED_RUNS: Guidance(
        "release", "All runs that the contract allows have started.", _AGREE
    ),
    Code.DENIED_RESUMES: Guidance(
        "release",
        "This run has been resumed as often as the contract allows.",
        "start a new run in a new output folder, if the contract has one left",
    ),
    Code.DENIED_RUN_CLOSED: Guidance(
        "release",
        "This run has reported its receipt and is closed.",
        "its result is in its output folder; start a new run in another folder",
    ),
    Code.DENIED_INSECURE: Guidance(
        "release",
        "The broker releases nothing to simulated enclaves, whatever the contract says.",
        "use real hardware; for a trial, start the broker with --insecure-accept-simulated",
    ),
    Code.ANCHOR_ROLLBACK: Guidance(
        "release",
        "An older training checkpoint than the newest one was reported.",
        "start a new run; somebody put old files back",
    ),
    Code.LOG_BROKEN: Guidance(
        "format, verification", "An entry of the decision log was changed.", _STOP
    ),
    Code.LOG_FORKED: Guidance("verification", "The decision log was shown in two versions.", _STOP),
    Code.LOG_CUT: Guidance("verification", "Entries are missing from the decision log.", _STOP),
    Code.STORE_DAMAGED: Guidance(
        "storage",
        "The broker's store is damaged or does not fit its key file.",
        "restore the broker's folder, database and key file together, from a backup",
    ),
    Code.RECIPE_UNSUPPORTED: Guidance(
        "training", "The engine cannot train by this recipe.", "mend the recipe; " + _AGREE
    ),
    Code.MODEL_UNSUPPORTED: Guidance(
        "format, training, config",
        "The engine cannot train this architecture, or the folder of `[ner]` holds code.",
        "seal a model of a supported architecture (docs/limitations.md); without code",
    ),
    Code.TOKENIZER_MALFORMED: Guidance(
        "format",
        "The model's tokenizer files are damaged or missing.",
        "save the model with its fast tokenizer (tokenizer.json) and seal it again",
    ),
    Code.LOSS_NOT_FINITE: Guidance(
        "training",
        "The loss became NaN or infinite: the training diverged.",
        "agree on a recipe with a lower learning rate or fp32 precision",
    ),
    Code.NOTHING_TO_TRAIN: Guidance(
        "training",
        "No record or no parameter is left to train on.",
        "check the data, the evaluation fraction and the LoRA targets",
    ),
    Code.NARROWING_TOO_COARSE: Guidance(
        "training",
        "Frozen matrices in 8 bits change the loss of the first step by more than 0.5 %.",
        "agree on a recipe with frozen_int8 false: streaming needs less memory still",
    ),
    Code.MEMORY_TOO_SMALL: Guidance(
        "training",
        "The run needs more memory than there is, however it is computed.",
        "give the enclave more memory (sealtune plan says how much)",
    ),
    Code.CHECKPOINT_ROLLBACK: Guidance(
        "verification", "An older training checkpoint than the newest one was put back.", _RESTORE
    ),
    Code.CHECKPOINT_FOREIGN: Guidance(
        "training",
        "A training checkpoint is of another run.",
        "run in the output folder in which the run began",
    ),
    Code.CHECKPOINT_MISSING: Guidance(
        "storage",
        "The brokers know of a training checkpoint that is not in the output folder.",
        _RESTORE,
    ),
    Code.OUTPUT_REFUSED: Guidance(
        "verification", "The result breaks a limit of the contract, so it did not leave.", _AGREE
    ),
    Code.WORKER_FAILED: Guidance(
        "failure",
        "The worker stopped without saying why (killed, or out of memory).",
        "run the same command again: it resumes from the last sealed training checkpoint",
    ),
    Code.MEMORY_EXCEEDED: Guidance(
        "failure, training",
        "The worker needed more memory than it may use.",
        "raise the limit, or agree on a smaller batch or a shorter length",
    ),
    Code.BENCH_FAILED: Guidance(
        "training",
        "A run of a benchmark stopped, or did not train on what it was given.",
        "read the log that the message names",
    ),
    Code.INTERNAL: Guidance(
        "failure",
        "A defect of sealtune.",
        "report it, after reading that the report holds nothing private",
    ),
    Code.RECEIPT_MALFORMED: Guidance(
        "format", "Not a receipt of this version.", "give the receipt.json of a run, unchanged"
    ),
    Code.RECEIPT_BINDING: Guidance(
        "verification",
        "The receipt is not bound by its hardware evidence.",
        "do not trust the receipt or the result that came with it",
    ),
    Code.RECEIPT_CONTRACT: Guidance(
        "verification",
        "The receipt is of another contract.",
        "give the contract that the run was made under",
    ),
    Code.RECEIPT_OUTPUT: Guidance(
        "verification",
        "The receipt does not name this output.",
        "give the result that came with the receipt; do not trust the other one",
    ),
    Code.CONFIG_INVALID: Guidance(
        "config, failure, format",
        "An argument, name or setting cannot work.",
        "change what the message names",
    ),
    Code.IDENTITY_MISSING: Guidance(
        "config",
        "A key file or public key that the command needs is not given.",
        "give the identity's file, or make one with `sealtune key create`",
    ),
}
