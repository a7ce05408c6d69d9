"""A policy as rows for people and as the TOML that a contract takes in (spec/attestation §7.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.reference import BOOT_REGISTERS
from sealtune.contract.checks import family_fields
from sealtune.contract.enclave import Enclave
from sealtune.contract.policy import Policy
from sealtune.contract.presets import NOTES

# What stands in every entry, beside what its family of hardware has.
_COMMON = ("measurements", "registers", "contract_at_launch", "devices")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """One rule of one entry: its value, why it is there, and what it answers."""

    enclave: str
    rule: str
    value: Any
    reason: str
    answers: str

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


def policy_rows(policy: Policy) -> tuple[PolicyRow, ...]:
    """Return every rule of `policy`, those with their default included."""
    return tuple(row for enclave in policy.enclaves for row in _rows(policy, enclave))


def _rows(policy: Policy, enclave: Enclave) -> Iterator[PolicyRow]:
    document = enclave.model_dump(mode="json")
    yield _row(enclave, "debug", "refused, always")
    for field in (*_COMMON, *family_fields(enclave.kind)):
        value = document[field]
        if field == "measurements" and policy.any_measurement:
            value = "any (a contract names them)"
        yield _row(enclave, field, value)
        if field == "minimum_tcb":
            yield _row(enclave, "generations", sorted(value))


def _row(enclave: Enclave, rule: str, value: Any) -> PolicyRow:
    note = NOTES[rule]
    return PolicyRow(
        enclave=enclave.name, rule=rule, value=value, reason=note.reason, answers=note.answers
    )


def policy_toml(policy: Policy) -> str:
    """Return `policy` as `[[enclaves]]` of a contract, each rule with its reason as a comment."""
    parts = [_entry_toml(policy, enclave) for enclave in policy.enclaves]
    return "\n".join(parts)


def _entry_toml(policy: Policy, enclave: Enclave) -> str:
    document = enclave.model_dump(mode="json")
    lines = ["[[enclaves]]", f"name = {_toml(enclave.name)}", f"kind = {_toml(str(enclave.kind))}"]
    tables: list[str] = []
    for field in (*_COMMON, *family_fields(enclave.kind)):
        value, comment = document[field], f"# {NOTES[field].reason}"
        if field == "measurements" and policy.any_measurement:
            lines += ["# Put the measurements of your image here:", "measurements = []"]
        elif field == "registers" and policy.any_measurement and enclave.kind in BOOT_REGISTERS:
            tables += ["", "# What is booted above the firmware:", "[enclaves.registers]"]
            tables += [f"{name} = []" for name in BOOT_REGISTERS[enclave.kind]]
        elif isinstance(value, dict) and value:
            tables += _tables(field, value, comment)
        elif field == "devices" or value in (None, {}):
            continue  # nothing is asked for, and TOML has no word for that
        else:
            lines += [comment, f"{field} = {_toml(value)}"]
    return "\n".join([*lines, *tables, ""])


def _tables(field: str, value: dict[str, Any], comment: str) -> list[str]:
    lines = ["", comment]
    if not all(isinstance(item, dict) for item in value.values()):
        return [*lines, f"[enclaves.{field}]", *(f"{n} = {_toml(v)}" for n, v in value.items())]
    for name, item in value.items():
        lines += [f"[enclaves.{field}.{name}]", *(f"{n} = {_toml(v)}" for n, v in item.items())]
    return lines


def _toml(value: Any) -> str:
    # Text, numbers, booleans and lists of them are spelled in TOML as in JSON.
    return json.dumps(value, ensure_ascii=False)
