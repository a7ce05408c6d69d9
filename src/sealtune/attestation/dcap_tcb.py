"""Intel's judgement of platforms: TCB info, QE identity, and the level that applies (§11.5).

Source: Intel PCS API v4 (TCB info v3, enclave identity v2) and the level selection that it
describes. The documents are parsed here after their signature was verified; what a level means for
a contract is `dcap_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from sealtune.attestation.dcap_pck import PckFacts
from sealtune.attestation.dcap_quote import SgxReport, TdReport, Tee
from sealtune.core.canonical import parse_json
from sealtune.core.limits import KIB
from sealtune.errors import Code, FormatError, VerificationError

TCB_DOCUMENT_BYTES_MAX: Final = 64 * KIB  # 8x the largest TCB info that we know
_LEVELS_MAX = 64
_ADVISORIES_MAX = 256
_COMPONENTS = 16
_QE_IDS = {Tee.SGX: "QE", Tee.TDX: "TD_QE"}
_T = TypeVar("_T")


class TcbStatus(StrEnum):
    """Intel's words for how far a platform is patched and configured."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING = "SWHardeningNeeded"
    CONFIGURATION = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    # Never written in a document: the machine was patched under a running trust domain.
    TD_RELAUNCH = "TDRelaunchAdvised"
    TD_RELAUNCH_CONFIGURATION = "TDRelaunchAdvisedConfigurationNeeded"


_DERIVED = frozenset({TcbStatus.TD_RELAUNCH, TcbStatus.TD_RELAUNCH_CONFIGURATION})
# A module or quoting enclave is not configured or hardened, only patched or not.
_SOFTWARE_STATUSES = frozenset({TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.REVOKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What Intel says about one state of the TCB, since when and for which advisories."""

    status: TcbStatus
    date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLevel:
    """A state of a platform: at least these components and this PCE; `tdx` is empty for SGX."""

    sgx: tuple[int, ...]
    tdx: tuple[int, ...]
    pce_svn: int
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class IsvLevel:
    """A state of one module or enclave: at least this version."""

    isv_svn: int
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleIdentity:
    """A TDX module; `name` is None for the one of TDX 1.0, whose levels are the platform's."""

    name: str | None
    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes
    levels: tuple[IsvLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """When Intel said something and until when it stands, both ends included."""

    issued: datetime
    next_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """What Intel says about all platforms of one FMSPC."""

    tee: Tee
    validity: Validity
    fmspc: bytes
    pce_id: bytes
    evaluation: int
    modules: tuple[ModuleIdentity, ...]
    levels: tuple[PlatformLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """Which quoting enclaves Intel stands behind."""

    tee: Tee
    validity: Validity
    evaluation: int
    misc_select: int
    misc_select_mask: int
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[IsvLevel, ...]


# -- reading ---------------------------------------------------------------------------------------


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"DCAP endorsement: {reason}")


def parse_tcb_info(text: bytes) -> TcbInfo:
    """Return the TCB info that `text`, the signed JSON object, holds.

    Raises:
        FormatError: larger than 64 KiB, not such an object of version 3, or a word in it that is
            not known.
    """
    value = _Object(parse_json(text, limit=TCB_DOCUMENT_BYTES_MAX, what="TCB info"), "TCB info")
    tee = _tee(value, {str(tee): tee for tee in Tee})
    if value.integer("version") != 3:
        raise FormatError(Code.ENDORSEMENT_MALFORMED, "TCB info: version 3 is the one we know")
    return TcbInfo(
        tee=tee,
        validity=_validity(value),
        fmspc=value.octets("fmspc", size=6),
        pce_id=value.octets("pceId", size=2),
        evaluation=value.integer("tcbEvaluationDataNumber"),
        modules=_modules(value) if tee is Tee.TDX else (),
        levels=_each(value.listing("tcbLevels"), lambda item: _platform_level(item, tee)),
    )


def parse_qe_identity(text: bytes) -> QeIdentity:
    """Return the quoting enclave's identity that `text`, the signed JSON object, holds.

    Raises:
        FormatError: larger than 64 KiB, not such an object of version 2, or a word in it that is
            not known.
    """
    value = _Object(
        parse_json(text, limit=TCB_DOCUMENT_BYTES_MAX, what="QE identity"), "QE identity"
    )
    tee = _tee(value, {name: tee for tee, name in _QE_IDS.items()})
    if value.integer("version") != 2:
        raise FormatError(Code.ENDORSEMENT_MALFORMED, "QE identity: version 2 is the one we know")
    return QeIdentity(
        tee=tee,
        validity=_validity(value),
        evaluation=value.integer("tcbEvaluationDataNumber"),
        # Unlike in a report, these stand in hexadecimal with the highest byte first.
        misc_select=int.from_bytes(value.octets("miscselect", size=4), "big"),
        misc_select_mask=int.from_bytes(value.octets("miscselectMask", size=4), "big"),
        attributes=value.octets("attributes", size=16),
        attributes_mask=value.octets("attributesMask", size=16),
        mr_signer=value.octets("mrsigner", size=32),
        isv_prod_id=value.integer("isvprodid"),
        levels=_each(value.listing("tcbLevels"), _isv_level),
    )


class _Object:
    """A JSON object whose members are read by type; unknown members are ignored.

    Intel adds members within a version, and the whole is signed.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise _malformed(f"{what} is no object")
        self._value: dict[str, Any] = value
        self._what = what

    def member(self, name: str) -> object:
        if name not in self._value:
            raise _malformed(f"{self._what} has no {name}")
        return self._value[name]

    def has(self, name: str) -> bool:
        return name in self._value

    def inner(self, name: str) -> _Object:
        return _Object(self.member(name), f"{self._what}.{name}")

    def text(self, name: str) -> str:
        value = self.member(name)
        if not isinstance(value, str):
            raise _malformed(f"{self._what}.{name} is no text")
        return value

    def integer(self, name: str) -> int:
        value = self.member(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _malformed(f"{self._what}.{name} is no number")
        return value

    def octets(self, name: str, *, size: int) -> bytes:
        text = self.text(name)
        try:
            octets = bytes.fromhex(text)
        except ValueError:
            raise _malformed(f"{self._what}.{name} is not hexadecimal") from None
        if len(octets) != size or len(text) != 2 * size:
            raise _malformed(f"{self._what}.{name} has no {size} bytes")
        return octets

    def moment(self, name: str) -> datetime:
        text = self.text(name)
        try:
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise _malformed(f"{self._what}.{name} is no UTC time") from None

    def listing(self, name: str) -> list[object]:
        value = self.member(name)
        if not isinstance(value, list) or len(value) > _LEVELS_MAX:
            raise _malformed(f"{self._what}.{name} is no list of at most {_LEVELS_MAX}")
        return value


def _each(items: Iterable[object], read: Callable[[_Object], _T]) -> tuple[_T, ...]:
    return tuple(read(_Object(item, "an item")) for item in items)


def _tee(value: _Object, names: dict[str, Tee]) -> Tee:
    tee = names.get(value.text("id"))
    if tee is None:
        raise _malformed(f"id {value.text('id')[:32]!r} is not known")
    return tee


def _validity(value: _Object) -> Validity:
    return Validity(issued=value.moment("issueDate"), next_update=value.moment("nextUpdate"))


def _level(value: _Object) -> Level:
    status = value.text("tcbStatus")
    if status not in set(TcbStatus) - _DERIVED:
        raise _malformed(f"TCB status {status[:32]!r} is not known")
    advisories = value.member("advisoryIDs") if value.has("advisoryIDs") else []
    if (
        not isinstance(advisories, list)
        or len(advisories) > _ADVISORIES_MAX
        or not all(isinstance(name, str) for name in advisories)
    ):
        raise _malformed("advisoryIDs are a list of texts")
    return Level(
        status=TcbStatus(status), date=value.moment("tcbDate"), advisories=tuple(advisories)
    )


def _platform_level(value: _Object, tee: Tee) -> PlatformLevel:
    tcb = value.inner("tcb")
    return PlatformLevel(
        sgx=_components(tcb, "sgxtcbcomponents"),
        tdx=_components(tcb, "tdxtcbcomponents") if tee is Tee.TDX else (),
        pce_svn=tcb.integer("pcesvn"),
        level=_level(value),
    )


def _components(tcb: _Object, name: str) -> tuple[int, ...]:
    components = _each(tcb.listing(name), lambda item: item.integer("svn"))
    if len(components) != _COMPONENTS:
        raise _malformed(f"{name} are {len(components)}, not {_COMPONENTS}")
    return components


def _isv_level(value: _Object) -> IsvLevel:
    level = _level(value)
    if level.status not in _SOFTWARE_STATUSES:
        raise _malformed(f"a module or enclave that is {level.status}")
    return IsvLevel(isv_svn=value.inner("tcb").integer("isvsvn"), level=level)


def _modules(value: _Object) -> tuple[ModuleIdentity, ...]:
    base = _module(value.inner("tdxModule"), name=None, levels=())
    if not value.has("tdxModuleIdentities"):
        return (base,)
    return (base, *_each(value.listing("tdxModuleIdentities"), _named_module))


def _named_module(value: _Object) -> ModuleIdentity:
    levels = _each(value.listing("tcbLevels"), _isv_level)
    return _module(value, name=value.text("id"), levels=levels)


def _module(value: _Object, *, name: str | None, levels: tuple[IsvLevel, ...]) -> ModuleIdentity:
    return ModuleIdentity(
        name=name,
        mr_signer=value.octets("mrsigner", size=48),
        attributes=value.octets("attributes", size=8),
        attributes_mask=value.octets("attributesMask", size=8),
        levels=levels,
    )


# -- matching --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Intel's verdict on one quote: the whole, and of what it is made.

    `platform` and `module` are as they were when the trust domain was launched, `current` is what
    both together are now, as far as the quote tells (TDX 1.5). `module` is None for SGX and for a
    TDX module 1.0, `current` where the quote does not tell.
    """

    status: TcbStatus
    advisories: tuple[str, ...]
    platform: Level
    module: Level | None
    qe: Level
    current: TcbStatus | None


def judge(
    tcb_info: TcbInfo,
    qe_identity: QeIdentity,
    *,
    pck: PckFacts,
    qe: SgxReport,
    td: TdReport | None,
) -> Judgement:
    """Return what Intel says about the platform, the TDX module and the quoting enclave of a quote.

    Raises:
        VerificationError: the quoting enclave is another than Intel's, or no level covers this
            platform, module or quoting enclave.
    """
    qe_level = _qe_level(qe_identity, qe)
    platform, module = _at_svn(tcb_info, pck, td, None if td is None else td.tee_tcb_svn)
    launch = merge_statuses(platform.status, module)
    status = merge_statuses(launch, qe_level)
    current = None
    if td is not None and td.tee_tcb_svn2 is not None:
        now_platform, now_module = _at_svn(tcb_info, pck, td, td.tee_tcb_svn2)
        current = merge_statuses(now_platform.status, now_module)
        if qe_level.status is TcbStatus.UP_TO_DATE:
            status = _relaunched(launch, current)
    levels = [level for level in (platform, module, qe_level) if level is not None]
    return Judgement(
        status=TcbStatus.REVOKED if current is TcbStatus.REVOKED else status,
        advisories=tuple(dict.fromkeys(name for level in levels for name in level.advisories)),
        platform=platform,
        module=module,
        qe=qe_level,
        current=current,
    )


def _at_svn(
    tcb_info: TcbInfo, pck: PckFacts, td: TdReport | None, svn: bytes | None
) -> tuple[Level, Level | None]:
    platform = _match_platform(tcb_info, pck, svn)
    return platform, None if td is None or svn is None else _module_level(tcb_info, td, svn)


def _no_level(what: str) -> VerificationError:
    return VerificationError(Code.EVIDENCE_TCB_LEVEL, f"quote: no TCB level covers {what}")


def _first(levels: Sequence[IsvLevel], svn: int, what: str) -> Level:
    # Intel lists the newest first: the first that is not above what is there applies.
    for candidate in levels:
        if svn >= candidate.isv_svn:
            return candidate.level
    raise _no_level(f"{what} of version {svn}")


def _masked(value: bytes, mask: bytes) -> bytes:
    return bytes(octet & bit for octet, bit in zip(value, mask, strict=True))


def _qe_level(identity: QeIdentity, qe: SgxReport) -> Level:
    # CVE-2026-22696: with this unchecked, any enclave on a genuine platform can sign quotes.
    differing = {
        "MRSIGNER": qe.mr_signer != identity.mr_signer,
        "ISVPRODID": qe.isv_prod_id != identity.isv_prod_id,
        "MISCSELECT": (qe.misc_select ^ identity.misc_select) & identity.misc_select_mask,
        "ATTRIBUTES": _masked(qe.attributes, identity.attributes_mask) != identity.attributes,
    }
    wrong = [name for name, differs in differing.items() if differs]
    if wrong:
        raise VerificationError(
            Code.EVIDENCE_QE, f"quote: the quoting enclave has another {', '.join(wrong)}"
        )
    return _first(identity.levels, qe.isv_svn, "a quoting enclave")


def _match_platform(tcb_info: TcbInfo, pck: PckFacts, svn: bytes | None) -> Level:
    for candidate in tcb_info.levels:
        if (
            pck.pce_svn >= candidate.pce_svn
            and _covers(pck.components, candidate.sgx)
            and (svn is None or _covers(*_tdx_components(svn, candidate)))
        ):
            return candidate.level
    raise _no_level("this platform")


def _tdx_components(svn: bytes, candidate: PlatformLevel) -> tuple[Sequence[int], Sequence[int]]:
    # From TDX 1.5 on the first two components are the module's version, which its own identity
    # judges; the platform's levels judge the rest.
    skip = 2 if svn[1] else 0
    return svn[skip:], candidate.tdx[skip:]


def _covers(found: Sequence[int], asked: Sequence[int]) -> bool:
    # By component: one comparison of the whole would let a newer first component hide an older
    # second.
    return all(have >= want for have, want in zip(found, asked, strict=True))


def _module_level(tcb_info: TcbInfo, td: TdReport, svn: bytes) -> Level | None:
    minor, major = svn[0], svn[1]
    name = f"TDX_{major:02X}" if major else None
    for module in tcb_info.modules:
        if (module.name.upper() if module.name else None) == name:
            break
    else:
        raise _no_level(f"a TDX module {name}")
    if td.mr_signer_seam != module.mr_signer or (
        _masked(td.seam_attributes, module.attributes_mask) != module.attributes
    ):
        raise VerificationError(
            Code.EVIDENCE_TCB_LEVEL, "quote: the TDX module is not one that Intel signed"
        )
    return _first(module.levels, minor, f"a TDX module {name}") if name else None


_OUTDATED = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION: TcbStatus.OUT_OF_DATE_CONFIGURATION,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING: TcbStatus.OUT_OF_DATE_CONFIGURATION,
}


def merge_statuses(whole: TcbStatus, software: Level | None) -> TcbStatus:
    """Return the status of `whole` together with a module or quoting enclave that runs on it.

    An outdated one makes the whole outdated, a revoked one revokes it.
    """
    if software is not None and software.status is TcbStatus.REVOKED:
        return TcbStatus.REVOKED
    if software is not None and software.status is TcbStatus.OUT_OF_DATE:
        return _OUTDATED.get(whole, whole)
    return whole


def _relaunched(launch: TcbStatus, current: TcbStatus) -> TcbStatus:
    # The machine has been patched since: what is measured into this trust domain still says the
    # old version, and launching it anew is all that is missing.
    outdated = (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION)
    if launch not in outdated or current not in _OUTDATED:
        return launch
    configured = (TcbStatus.UP_TO_DATE, TcbStatus.SW_HARDENING)
    if launch is TcbStatus.OUT_OF_DATE and current in configured:
        return TcbStatus.TD_RELAUNCH
    return TcbStatus.TD_RELAUNCH_CONFIGURATION
