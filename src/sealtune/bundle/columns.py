"""Columns of Arrow as JSON values: what Parquet files and Arrow streams have in common.

Text, numbers, booleans, null, lists and structs of these are spelled as they are. Two features of
Hugging Face datasets, which they describe in the schema's metadata, are resolved: a class label
becomes its name, an image the base64 of its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from sealtune.bundle.images import image_text
from sealtune.core.canonical import parse_foreign_json
from sealtune.core.limits import JSON_DEPTH_MAX, LABELS_MAX, MIB
from sealtune.errors import Code, FormatError

_INTEGER_MAX = 2**53 - 1
_METADATA = b"huggingface"
_METADATA_BYTES_MAX = 16 * MIB  # 10,000 labels of 100 characters are 1 MiB
_LISTS = frozenset({"Sequence", "List", "LargeList"})
_DEPTH_MAX = JSON_DEPTH_MAX - 1  # the record is around it
_IMAGE_PARTS = frozenset({"bytes", "path"})

Convert = Callable[[Any, str], Any]  # a value and where it stands, for errors


class Columns:
    """Turns the rows of a table with one schema into records; `source` names it in errors."""

    def __init__(self, schema: Any, *, source: str) -> None:
        """Look at the schema.

        Raises:
            FormatError: `RECORDS_FORMAT`: two columns of one name, or one that JSON cannot spell.
        """
        self._source = source
        if len(set(schema.names)) != len(schema.names):
            raise FormatError(Code.RECORDS_FORMAT, f"{source}: two columns of one name")
        features = _features(schema, source)
        self._columns: dict[str, Convert] = {}
        for field in schema:
            convert = _converter(field.type, features.get(field.name))
            if convert is None:
                message = (
                    f"{source}: column {field.name!r} is {field.type}, which JSON cannot spell"
                )
                remedy = "convert or drop the column"
                raise FormatError(Code.RECORDS_FORMAT, message, remedy=remedy)
            self._columns[field.name] = convert

    def rows(self, batch: Any, *, first: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and value of each row of `batch`, the first of which has number `first`.

        Raises:
            FormatError: a value that JSON cannot spell, or no image; names the row.
        """
        for number, row in enumerate(batch.to_pylist(), start=first):
            where = f"{self._source}: row {number}"
            yield number, {name: self._columns[name](value, where) for name, value in row.items()}


def _features(schema: Any, source: str) -> dict[str, Any]:
    stored = (schema.metadata or {}).get(_METADATA)
    if stored is None:
        return {}
    what = f"{source}: its schema's metadata"
    value = parse_foreign_json(stored, limit=_METADATA_BYTES_MAX, what=what)
    info = value.get("info") if isinstance(value, dict) else None
    features = info.get("features") if isinstance(info, dict) else None
    return features if isinstance(features, dict) else {}


def _converter(kind: Any, feature: Any, depth: int = 1) -> Convert | None:
    """Return what turns a value of type `kind` into JSON, or None where nothing does.

    `depth` says how deep inside a column it is: the types of a file may nest without end.
    """
    from pyarrow import types

    if depth > _DEPTH_MAX:
        return None
    feature = feature if isinstance(feature, dict) else {}
    if types.is_integer(kind) and feature.get("_type") == "ClassLabel":
        return _named(feature.get("names"))
    if types.is_struct(kind):
        return _image if _is_image(kind) else _struct(kind, feature, depth)
    if types.is_binary(kind) or types.is_large_binary(kind):
        return _image if feature.get("_type") == "Image" else None
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _list(kind, feature, depth)
    if types.is_dictionary(kind):
        return _converter(kind.value_type, None, depth + 1)
    plain = (
        types.is_string,
        types.is_large_string,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    return _plain if any(check(kind) for check in plain) else None


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    parts = {kind.field(index).name: kind.field(index).type for index in range(kind.num_fields)}
    return parts.keys() == _IMAGE_PARTS and types.is_binary(parts["bytes"])


def _struct(kind: Any, feature: dict[str, Any], depth: int) -> Convert | None:
    inner = feature
    if feature.get("_type") in _LISTS:
        # A sequence of objects is stored as an object of sequences.
        of = feature.get("feature")
        named = of if isinstance(of, dict) else {}
        inner = {name: {"_type": "Sequence", "feature": each} for name, each in named.items()}
    fields = [kind.field(index) for index in range(kind.num_fields)]
    parts = {
        field.name: _converter(field.type, inner.get(field.name), depth + 1) for field in fields
    }
    known = {name: convert for name, convert in parts.items() if convert is not None}
    if len(known) != len(fields):
        return None

    def convert(value: Any, where: str) -> Any:
        if value is None:
            return None
        return {name: known[name](item, where) for name, item in value.items()}

    return convert


def _list(kind: Any, feature: dict[str, Any], depth: int) -> Convert | None:
    inner = _converter(kind.value_type, feature.get("feature"), depth + 1)
    if inner is None:
        return None

    def convert(value: Any, where: str) -> Any:
        return None if value is None else [inner(item, where) for item in value]

    return convert


def _named(names: Any) -> Convert:
    usable = isinstance(names, list) and 1 <= len(names) <= LABELS_MAX
    if not usable or not all(isinstance(name, str) and name for name in names):
        return _plain

    def convert(value: Any, where: str) -> Any:
        if value is None:
            return None
        # Not by Python's rules: -1 stands for "not labelled", and would be the last name.
        if not 0 <= value < len(names):
            message = f"{where}: a class label that has no name"
            remedy = "leave records without a label out"
            raise FormatError(Code.LABEL_OUT_OF_RANGE, message, remedy=remedy)
        return names[value]

    return convert


def _image(value: Any, where: str) -> Any:
    data = value.get("bytes") if isinstance(value, dict) else value
    if value is None:
        return None
    if not isinstance(data, bytes):
        message = f"{where}: an image that is named by its path only"
        remedy = "save the set with its images in it (save_to_disk, or push_to_hub, does that)"
        raise FormatError(Code.RECORD_IMAGE, message, remedy=remedy)
    return image_text(data, where=where)


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, float) and not isfinite(value):
        raise FormatError(Code.RECORD_MALFORMED, f"{where}: a number is not finite")
    if isinstance(value, int) and abs(value) > _INTEGER_MAX:
        remedy = "write such numbers as text"
        raise FormatError(
            Code.RECORD_MALFORMED, f"{where}: an integer is beyond 2**53", remedy=remedy
        )
    return value
