"""What the fields of a contract must know of each other (docs/spec/contract.md §4).

One function for each numbered rule; each raises at the first breach and names the field. Forms of
single fields are `schema`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import (
    DCAP_KINDS,
    PLATFORM_REQUIREMENTS,
    POLICY_REQUIREMENTS,
    SNP_KINDS,
    TPM_KINDS,
    missing_boot_registers,
    tcb_components,
)
from sealtune.contract.problems import nearest
from sealtune.core.limits import CONTRACT_DAYS_MAX
from sealtune.errors import Code, FormatError

if TYPE_CHECKING:
    from sealtune.contract.enclave import Enclave
    from sealtune.contract.schema import Contract, Input

# The words are those of Role, InputKind and OutputKind, which `schema` defines above this module.
_OWNER_ROLE = {"dataset": "data_owner", "model": "model_owner"}
_MADE_BY_METHOD = {"lora": "adapter", "full": "model"}


def check_agreement(contract: Contract) -> None:
    """Return when the fields of `contract` agree with each other.

    Raises:
        FormatError: they do not; the message begins with the field's place.
    """
    _check_owners(contract)
    _check_keys(contract)
    _check_unique(contract)
    _check_recipe(contract)
    _check_roles(contract)
    check_enclaves(contract.enclaves)
    _check_validity(contract)


def problem(place: str, reason: str, *, remedy: str = "") -> FormatError:
    """Return the error that says what is wrong at `place` (`parties.clinic.roles`)."""
    return FormatError(Code.CONTRACT_FIELD, f"{place}: {reason}", remedy=remedy)


def _check_owners(contract: Contract) -> None:
    for index, entry in enumerate(contract.inputs):
        place = f"inputs[{index}]"
        _check_owner(contract, entry, f"{place}.owner")
        broker = contract.brokers.get(entry.broker)
        if broker is None:
            raise problem(f"{place}.broker", f"no broker is called {entry.broker!r}")
        if broker.owner != entry.owner:
            # Another party's broker could release a key that its owner never agreed to.
            reason = f"{entry.broker!r} belongs to {broker.owner!r}, the input to {entry.owner!r}"
            raise problem(f"{place}.broker", reason)
        if entry.deidentification is not None and entry.kind != "dataset":
            raise problem(f"{place}.deidentification", "only a dataset has a report of it")
    used = {entry.broker for entry in contract.inputs}
    for name in contract.brokers:
        if name not in used:
            raise problem(f"brokers.{name}", "no input names this broker")


def _check_owner(contract: Contract, entry: Input, place: str) -> None:
    party = contract.parties.get(entry.owner)
    if party is None:
        raise problem(place, f"no party is called {entry.owner!r}")
    role = _OWNER_ROLE[entry.kind]
    if role not in party.roles:
        raise problem(place, f"{entry.owner!r} has not the role {role!r}")


def _check_keys(contract: Contract) -> None:
    holders = [(f"parties.{name}", party.signing_key) for name, party in contract.parties.items()]
    holders += [(f"brokers.{name}", item.signing_key) for name, item in contract.brokers.items()]
    _check_holders("signing_key", holders)
    holders = [(f"parties.{name}", party.recipient_key) for name, party in contract.parties.items()]
    holders += [(f"brokers.{name}", item.recipient_key) for name, item in contract.brokers.items()]
    _check_holders("recipient_key", holders)


def _check_holders(field: str, holders: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for place, key in holders:
        if key in seen:
            # spec/contract §4.2: a broken broker could otherwise sign contracts for its owner.
            raise problem(
                f"{place}.{field}",
                f"{seen[key]} has the same key",
                remedy="make an identity for each with `sealtune key create NAME`",
            )
        seen[key] = place


def _check_unique(contract: Contract) -> None:
    _check_repetition("inputs", "name", (entry.name for entry in contract.inputs))
    _check_repetition("inputs", "digest", (entry.digest for entry in contract.inputs))
    _check_repetition("enclaves", "name", (entry.name for entry in contract.enclaves))


def _check_repetition(table: str, field: str, values: Iterable[str]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            raise problem(
                f"{table}[{index}].{field}", f"the same as {table}[{seen[value]}].{field}"
            )
        seen[value] = index


def _check_recipe(contract: Contract) -> None:
    recipe, kinds = contract.recipe, {entry.name: entry.kind for entry in contract.inputs}
    if kinds.get(recipe.model) != "model":
        raise problem("recipe.model", f"{recipe.model!r} is no input of kind 'model'")
    for name in recipe.datasets:
        if kinds.get(name) != "dataset":
            raise problem("recipe.datasets", f"{name!r} is no input of kind 'dataset'")
    for index, entry in enumerate(contract.inputs):
        if entry.name != recipe.model and entry.name not in recipe.datasets:
            # An input that nothing needs is a key that would be released for nothing.
            raise problem(f"inputs[{index}]", f"the recipe does not use {entry.name!r}")
    made = _MADE_BY_METHOD[recipe.method]
    if set(contract.outputs.kinds) != {made}:
        raise problem("outputs.kinds", f"method {recipe.method!r} makes {made!r} and nothing else")


def _check_roles(contract: Contract) -> None:
    owners = {(entry.owner, _OWNER_ROLE[entry.kind]) for entry in contract.inputs}
    for name in contract.outputs.recipients:
        party = contract.parties.get(name)
        if party is None:
            raise problem("outputs.recipients", f"no party is called {name!r}")
        if "recipient" not in party.roles:
            raise problem("outputs.recipients", f"{name!r} has not the role 'recipient'")
    for name, party in contract.parties.items():
        place = f"parties.{name}.roles"
        if "recipient" in party.roles and name not in contract.outputs.recipients:
            raise problem(place, f"{name!r} is not among outputs.recipients")
        for role in _OWNER_ROLE.values():
            if role in party.roles and (name, role) not in owners:
                raise problem(place, f"{name!r} has the role {role!r} but owns no such input")


def check_enclaves(enclaves: Sequence[Enclave]) -> None:
    """Return when each of `enclaves` is one that could be accepted.

    Raises:
        FormatError: one is not; the message begins with the field's place.
    """
    for index, enclave in enumerate(enclaves):
        place = f"enclaves[{index}]"
        _check_kind(place, enclave)
        for generation, floor in enclave.minimum_tcb.items():
            names = tcb_components(generation)
            if floor.keys() != set(names):
                # A component left out would be a component that may be rolled back.
                reason = f"names each of {', '.join(names)} and nothing else"
                raise problem(f"{place}.minimum_tcb.{generation}", reason)
        _check_requirements(
            f"{place}.required_policy", enclave.required_policy, POLICY_REQUIREMENTS
        )
        _check_requirements(
            f"{place}.required_platform", enclave.required_platform, PLATFORM_REQUIREMENTS
        )
        if enclave.insecure_accept_simulated != (enclave.simulated_root is not None):
            # spec/contract §3.5.1: the switch without a root would accept any simulator, a root
            # without the switch would hide that the contract is insecure.
            reason = "insecure_accept_simulated and simulated_root go together"
            raise problem(f"{place}.simulated_root", reason)
        try:
            enclave.accepted()
        except ValueError as error:
            # What the values of one entry must know of each other is the appraiser's to say.
            raise problem(place, str(error)) from None


# spec/contract §3.5.1: which fields only one family of hardware has, and those of them that an
# entry for it cannot do without.
_FAMILIES: Final = (
    (
        SNP_KINDS,
        (
            "minimum_tcb",
            "vmpl",
            "chip_ids",
            "csp_ids",
            "required_policy",
            "required_platform",
            "required_mitigations",
            "require_crl",
        ),
        ("minimum_tcb", "vmpl"),
    ),
    (
        DCAP_KINDS,
        (
            "tcb_statuses",
            "denied_advisories",
            "minimum_evaluation",
            "platform_ids",
            "platform_flags",
            "td_attributes",
            "minimum_tee_tcb_svn",
            "endorsements_max_age_days",
            "isv_prod_id",
            "minimum_isv_svn",
        ),
        ("tcb_statuses",),
    ),
    (TPM_KINDS, ("ak_digests", "accept_certified_ak"), ()),
)


def family_fields(kind: EvidenceKind) -> tuple[str, ...]:
    """Return the fields that only entries for the hardware of `kind` have."""
    return tuple(name for kinds, fields, _ in _FAMILIES if kind in kinds for name in fields)


def _check_kind(place: str, enclave: Enclave) -> None:
    for kinds, fields, needed in _FAMILIES:
        if enclave.kind in kinds:
            for field in needed:
                if not getattr(enclave, field):
                    # What is not listed is not accepted: such an entry would accept nothing.
                    raise problem(f"{place}.{field}", f"an enclave of {enclave.kind} needs it")
        else:
            for field in fields:
                if _given(enclave, field):
                    raise problem(f"{place}.{field}", f"{enclave.kind} has no such thing")
    if not enclave.measurements and enclave.kind not in TPM_KINDS:
        raise problem(f"{place}.measurements", f"an enclave of {enclave.kind} needs at least one")
    if missing := missing_boot_registers(enclave.kind, enclave.registers):
        # spec/contract §3.5.1: the launch measurement is the firmware's alone.
        reason = f"an enclave of {enclave.kind} needs {' and '.join(missing)}: what it booted"
        raise problem(f"{place}.registers", reason)


def _given(enclave: Enclave, field: str) -> bool:
    default = type(enclave).model_fields[field].get_default(call_default_factory=True)
    return bool(getattr(enclave, field) != default)


def _check_requirements(place: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise problem(place, f"unknown requirement {name!r}{nearest(name, known)}")


def _check_validity(contract: Contract) -> None:
    start, end = contract.validity.start, contract.validity.end
    if end <= start:
        raise problem("validity.not_after", "not later than not_before")
    if end - start > timedelta(days=CONTRACT_DAYS_MAX):
        reason = f"more than {CONTRACT_DAYS_MAX} days after not_before"
        raise problem("validity.not_after", reason)
