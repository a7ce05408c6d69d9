"""Every parser of foreign bytes, with honest input for it and the hardest that we could think of.

`seeds` are what mutations start from; `hardest` are built to cost as much as the limits allow.
Nothing here is a vendor's data.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import struct
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import fuzz_hardest as hardest
import fuzz_world as world
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fuzz_answers import answers, fetching
from fuzz_evidence import examination, verification

from sealtune.attestation.azure_hcl import (
    HCL_BYTES_MAX,
    HardwareType,
    open_runtime_claims,
    parse_hcl_report,
)
from sealtune.attestation.dcap_endorsements import DCAP_BYTES_MAX, compose_dcap, parse_dcap
from sealtune.attestation.dcap_quote import parse_quote
from sealtune.attestation.dcap_tcb import (
    TCB_DOCUMENT_BYTES_MAX,
    parse_qe_identity,
    parse_tcb_info,
)
from sealtune.attestation.ear import Ear, EarAppraisal, verify_ear
from sealtune.attestation.ear_vector import Aspect, EarStatus
from sealtune.attestation.endorsements import EndorsementType
from sealtune.attestation.event_log import Bank, read_event_log, replay
from sealtune.attestation.evidence import EvidenceKind, evidence_from_dict
from sealtune.attestation.forms.endorsement_files import read_endorsements
from sealtune.attestation.forms.read import read_evidence
from sealtune.attestation.nitro_document import parse_nitro_document
from sealtune.attestation.nvidia_eat import eat_tokens, refuse_tokens
from sealtune.attestation.nvidia_spdm import (
    DRIVER,
    SPDM_BYTES_MAX,
    VBIOS,
    parse_spdm_report,
    vbios_version,
)
from sealtune.attestation.rim import parse_rim
from sealtune.attestation.rim_xml import XML_BYTES_MAX
from sealtune.attestation.snp_cert_table import (
    CERT_TABLE_BYTES_MAX,
    parse_cert_table,
    report_of_response,
)
from sealtune.attestation.snp_launch.firmware import parse_firmware
from sealtune.attestation.snp_launch.inputs import launch_inputs_from_dict
from sealtune.attestation.snp_report import parse_snp_report
from sealtune.attestation.tpm_public import parse_tpm2b_public, parse_tpmt_public
from sealtune.attestation.tpm_quote import open_pcrs, parse_tpm_quote
from sealtune.attestation.tpm_signature import parse_tpm_signature, raw_rsassa
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.broker.endorsements.bundle import open_bundle
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.nvidia import RIM_ANSWER_BYTES_MAX
from sealtune.broker.endorsements.records import item_from_dict, item_to_dict
from sealtune.contract.policy import Policy, parse_policy
from sealtune.contract.policy_text import policy_toml
from sealtune.contract.presets import PRESETS, preset
from sealtune.contract.reference_values import (
    REFERENCE_VALUES_BYTES_MAX,
    ReferenceEntry,
    ReferenceValues,
    parse_reference_values,
    read_reference_values,
    sign_reference_values,
)
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import (
    CERTIFICATE_BYTES_MAX,
    CHAIN_CERTIFICATES_MAX,
    CONTRACT_BYTES_MAX,
    ENDORSEMENT_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    EVENT_LOG_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    FOREIGN_EVIDENCE_BYTES_MAX,
    KIB,
    QUOTE_BYTES_MAX,
)
from sealtune.crypto.crl import CRL_BYTES_MAX, parse_crl
from sealtune.crypto.dsse import parse_envelope, sign_envelope
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.jwt import TOKEN_BYTES_MAX, sign_jwt, verify_jwt
from sealtune.crypto.ocsp import OCSP_BYTES_MAX, parse_ocsp
from sealtune.crypto.signing import SigningKey
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate
from sealtune.errors import SealtuneError
from sealtune.image.authenticode import authenticode
from sealtune.image.measure_sgx import SIGSTRUCT_BYTES, parse_sigstruct

Case = Callable[[bytes], Callable[[], object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser: `case` makes of input the call that is measured.

    `bytes_max` is the parser's own bound, None where its caller has it.
    """

    name: str
    case: Case
    seeds: Callable[[], Iterable[bytes]]
    hardest: Callable[[], Iterable[bytes]]
    bytes_max: int

    @property
    def max_len(self) -> int:
        """The longest input: a bit more than the parser takes, so that its bound is met too."""
        return self.bytes_max + self.bytes_max // 16 + 64


def _call(parse: Callable[[bytes], object]) -> Case:
    return lambda data: partial(parse, data)


def _each(*parsers: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Return a function that gives its input to each of `parsers`, whatever the others say.

    It raises what the first said if all refuse.
    """

    def parse(data: bytes) -> None:
        refusals: list[SealtuneError] = []
        for parser in parsers:
            try:
                parser(data)
            except SealtuneError as refusal:
                refusals.append(refusal)
        if len(refusals) == len(parsers):
            raise refusals[0]

    return parse


# -- what is more than one call --------------------------------------------------------------------


def _parse_dcap(data: bytes) -> None:
    parsed = parse_dcap(data)
    _ = parsed.since, parsed.until, parsed.oldest_issue, str(parsed)


_SPLIT = b"\n====\n"


def _compose(data: bytes) -> None:
    parts = data.split(_SPLIT, 6)
    names = (
        "tcb_info",
        "tcb_info_issuer_chain",
        "qe_identity",
        "qe_identity_issuer_chain",
        "pck_crl",
        "pck_crl_issuer_chain",
        "root_ca_crl",
    )
    compose_dcap(**dict(zip(names, (*parts, *[b""] * (7 - len(parts))), strict=True)))


def _compose_seeds() -> Iterable[bytes]:
    mock = world.intel()
    signing = world.mock_intel.pem(mock.tcb_signing, mock.root_certificate).encode()
    for quote in (world.TD_QUOTE, world.SGX_QUOTE):
        ca = quote.pck.ca
        authority = mock.authority(ca.common_name, mock.ca_keys[ca])
        yield _SPLIT.join(
            (
                mock.signed_body("tcbInfo", mock.tcb_info(quote.pck, is_td=quote.is_td)),
                signing,
                mock.signed_body("enclaveIdentity", mock.qe_identity(is_td=quote.is_td)),
                signing,
                mock.crl(ca.common_name),
                world.mock_intel.pem(authority, mock.root_certificate).encode(),
                mock.crl(world.mock_intel.ROOT_NAME),
            )
        )


def _replay(data: bytes) -> None:
    log = read_event_log(data)
    for bank in log.banks:
        replay(log, bank=bank)


def _tpm_quote(data: bytes) -> None:
    quote = parse_tpm_quote(data)
    quote.to_fields()
    pcrs = open_pcrs(quote, bytes(64 * 24), hashed_with=TpmHash.SHA256)
    _ = pcrs.registers, pcrs.measurement


def _tpm_public(data: bytes) -> None:
    _ = parse_tpmt_public(data).is_attestation_key


def _hcl(data: bytes) -> None:
    kind = HardwareType.TDX if data[1224:1225] == b"\4" else HardwareType.SNP
    report = parse_hcl_report(data, hardware_type=kind)
    # The claims are read only if the hardware binds them, as it does here.
    claims = open_runtime_claims(report, report_data=world.mock_tpm_bind(report.runtime))
    claims.setting("secure-boot")


def _claims(data: bytes) -> None:
    _hcl(world.hcl_of(data))


def _nitro(data: bytes) -> None:
    document = parse_nitro_document(data)
    _ = document.time, document.debug


def _spdm(data: bytes) -> None:
    report = parse_spdm_report(data)
    report.text(DRIVER)
    for is_switch in (False, True):
        with contextlib.suppress(SealtuneError):
            vbios_version(report.opaque.get(VBIOS, b""), is_switch=is_switch)


def _eat(data: bytes) -> None:
    refuse_tokens(eat_tokens(_json(data)))


def _json(data: bytes) -> object:
    return parse_json(data, limit=len(data), what="input")


def _certificate(data: bytes) -> None:
    found = parse_certificate(data)
    _ = found.constraints, found.key_usage, found.extended_key_usage, found.digest


def _read_endorsements(data: bytes) -> None:
    files = [(str(index), part) for index, part in enumerate(data.split(_SPLIT, 7))]
    read_endorsements(files, chain=())


_TOKEN_KEY = P256Key.generate()


def _jwt(data: bytes) -> None:
    _each(*(_verify_jwt(algorithm) for algorithm in ("ES256", "ES384")))(data)


def _verify_jwt(algorithm: Any) -> Callable[[bytes], object]:
    return lambda data: verify_jwt(
        data.decode("latin-1"), spki=_TOKEN_KEY.spki, algorithm=algorithm
    )


def _token(data: bytes) -> Callable[[], object]:
    """Return the verification of `data` as a token, and as the claims of one that is signed."""
    token = partial(verify_jwt, _signed(data), spki=_TOKEN_KEY.spki, algorithm="ES256")
    return partial(_each(_jwt, lambda _: token()), data)


def _signed(data: bytes) -> str:
    head = world.b64encode(b'{"alg":"ES256"}')
    signed = f"{head}.{world.b64encode(data)}"
    r, s = _TOKEN_KEY.sign(signed.encode())
    return f"{signed}.{world.b64encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _bundle(data: bytes) -> None:
    open_bundle(data, trusted_key=world.BUNDLE_KEY.public, now=world.NOW)


def _payload(data: bytes) -> Callable[[], object]:
    """Return the opening of a bundle that is signed, with any payload."""
    kind = json.loads(world.bundle())["payloadType"]
    envelope = sign_envelope(data, payload_type=kind, keys=[world.BUNDLE_KEY])
    return partial(_bundle, envelope.to_json())


def _stored(data: bytes) -> Callable[[], object]:
    """Return the reading of `data` as what it resembles: a bundle, its payload, a cache's file."""
    if b'"payloadType"' in data:
        return partial(_bundle, data)
    if b'"items"' in data:
        return _payload(data)
    if b'"checksum"' in data:
        return _cached(data)
    return partial(_json_case(item_from_dict), data)


def _store_seeds() -> Iterable[bytes]:
    yield world.bundle()
    yield base64.b64decode(json.loads(world.bundle())["payload"])
    yield from map(_dumps, map(item_to_dict, world.items()))
    yield _cache_seed()


def _cached(data: bytes) -> Callable[[], object]:
    """Return the reading of a cache's folder whose only file is `data`, under a good name."""
    cache, path = _cache()
    path.write_bytes(data)
    cache._last = None  # whoever reads a second time within one tick is served from memory
    return cache.read


@world.cache
def _cache() -> tuple[EndorsementCache, Path]:
    folder = Path(tempfile.mkdtemp(prefix="sealtune-fuzz-"))
    cache = EndorsementCache(folder)
    cache.put(world.items()[:1], now=world.NOW)
    (path,) = folder.glob("*.json")
    return cache, path


def _cache_seed() -> bytes:
    cache, path = _cache()
    cache.put(world.items()[:1], now=world.NOW)
    return path.read_bytes()


def _token_seeds() -> Iterable[bytes]:
    yield from (token.encode() for token in _tokens())
    yield b"{}"
    yield b'{"exp":1,"a":[1.5,null,true,"\\u00e4"]}'


def _ears() -> Iterable[bytes]:
    """Yield the claims of a result, whose profile and names are those of `attestation.ear`."""
    appraisal = EarAppraisal(
        status=EarStatus.AFFIRMING,
        vector=dict.fromkeys(Aspect, 2),
        policy_id="policy",
        evidence={"a": 1},
        claims={"vendor": "INSECURE mock"},
        rules=({"rule": "debug", "passed": True},),
    )
    for expires in (None, world.NOW + timedelta(hours=1)):
        ear = Ear(
            build="sealtune",
            issued_at=world.NOW,
            expires_at=expires,
            insecure=False,
            submodules={"cpu0": appraisal, "nvgpu0": appraisal},
        )
        yield _dumps(ear.to_dict())


def _tokens() -> Iterable[str]:
    for claims in ({}, {"exp": 1, "submods": {"GPU-0": ["DIGEST", ["SHA-256", "00"]]}}):
        yield sign_jwt(claims, key=_TOKEN_KEY, header={"typ": "JWT", "kid": "a"})
    unsigned = world.b64encode(b'{"alg":"none"}')
    yield f"{unsigned}.{world.b64encode(b'{}')}."


def _all_certificates() -> Iterable[bytes]:
    for base in world.bases().values():
        for one in (base.evidence, *base.evidence.devices):
            yield from one.certificates
    yield from world.intel().pck_chain(world.TD_QUOTE.pck)


def _all_crls() -> Iterable[bytes]:
    yield world.amd().revocation_list(7, 8)
    yield world.intel().crl(world.mock_intel.ROOT_NAME, revoked=(5, 6))
    yield world.tpm().crl(*world.tpm().ak_chain())


def _all_dcap() -> tuple[bytes, ...]:
    return tuple(
        world.intel().endorsement(quote)
        for quote in (world.TD_QUOTE, world.TD15_QUOTE, world.SGX_QUOTE)
    )


def _dcap_seeds() -> Iterable[bytes]:
    yield from _all_dcap()
    yield from _compose_seeds()


def _ocsp_answers() -> Iterable[bytes]:
    return world.nvidia_endorsements().of(EndorsementType.OCSP)


def _tcb_documents() -> Iterable[bytes]:
    for text in _all_dcap():
        value = json.loads(text)
        yield value["tcb_info"].encode()
        yield value["qe_identity"].encode()


def _rims() -> tuple[bytes, ...]:
    return world.nvidia_endorsements().of(EndorsementType.NVIDIA_RIM)


def _evidence_forms() -> Iterable[bytes]:
    """Yield evidence as tools write it: ours, theirs, raw and in text."""
    for base in world.bases().values():
        own = base.evidence
        yield json.dumps(own.to_dict()).encode()
        yield own.report
        yield base64.b64encode(own.report)
        yield own.report.hex().encode()
    yield from map(_dumps, world.foreign_forms())


def _dumps(value: object) -> bytes:
    return json.dumps(value).encode()


def _endorsement_files() -> Iterable[bytes]:
    yield from _all_dcap()
    yield from _rims()
    yield from _all_crls()
    yield from _compose_seeds()
    yield world.nvidia_endorsements().of(EndorsementType.OCSP)[0]
    yield "".join(map(world.mock_intel.pem, _all_certificates())).encode()
    yield _dumps({"id": "x", "rim": base64.b64encode(_rims()[0]).decode(), "sha256": "00"})
    yield _SPLIT.join(
        (
            *(part for part in next(iter(_compose_seeds())).split(_SPLIT)),
            next(iter(_all_certificates())),
        )
    )


def _policies() -> Iterable[bytes]:
    """Yield the presets as files; a file needs measurements."""
    for name in PRESETS:
        kinds = {EvidenceKind.SGX: "00" * 32, EvidenceKind.AZURE_SNP: "00" * 48}
        enclaves = tuple(
            enclave.model_copy(update={"measurements": (kinds.get(enclave.kind, "00" * 48),)})
            for enclave in preset(name).enclaves
        )
        for chosen in (enclaves, *((enclave,) for enclave in enclaves)):
            policy = Policy(name=name, enclaves=chosen, any_measurement=False)
            yield policy_toml(policy).encode()


def _scripts() -> Iterable[bytes]:
    """Yield changes for `verification`: none, and one of each sort in each place, for each base."""
    for base in range(len(world.bases())):
        for where in range(4):
            yield bytes((base, where))
            yield from (bytes((base, where, 0, 0, what, 40, 0, 3)) for what in range(9))
            yield bytes((base, where, 0, 0, 0, 40, 0, 0x80))


def _none() -> Iterable[bytes]:
    return ()


def _reports() -> Iterable[bytes]:
    yield world.bases()["sev-snp"].evidence.report


def _quotes() -> Iterable[bytes]:
    yield from (world.bases()[name].evidence.report for name in ("tdx", "tdx-1.5", "sgx"))


def _spdm_reports() -> Iterable[bytes]:
    yield from (world.bases()[name].evidence.report for name in ("nvidia-gpu", "nvidia-switch"))


def _target(
    name: str,
    parse: Callable[[bytes], object],
    seeds: Callable[[], Iterable[bytes]],
    bytes_max: int,
    *,
    hard: Callable[[], Iterable[bytes]] = _none,
) -> Target:
    return Target(name=name, case=_call(parse), seeds=seeds, hardest=hard, bytes_max=bytes_max)


def _json_case(read: Callable[[object], object]) -> Callable[[bytes], object]:
    return lambda data: read(_json(data))


def _kernels() -> Iterable[bytes]:
    """Yield a PE image of two sections, unsigned and signed."""
    for certificates in (b"", b"C" * 16):
        head = bytearray(0x200)
        head[0:2], head[0x3C:0x40] = b"MZ", (0x40).to_bytes(4, "little")
        head[0x40:0x44] = b"PE\0\0"
        struct.pack_into("<HHIIIHH", head, 0x44, 0x8664, 2, 0, 0, 0, 112 + 6 * 8, 0x206)
        struct.pack_into("<H", head, 0x58, 0x20B)
        struct.pack_into("<I", head, 0x58 + 60, len(head))
        struct.pack_into("<I", head, 0x58 + 108, 6)
        if certificates:
            struct.pack_into("<II", head, 0x58 + 112 + 32, 0x600, len(certificates))
        for index in range(2):
            place = 0x58 + 112 + 6 * 8 + 40 * index + 16
            struct.pack_into("<II", head, place, 0x200, 0x200 * (1 + index))
        yield bytes(head) + b"T" * 0x200 + b"D" * 0x200 + certificates


@functools.cache
def _sigstruct() -> bytes:
    """Return a SIGSTRUCT as Gramine's signer writes it."""
    key = rsa.generate_private_key(public_exponent=3, key_size=3072)
    data = bytearray(SIGSTRUCT_BYTES)
    data[0:16] = bytes.fromhex("06000000e10000000000010000000000")
    data[24:40] = bytes.fromhex("01010000600000006000000001000000")
    data[128:512] = key.public_key().public_numbers().n.to_bytes(384, "little")
    data[512:516] = (3).to_bytes(4, "little")
    signature = key.sign(data[:128] + data[900:1028], padding.PKCS1v15(), hashes.SHA256())
    data[516:900] = signature[::-1]
    return bytes(data)


def _reference_values() -> Iterable[bytes]:
    """Yield reference values as they are signed, and in their envelope."""
    entry = ReferenceEntry(
        kind=EvidenceKind.TPM_VM,
        measurements=(),
        registers={"pcr4": ("ab" * 32,), "pcr9": ("cd" * 32,)},
        note="firmware edk2",
    )
    snp = ReferenceEntry(
        kind=EvidenceKind.SEV_SNP, measurements=("ef" * 48,), registers={}, note=""
    )
    values = ReferenceValues(image=sha256_digest(b""), entries={"tpm-vm": entry, "sev-snp": snp})
    yield canonical_json(values.to_dict())
    yield sign_reference_values(values, key=SigningKey.generate())


TARGETS: tuple[Target, ...] = (
    _target(
        "read-evidence",
        partial(read_evidence, kind=None, what="input"),
        _evidence_forms,
        FOREIGN_EVIDENCE_BYTES_MAX,
        hard=hardest.foreign_evidence,
    ),
    _target(
        "read-endorsements",
        _read_endorsements,
        _endorsement_files,
        ENDORSEMENT_BYTES_MAX,
        hard=hardest.endorsement_files,
    ),
    _target(
        "policy",
        partial(parse_policy, what="input"),
        _policies,
        CONTRACT_BYTES_MAX,
        hard=hardest.policies,
    ),
    Target(
        name="verify",
        case=verification,
        seeds=_scripts,
        hardest=_none,
        bytes_max=4 * KIB,
    ),
    Target(
        name="examine",
        case=examination,
        seeds=_scripts,
        hardest=_none,
        bytes_max=4 * KIB,
    ),
    _target("rim", parse_rim, _rims, XML_BYTES_MAX, hard=hardest.xml),
    _target("dcap-quote", parse_quote, _quotes, QUOTE_BYTES_MAX),
    _target(
        "dcap-set",
        _each(_parse_dcap, _compose),
        _dcap_seeds,
        DCAP_BYTES_MAX,
        hard=hardest.dcap_sets,
    ),
    _target(
        "dcap-tcb",
        _each(parse_tcb_info, parse_qe_identity),
        _tcb_documents,
        TCB_DOCUMENT_BYTES_MAX,
        hard=hardest.tcb_documents,
    ),
    _target("event-log", _replay, world.event_logs, EVENT_LOG_BYTES_MAX, hard=hardest.event_logs),
    _target("nitro", _nitro, world.nitro_documents, QUOTE_BYTES_MAX, hard=hardest.cbor),
    _target(
        "azure-hcl", _each(_hcl, _claims), world.hcl_reports, HCL_BYTES_MAX, hard=hardest.claims
    ),
    _target("crl", parse_crl, _all_crls, CRL_BYTES_MAX, hard=hardest.crls),
    _target("ocsp", parse_ocsp, _ocsp_answers, OCSP_BYTES_MAX, hard=hardest.ocsp_answers),
    _target(
        "x509",
        _each(_certificate, certificates_from_pem),
        _all_certificates,
        2 * CHAIN_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX,
        hard=hardest.certificates,
    ),
    Target(
        name="service-answers",
        case=fetching,
        seeds=answers,
        hardest=hardest.answers,
        bytes_max=RIM_ANSWER_BYTES_MAX,
    ),
    Target(
        name="endorsement-store",
        case=_stored,
        seeds=_store_seeds,
        hardest=hardest.records,
        bytes_max=256 * KIB,
    ),
    Target(
        name="jwt",
        case=_token,
        seeds=_token_seeds,
        hardest=hardest.tokens,
        bytes_max=TOKEN_BYTES_MAX,
    ),
    Target(
        name="ear",
        case=lambda data: partial(verify_ear, _signed(data), spki=_TOKEN_KEY.spki, now=world.NOW),
        seeds=_ears,
        hardest=hardest.tokens,
        bytes_max=TOKEN_BYTES_MAX // 4 * 3,
    ),
    _target(
        "dsse", parse_envelope, lambda: (world.bundle(),), ENVELOPE_BYTES_MAX, hard=hardest.dsse
    ),
    _target("nvidia-spdm", _spdm, _spdm_reports, SPDM_BYTES_MAX),
    _target("nvidia-eat", _eat, world.eats, TOKEN_BYTES_MAX, hard=hardest.tokens),
    _target(
        "tpm",
        _each(_tpm_quote, parse_tpm_signature, raw_rsassa, parse_tpm2b_public, _tpm_public),
        world.tpm_structures,
        2 * KIB,
    ),
    _target(
        "ovmf",
        _each(parse_firmware, _json_case(launch_inputs_from_dict)),
        lambda: (*world.firmware(), *world.launch_inputs()),
        64 * KIB,
    ),
    _target(
        "evidence-json",
        _json_case(evidence_from_dict),
        lambda: (_dumps(base.evidence.to_dict()) for base in world.bases().values()),
        EVIDENCE_BYTES_MAX // 3 * 4,
        hard=hardest.own_json,
    ),
    _target(
        "snp-cert-table",
        _each(parse_cert_table, report_of_response),
        world.cert_tables,
        CERT_TABLE_BYTES_MAX,
        hard=hardest.cert_tables,
    ),
    _target("snp-report", parse_snp_report, _reports, 2 * KIB),
    _target("kernel", partial(authenticode, bank=Bank.SHA256), _kernels, 4 * KIB),
    _target("sigstruct", parse_sigstruct, lambda: (_sigstruct(),), SIGSTRUCT_BYTES),
    _target(
        "reference-values",
        _each(parse_reference_values, read_reference_values),
        _reference_values,
        REFERENCE_VALUES_BYTES_MAX,
        hard=hardest.own_json,
    ),
)
BY_NAME = {target.name: target for target in TARGETS}
