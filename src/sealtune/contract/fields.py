"""The forms of single values in a contract (docs/spec/contract.md §1.3, §1.4, §2, §3).

Each is text or a number with a check; none converts. Shared by the contract's and the receipt's
models.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sealtune.core.clock import parse_time
from sealtune.core.digest import Digest, parse_digest
from sealtune.core.limits import CONTRACT_PURPOSE_MAX
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.identity import NAME_PATTERN
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import FormatError

UNCONVERTED: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_Element = TypeVar("_Element")


class Section(BaseModel):
    """One object of a document: frozen, no unknown field, no conversion."""

    model_config = ConfigDict(**UNCONVERTED, frozen=True)


def json_document(section: Section) -> dict[str, Any]:
    """Return `section` as the JSON object that is signed: every field, defaults included."""
    return section.model_dump(mode="json")


def _name(text: str) -> str:
    if not NAME_PATTERN.fullmatch(text):
        raise ValueError("a name has lower-case letters, digits, dots, dashes, at most 63")
    return text


def _printable(text: str) -> str:
    # spec/contract §1.4: an escape sequence or a bidirectional mark would show a signer another
    # text than the one that is signed.
    if not text.isprintable():
        raise ValueError("only printable characters, in one line")
    return text


def _digest(text: str) -> Digest:
    try:
        return parse_digest(text)
    except FormatError as error:
        raise ValueError(error.message) from None


def _time(text: str) -> str:
    try:
        parse_time(text)
    except ValueError:
        raise ValueError("a time reads like 2026-11-23T12:00:00Z") from None
    return text


def _signing_key(text: str) -> str:
    try:
        return VerifyingKey.parse(text).text
    except FormatError as error:
        raise ValueError(error.message) from None


def _recipient_key(text: str) -> str:
    try:
        return RecipientPublicKey.parse(text).text
    except FormatError as error:
        raise ValueError(error.message) from None


def _distinct(values: tuple[_Element, ...]) -> tuple[_Element, ...]:
    if len(set(values)) != len(values):
        raise ValueError("an element occurs twice")
    return values


Name = Annotated[str, AfterValidator(_name)]
Purpose = Annotated[
    str, Field(min_length=1, max_length=CONTRACT_PURPOSE_MAX), AfterValidator(_printable)
]
PrintableText = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
DigestText = Annotated[str, AfterValidator(_digest)]
Time = Annotated[str, AfterValidator(_time)]
SigningKeyText = Annotated[str, AfterValidator(_signing_key)]
RecipientKeyText = Annotated[str, AfterValidator(_recipient_key)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Measurement = Annotated[str, Field(pattern=r"^[0-9a-f]{96}$")]
ChipId = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
SecurityVersion = Annotated[int, Field(ge=0, le=255)]  # a component of a TCB version is one byte
Vmpl = Annotated[int, Field(ge=0, le=3)]
Distinct = AfterValidator(_distinct)
