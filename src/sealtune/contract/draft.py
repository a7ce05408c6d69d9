"""From the TOML that people write to a Contract (docs/spec/contract.md §7).

Resolves what a draft may leave to the machine: keys and bundles given as files, date-times, and
every default, so that what is signed is what runs. It reads the files that the draft names and
writes nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sealtune.bundle.format import BundleKind
from sealtune.bundle.reader import open_bundle_file
from sealtune.contract.contract import contract_from_document
from sealtune.contract.reference_values import (
    REFERENCE_VALUES_BYTES_MAX,
    ReferenceEntry,
    verify_reference_values,
)
from sealtune.contract.schema import Contract, OutputKind
from sealtune.core.clock import format_time
from sealtune.core.files import read_bounded
from sealtune.core.limits import CONTRACT_BYTES_MAX, MIB
from sealtune.crypto.identity import load_public_identity
from sealtune.errors import Code, FormatError, SealtuneError

T = TypeVar("T")

# 8x a rank-16 adapter of an 8-billion-parameter model in 16 bits. A full model has no default: its
# size is known to who writes the contract, and a generous bound would be a wide channel out.
ADAPTER_BYTES_DEFAULT = 256 * MIB
_MADE_BY_METHOD = {"lora": OutputKind.ADAPTER.value, "full": OutputKind.MODEL.value}
_KIND_OF_BUNDLE = {BundleKind.DATASET: "dataset", BundleKind.MODEL: "model"}
_REFERENCE = ("reference_values", "reference_values_key", "entry")


def draft_contract(path: Path) -> Contract:
    """Return the contract that the TOML file at `path` describes, everything resolved.

    Raises:
        FormatError: not TOML, or a field is unknown, missing or wrong; it names file and place.
        StorageError: the file, or one that it names, cannot be read.
        VerificationError: a bundle that it names is not what its owner signed.
    """
    data = read_bounded(path, limit=CONTRACT_BYTES_MAX, what="contract")
    return draft_contract_text(data, folder=path.parent, what=str(path))


def draft_contract_text(data: bytes, *, folder: Path, what: str) -> Contract:
    """Return the contract that the TOML text `data` describes; files are relative to `folder`.

    Raises:
        As `draft_contract`; `what` names the text in errors.
    """
    try:
        document = tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError(Code.CONTRACT_MALFORMED, f"{what}: not TOML: {error}") from None
    try:
        _resolve_holders(document, folder)
        _resolve_inputs(document, folder)
        _resolve_enclaves(document, folder)
        _resolve_outputs(document)
    except SealtuneError as error:
        raise type(error)(error.code, f"{what}: {error.message}", remedy=error.remedy) from None
    return contract_from_document(_plain(document), what=what)


def _resolve_holders(document: dict[str, Any], folder: Path) -> None:
    for table in ("parties", "brokers"):
        for name, fields in _tables(document.get(table)):
            if "public_key_file" in fields:
                _at(f"{table}.{name}.public_key_file", _read_keys, fields, folder)


def _read_keys(fields: dict[str, Any], folder: Path) -> None:
    if "signing_key" in fields or "recipient_key" in fields:
        raise FormatError(Code.CONTRACT_FIELD, "give the file or the keys, not both")
    identity = load_public_identity(_file(fields.pop("public_key_file"), folder))
    fields["signing_key"] = identity.signing.text
    fields["recipient_key"] = identity.recipient.text


def _resolve_inputs(document: dict[str, Any], folder: Path) -> None:
    entries = document.get("inputs")
    for index, fields in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(fields, dict):
            continue
        if "file" in fields:
            _at(f"inputs[{index}].file", _read_bundle, fields, folder, document.get("parties"))
        if "broker" not in fields:
            brokers = _tables(document.get("brokers"))
            owned = [name for name, item in brokers if item.get("owner") == fields.get("owner")]
            if len(owned) == 1:
                fields["broker"] = owned[0]


def _read_bundle(fields: dict[str, Any], folder: Path, parties: Any) -> None:
    if "digest" in fields:
        raise FormatError(Code.CONTRACT_FIELD, "give the file or the digest, not both")
    path = _file(fields.pop("file"), folder)
    with open_bundle_file(path) as bundle:
        digest, owner, kind = bundle.digest, bundle.owner, _KIND_OF_BUNDLE.get(bundle.kind)
    if kind is None or fields.setdefault("kind", kind) != kind:
        raise FormatError(Code.BUNDLE_KIND, f"{path} is a bundle of kind {bundle.kind.value!r}")
    named = dict(_tables(parties)).get(str(fields.get("owner")), {}).get("signing_key")
    if named != owner.text:
        reason = f"{path} is not signed by {fields.get('owner')!r}"
        raise FormatError(Code.BUNDLE_OWNER, reason, remedy="name the owner who sealed it")
    fields["digest"] = digest


def _resolve_enclaves(document: dict[str, Any], folder: Path) -> None:
    entries = document.get("enclaves")
    for index, fields in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(fields, dict) and not fields.keys().isdisjoint(_REFERENCE):
            _at(f"enclaves[{index}]", _read_reference_values, fields, folder)


def _read_reference_values(fields: dict[str, Any], folder: Path) -> None:
    missing = [name for name in _REFERENCE if name not in fields]
    if missing:
        reason = f"{missing[0]}: missing; reference values need the file, its signer and an entry"
        raise FormatError(Code.CONTRACT_FIELD, reason)
    places = {name: fields.pop(name) for name in _REFERENCE}
    name = str(places["entry"])
    found = _at("reference_values", _verified_entries, places, folder).get(name)
    if found is None:
        raise FormatError(Code.CONTRACT_FIELD, f"entry: there is none with the name {name[:80]!r}")
    given = {
        "kind": str(found.kind),
        "measurements": list(found.measurements),
        "registers": {register: list(values) for register, values in found.registers.items()},
    }
    for field, value in given.items():
        # What the entry leaves open a person may add, MRTD for one; what it says has one source.
        if value and field in fields:
            reason = f"{field}: give the entry or the field, not both"
            raise FormatError(Code.CONTRACT_FIELD, reason)
        if value:
            fields[field] = value


def _verified_entries(places: dict[str, Any], folder: Path) -> Mapping[str, ReferenceEntry]:
    signer = load_public_identity(_file(places["reference_values_key"], folder)).signing
    path = _file(places["reference_values"], folder)
    data = read_bounded(path, limit=REFERENCE_VALUES_BYTES_MAX, what="reference values")
    return verify_reference_values(data, key=signer).values.entries


def _resolve_outputs(document: dict[str, Any]) -> None:
    outputs, recipe = document.get("outputs"), document.get("recipe")
    if not isinstance(outputs, dict) or not isinstance(recipe, dict):
        return
    made = _MADE_BY_METHOD.get(str(recipe.get("method")))
    if made is not None:
        outputs.setdefault("kinds", [made])
    if outputs.get("kinds") == [OutputKind.ADAPTER.value]:
        outputs.setdefault("max_bytes", ADAPTER_BYTES_DEFAULT)


def _tables(value: Any) -> list[tuple[str, dict[str, Any]]]:
    # What is no table of tables is left for the schema to refuse by name.
    if not isinstance(value, dict):
        return []
    return [(name, item) for name, item in value.items() if isinstance(item, dict)]


def _file(value: Any, folder: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise FormatError(Code.CONTRACT_FIELD, "not a file name")
    return folder / value


def _at(place: str, resolve: Callable[..., T], *arguments: Any) -> T:
    try:
        return resolve(*arguments)
    except SealtuneError as error:
        raise type(error)(error.code, f"{place}: {error.message}", remedy=error.remedy) from error


def _plain(value: Any) -> Any:
    """Return a TOML value as JSON; a date-time without offset is left for the schema to refuse."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime) and value.tzinfo is not None and not value.microsecond:
        return format_time(value)
    if isinstance(value, str | int | float | bool):
        return value
    return str(value)
