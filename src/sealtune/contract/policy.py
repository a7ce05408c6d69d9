"""Policies: enclaves that one would accept, before there is a contract (spec/attestation §7.4).

A policy file has `[[enclaves]]` as a contract has them. A preset (`presets`) is a policy without
measurements, to look at evidence with and to copy into a contract. A broker reads neither: what it
releases on stands in the contract.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from sealtune.attestation.reference import AcceptedEnclave
from sealtune.contract.checks import check_enclaves
from sealtune.contract.enclave import Enclave
from sealtune.contract.fields import Section
from sealtune.contract.problems import field_problems
from sealtune.core.limits import CONTRACT_ENCLAVES_MAX, POLICY_BYTES_MAX
from sealtune.errors import Code, FormatError, SealtuneError

_DOTS_MAX = 256  # in one line; versions of 50 drivers


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Entries under a name; with `any_measurement`, whatever was launched is accepted."""

    name: str
    enclaves: tuple[Enclave, ...]
    any_measurement: bool

    def accepted(self) -> tuple[AcceptedEnclave, ...]:
        """Return the reference values that appraisal takes."""
        entries = tuple(enclave.accepted() for enclave in self.enclaves)
        if not self.any_measurement:
            return entries
        return tuple(dataclasses.replace(entry, measurements=None) for entry in entries)


class _PolicyFile(Section):
    enclaves: Annotated[tuple[Enclave, ...], Field(min_length=1, max_length=CONTRACT_ENCLAVES_MAX)]


def parse_policy(data: bytes, *, what: str) -> Policy:
    """Return the policy that the TOML text `data` holds.

    Raises:
        FormatError: larger than 48 KiB, not TOML, nested too deep, or an entry is none that a
            contract could have; names the place.
    """
    text = _toml_as_json(data, what=what)
    try:
        parsed = _PolicyFile.model_validate_json(text)
    except ValidationError as error:
        raise field_problems(
            error, model=_PolicyFile, what=what, code=Code.CONTRACT_FIELD
        ) from None
    try:
        check_enclaves(parsed.enclaves)
    except SealtuneError as error:
        raise type(error)(error.code, f"{what}: {error.message}", remedy=error.remedy) from None
    return Policy(name=what, enclaves=parsed.enclaves, any_measurement=False)


def _toml_as_json(data: bytes, *, what: str) -> str:
    if len(data) > POLICY_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{what}: larger than {POLICY_BYTES_MAX} bytes")
    # A key with as many dots as fit costs the library seconds.
    if any(line.count(b".") > _DOTS_MAX for line in data.split(b"\n")):
        raise FormatError(Code.LIMIT_EXCEEDED, f"{what}: too many dots in one line")
    try:
        # As JSON, for there a strict model takes lists for tuples; a date becomes text and is then
        # refused by the field that has it.
        return json.dumps(tomllib.loads(data.decode()), default=str)
    except UnicodeDecodeError:
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        # Not only `TOMLDecodeError`: a number of 5000 digits is another `ValueError`.
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: not TOML: {error}") from None
