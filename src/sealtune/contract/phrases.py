"""The plain words for changes of a contract, and which of them permit more.

Tables, mostly. A value of an unexpected type gets no words here, so that `diff` shows it as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sealtune.core.digest import sha256_digest

_SHOWN_MAX = 4_000  # 2x the longest purpose


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a change means, and whether it permits more."""

    words: str
    permits_more: bool


def shown(value: Any) -> str:
    """Return a value for people, without a character that a terminal would obey.

    What is too long to show ends in its digest, so that two values that differ look different.
    """
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    if not text.isprintable():
        text = ascii(text)
    if len(text) <= _SHOWN_MAX:
        return text
    return f"{text[:_SHOWN_MAX]}... ({sha256_digest(text.encode())})"


# Lists that permit: more elements permit more. (one element added, one taken away)
_LISTS: Final = {
    "outputs.recipients": ("{} will get the results too", "{} will no longer get the results"),
    "outputs.kinds": ("a result of kind {} may leave", "no result of kind {} may leave any more"),
    "inputs.*.deidentification.profiles": (
        "input {name} may be de-identified by {}",
        "input {name} may no longer be de-identified by {}",
    ),
    "telemetry.allowed": (
        "the operator will see {} while it runs",
        "the operator will no longer see {}",
    ),
    "receipt.metrics": ("the receipt will state {}", "the receipt will no longer state {}"),
    "receipt.counts": (
        "the receipt will state the count {}",
        "the receipt will no longer state the count {}",
    ),
    "enclaves.*.csp_ids": (
        "enclave {name} may run at the provider {} too",
        "enclave {name} may no longer run at the provider {}",
    ),
    "enclaves.*.measurements": (
        "enclave {name} may have the code {} too",
        "enclave {name} may no longer have the code {}",
    ),
    "enclaves.*.tcb_statuses": (
        "enclave {name} may run on platforms that Intel calls {}",
        "enclave {name} may no longer run on platforms that Intel calls {}",
    ),
    "enclaves.*.platform_flags": (
        "the platform of enclave {name} may have {}",
        "the platform of enclave {name} may no longer have {}",
    ),
    "enclaves.*.td_attributes": (
        "enclave {name} may be started with {}",
        "enclave {name} may no longer be started with {}",
    ),
    "enclaves.*.ak_digests": (
        "enclave {name} may use the attestation key {} too",
        "enclave {name} may no longer use the attestation key {}",
    ),
}
# Numbers and times that permit: what they bound, and whether a larger one permits more.
_BOUNDS: Final = {
    "max_runs": ("the number of runs", True),
    "max_resumes": ("how often a run may fetch keys again", True),
    "outputs.max_bytes": ("the most bytes that may leave", True),
    "validity.not_after": ("the end of the contract", True),
    "validity.not_before": ("the beginning of the contract", False),
    "inputs.*.deidentification.max_residual_per_10000": (
        "how many residual findings 10,000 records of input {name} may have",
        True,
    ),
    "inputs.*.deidentification.min_k": ("the lowest k of input {name}", False),
    "enclaves.*.minimum_evaluation": ("the lowest TCB evaluation that counts", False),
    "enclaves.*.minimum_isv_svn": ("the lowest version of the enclave", False),
    "enclaves.*.endorsements_max_age_days": ("how many days old Intel's documents may be", True),
}
# Switches: the words when it is turned on, when it is turned off, and whether on permits more.
_SWITCHES: Final = {
    "enclaves.*.contract_at_launch": (
        "enclave {name} must be launched for this contract",
        "enclave {name} need not be launched for this contract any more",
        False,
    ),
    "enclaves.*.require_crl": (
        "AMD's revocation list is required for enclave {name}",
        "AMD's revocation list is no longer required for enclave {name}",
        False,
    ),
    "enclaves.*.accept_certified_ak": (
        "enclave {name} may use any certified attestation key",
        "enclave {name} may no longer use any certified attestation key",
        True,
    ),
}
# Lists of those who may, of which an empty one means anybody: what they are of.
_ENROLMENTS: Final = {"enclaves.*.chip_ids": "chip", "enclaves.*.platform_ids": "platform"}
_SILENT_ROLES: Final = frozenset({"operator", "auditor"})
_COMPONENTS: Final = frozenset({"fmc", "bl", "tee", "snp", "ucode"})
# Lists that demand: more elements permit less.
_DEMANDS: Final = {
    "enclaves.*.required_policy": "the guest policy of enclave {name} need have",
    "enclaves.*.required_platform": "the platform of enclave {name} need have",
    "inputs.*.deidentification.detectors": "input {name} must have been read by the detectors",
    "enclaves.*.denied_advisories": "enclave {name} is refused where these advisories apply:",
}
_TEXTS: Final = {
    "name": "the contract is called otherwise: {old} becomes {new}",
    "purpose": "the purpose changes from {old} to {new}",
    "parties.*.roles": "the roles of {name} change from {old} to {new}",
    "parties.*.signing_key": "{name} signs with another key: compare its fingerprint",
    "parties.*.recipient_key": "what is for {name} is sealed to another key: compare it",
    "brokers.*.owner": "broker {name} belongs to {new}, no longer to {old}",
    "brokers.*.signing_key": "broker {name} signs with another key: compare its fingerprint",
    "brokers.*.recipient_key": "broker {name} has another recipient key: compare its fingerprint",
    "inputs.*.digest": "input {name} is another bundle: its content may be anything",
    "inputs.*.kind": "input {name} is a {new}, no longer a {old}",
    "inputs.*.owner": "input {name} is owned by {new}, no longer by {old}",
    "inputs.*.broker": "the key of input {name} is released by {new}, no longer by {old}",
    "recipe.model": "the model that is trained is {new}, no longer {old}",
    "recipe.datasets": "it is trained on {new}, no longer on {old}",
    "enclaves.*.kind": "enclave {name} is of kind {new}, no longer {old}",
    "enclaves.*.vmpl": "enclave {name} asks for its report at VMPL {new}, before: {old}",
    "enclaves.*.required_mitigations": "enclave {name} needs mitigations {new}, before: {old}",
    "enclaves.*.minimum_tee_tcb_svn": "enclave {name} needs a TDX module of {new}, before: {old}",
    "enclaves.*.isv_prod_id": "enclave {name} is product {new} of its signer, before: {old}",
    "enclaves.*.devices": "the devices of enclave {name} are {new}, before: {old}",
}


def added(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    """Return the words for a new entry of a table."""
    del old
    fields = new if isinstance(new, dict) else {}
    words = {
        "parties.*": f"a new party, {name}, takes part as {shown(fields.get('roles'))}",
        "brokers.*": f"a new broker, {name}, releases keys for {shown(fields.get('owner'))}",
        "inputs.*": f"another {shown(fields.get('kind'))}, {name}, goes in",
        "enclaves.*": f"another enclave, {name}, may run it{_insecurely(fields)}",
    }.get(pattern)
    if pattern == "inputs.*.deidentification":
        words = f"input {name} must be de-identified, with a report: {shown(new)}"
        return Verdict(words, permits_more=False)
    if words is None and (generation := _generation(pattern)):
        words = f"enclave {name} may run on {generation} too, from {shown(new)} up"
    if words is None and (register := _register(pattern)):
        words = f"enclave {name} must have {shown(new)} in its register {register}"
        return Verdict(words, permits_more=False)
    return Verdict(words, permits_more=True) if words else None


def removed(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    """Return the words for an entry that a table no longer has."""
    del new
    if pattern == "parties.*":
        return _party_removed(name, old)
    words = {
        "inputs.*": f"input {name} goes in no longer",
        "enclaves.*": f"enclave {name} may no longer run it",
    }.get(pattern)
    if pattern == "inputs.*.deidentification":
        words = f"input {name} need not be de-identified any more"
        return Verdict(words, permits_more=True)
    if words is None and (generation := _generation(pattern)):
        words = f"enclave {name} may no longer run on {generation}"
    if words is None and (register := _register(pattern)):
        words = f"enclave {name} may have anything in its register {register}"
        return Verdict(words, permits_more=True)
    return Verdict(words, permits_more=False) if words else None


def _party_removed(name: str, old: Any) -> Verdict:
    roles = old.get("roles") if isinstance(old, dict) else None
    if isinstance(roles, list) and roles and all(role in _SILENT_ROLES for role in roles):
        return Verdict(f"{name} takes no part any more", permits_more=False)
    # A party less that must sign is a consent less that the contract needs.
    return Verdict(f"{name} takes no part any more and need not agree", permits_more=True)


def changed(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    """Return the words for a value that becomes another."""
    describers = (
        _list,
        _values,
        _demand,
        _bound,
        _enrolment,
        _switch,
        _insecure,
        _root,
        _tcb,
        _text,
    )
    for describe in describers:
        verdict = describe(pattern, name, old, new)
        if verdict is not None:
            return verdict
    if pattern.startswith("recipe."):
        field = pattern.removeprefix("recipe.")
        words = f"the recipe's {field} changes from {shown(old)} to {shown(new)}"
        return Verdict(words, permits_more=True)
    return None


def _list(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern not in _LISTS or not (_texts(old) and _texts(new)) or set(old) == set(new):
        return None
    come, go = _LISTS[pattern]
    more = [come.format(shown(item), name=name) for item in new if item not in old]
    less = [go.format(shown(item), name=name) for item in old if item not in new]
    return Verdict("; ".join(more + less), permits_more=bool(more))


def _values(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    register = _register(pattern)
    if not register or not (_texts(old) and _texts(new)) or set(old) == set(new):
        return None
    words = f"register {register} of enclave {name} may be {shown(new)}, before: {shown(old)}"
    return Verdict(words, permits_more=not set(new) <= set(old))


def _demand(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern not in _DEMANDS or not (_texts(old) and _texts(new)) or set(old) == set(new):
        return None
    words = f"{_DEMANDS[pattern].format(name=name)} {shown(new)}, before: {shown(old)}"
    return Verdict(words, permits_more=not set(old) <= set(new))


def _bound(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern not in _BOUNDS or type(old) is not type(new):
        return None
    if not isinstance(old, int | float | str):
        return None
    what, larger_permits = _BOUNDS[pattern]
    # Times compare as text, since they all have one form.
    words = f"{what.format(name=name)} goes from {shown(old)} to {shown(new)}"
    return Verdict(words, permits_more=(new > old) == larger_permits)


def _enrolment(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    one = _ENROLMENTS.get(pattern)
    if one is None or not (_texts(old) and _texts(new)) or set(old) == set(new):
        return None
    if not new:
        words = f"enclave {name} may run on any {one}, no longer on some"
        return Verdict(words, permits_more=True)
    # An empty list means any, so that a first entry permits less.
    more = bool(old) and not set(new) <= set(old)
    words = f"enclave {name} may run on {one}s {shown(new)}, no longer on {shown(old or 'any')}"
    return Verdict(words, permits_more=more)


def _switch(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern not in _SWITCHES or type(old) is not bool or type(new) is not bool:
        return None
    turned_on, turned_off, on_permits = _SWITCHES[pattern]
    words = (turned_on if new else turned_off).format(name=name)
    return Verdict(words, permits_more=new == on_permits)


def _insecure(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern != "enclaves.*.insecure_accept_simulated" or type(old) is not bool:
        return None
    if new is True:
        words = f"INSECURE: enclave {name} may be simulated, which protects nothing"
        return Verdict(words, permits_more=True)
    return Verdict(f"enclave {name} may no longer be simulated", permits_more=new is not False)


def _root(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern != "enclaves.*.simulated_root":
        return None
    if new is None:
        return Verdict(f"enclave {name} has no simulated root any more", permits_more=False)
    words = f"INSECURE: evidence for enclave {name} may come from the simulated root {shown(new)}"
    return Verdict(f"{words}, before: {shown(old)}", permits_more=True)


def _tcb(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    place = pattern.removeprefix("enclaves.*.minimum_tcb.")
    generation, _, component = place.partition(".")
    if place == pattern or component not in _COMPONENTS:
        return None
    if type(old) is not int or type(new) is not int:
        return None
    words = f"the lowest {component} version of enclave {name} on {generation}"
    return Verdict(f"{words} goes from {old} to {new}", permits_more=new < old)


def _text(pattern: str, name: str, old: Any, new: Any) -> Verdict | None:
    if pattern not in _TEXTS:
        return None
    words = _TEXTS[pattern].format(name=name, old=shown(old), new=shown(new))
    return Verdict(words, permits_more=True)


def _insecurely(fields: dict[str, Any]) -> str:
    insecure = fields.get("insecure_accept_simulated")
    return " - INSECURE: simulated, which protects nothing" if insecure else ""


def _generation(pattern: str) -> str:
    place = pattern.removeprefix("enclaves.*.minimum_tcb.")
    return "" if place == pattern or "." in place else place


def _register(pattern: str) -> str:
    name = pattern.removeprefix("enclaves.*.registers.")
    return "" if name == pattern or "." in name else name


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
