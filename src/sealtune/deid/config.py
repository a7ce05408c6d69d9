"""How records are to be de-identified, as data: a profile, and what a TOML file changes of it.

A configuration is part of what the report binds: `config_digest` is over every field, defaults
included. Names no secret: keys and rosters are files, and a roster counts by its digest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.files import read_bounded
from sealtune.core.limits import KIB
from sealtune.deid.entities import EntityType
from sealtune.errors import Code, ConfigError

CONFIG_BYTES_MAX: Final = 256 * KIB  # 10x a file with a hundred columns and recognizers
RECOGNIZERS_MAX: Final = 256
PATTERN_CHARACTERS_MAX: Final = 1_000


class Role(StrEnum):
    """What a field of a record is."""

    TEXT = "text"  # free text: detectors look into it
    DIRECT = "direct"  # an identifier as a whole: it is replaced whatever it looks like
    QUASI = "quasi"  # identifies in combination: generalized until k records share it
    SENSITIVE = "sensitive"  # what must not be inferred: kept; l-diversity and t-closeness count it
    SUBJECT = "subject"  # whose record it is: replaced, and groups records of one person
    SAFE = "safe"  # named as harmless by the owner: unchanged


class Action(StrEnum):
    """What is done to a finding."""

    SURROGATE = "surrogate"  # a realistic value in its place, the same everywhere
    SHIFT = "shift"  # a date moved by the subject's own number of days
    GENERALIZE = "generalize"  # a year, an age band, ZIP3
    TOKEN = "token"  # noqa: S105 - a code of the same form, made with the key
    REDACT = "redact"  # `[TYPE]`
    KEEP = "keep"  # the owner decided that this type may stay


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FieldRule(_Section):
    """One field of the records: its role, and for `direct` which type of identifier it is.

    `hierarchy` is of a quasi-identifier: what stands for values in common, each with what is under
    it (`"respiratory" = ["asthma", "COPD"]`).
    """

    role: Role
    entity: EntityType | None = None
    hierarchy: Mapping[str, tuple[str, ...]] = {}


class Recognizer(_Section):
    """A pattern of the owner's own; `context` words, if given, must be within 60 characters."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    entity: EntityType
    pattern: Annotated[str, Field(min_length=1, max_length=PATTERN_CHARACTERS_MAX)]
    context: tuple[str, ...] = ()
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.9
    ignore_case: bool = False

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"the pattern does not compile: {error}") from None
        return self


class Roster(_Section):
    """A file with one value per line, found wherever it occurs: staff, patients, wards."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    entity: EntityType
    file: str
    digest: str = ""  # filled in when the file is read


class NerEngine(_Section):
    """A model for names, places and organizations, loaded from a local path without network."""

    engine: Literal["spacy", "transformers", "gliner"]
    path: str
    minimum_score: Annotated[float, Field(ge=0, le=1)] = 0.35


class TableTerms(_Section):
    """What is asked of the quasi-identifiers; 0 or 1 asks for nothing."""

    k: Annotated[int, Field(ge=1, le=10_000)] = 1
    l: Annotated[int, Field(ge=1, le=1_000)] = 1  # noqa: E741 - its name in the literature
    t: Annotated[float, Field(ge=0, le=1)] = 1.0
    max_suppressed: Annotated[float, Field(ge=0, le=1)] = 0.05

    @property
    def asks(self) -> bool:
        """Whether anything is asked for."""
        return self.k > 1 or self.l > 1 or self.t < 1


class Configuration(_Section):
    """All of it; `actions` of a type that is not named are the profile's."""

    profile: str
    text_field: str = "text"
    fields: Mapping[str, FieldRule] = {}
    actions: Mapping[EntityType, Action] = {}
    reversible: bool = False  # whether a vault is written that `sealtune reidentify` can open
    keep_years: bool = True
    # From which ages are counted where years stay; without it the year in which the run began.
    reference_year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    locale: Annotated[str, Field(pattern=r"^[a-z]{2}_[A-Z]{2}$")] = "en_US"
    presidio: bool = False
    ner: NerEngine | None = None
    minimum_confidence: Annotated[float, Field(ge=0, le=1)] = 0.3
    recognizers: Annotated[tuple[Recognizer, ...], Field(max_length=RECOGNIZERS_MAX)] = ()
    rosters: Annotated[tuple[Roster, ...], Field(max_length=RECOGNIZERS_MAX)] = ()
    allow: tuple[str, ...] = ()  # words that are never identifiers here (a drug, a ward's name)
    table: TableTerms = TableTerms()

    def action(self, entity: EntityType) -> Action:
        """Return what is done to findings of the type `entity`."""
        return self.actions.get(entity, Action.REDACT)

    @property
    def subject_field(self) -> str | None:
        """The field that says whose record it is, if there is one."""
        named = [name for name, rule in self.fields.items() if rule.role is Role.SUBJECT]
        return named[0] if named else None

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON, defaults included."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> Digest:
        """The digest that a report binds."""
        return sha256_digest(canonical_json(self.to_dict()))

    @model_validator(mode="after")
    def _agree(self) -> Self:
        subjects = [name for name, rule in self.fields.items() if rule.role is Role.SUBJECT]
        if len(subjects) > 1:
            raise ValueError(f"fields: only one may be the subject, not {', '.join(subjects)}")
        names = [item.name for item in self.recognizers]
        names += [item.name for item in self.rosters]
        if len(set(names)) != len(names):
            raise ValueError("recognizers and rosters: a name occurs twice")
        return self


_S, _T, _G, _R = Action.SURROGATE, Action.TOKEN, Action.GENERALIZE, Action.REDACT
_IDS: Final = (
    EntityType.SSN,
    EntityType.MEDICAL_RECORD,
    EntityType.HEALTH_PLAN,
    EntityType.ACCOUNT,
    EntityType.IBAN,
    EntityType.PAYMENT_CARD,
    EntityType.LICENSE,
    EntityType.PASSPORT,
    EntityType.NATIONAL_ID,
    EntityType.TAX_ID,
    EntityType.VEHICLE,
    EntityType.DEVICE,
    EntityType.OTHER_ID,
)
_NAMED: Final = {
    EntityType.PERSON: _S,
    EntityType.ORGANIZATION: _S,
    EntityType.LOCATION: _S,
    EntityType.ADDRESS: _S,
    EntityType.PHONE: _S,
    EntityType.FAX: _S,
    EntityType.EMAIL: _S,
    EntityType.URL: _S,
    EntityType.IP_ADDRESS: _S,
    EntityType.USERNAME: _S,
    EntityType.BIOMETRIC: _R,
    EntityType.PHOTO: _R,
    EntityType.SECRET: _R,
}
PROFILES: Final = {
    # 45 CFR 164.514(b): years stay, ZIP codes keep three digits where 20,000 people share them,
    # ages over 89 become one class, and nothing leads back.
    "hipaa-safe-harbor": Configuration(
        profile="hipaa-safe-harbor",
        actions={
            **_NAMED,
            **dict.fromkeys(_IDS, _R),
            EntityType.DATE: _G,
            EntityType.AGE: _G,
            EntityType.POSTAL_CODE: _G,
        },
    ),
    # GDPR Art. 4(5): the additional information is kept apart, by the owner, under the key.
    "gdpr-pseudonymous": Configuration(
        profile="gdpr-pseudonymous",
        actions={
            **_NAMED,
            **dict.fromkeys(_IDS, _T),
            EntityType.DATE: Action.SHIFT,
            EntityType.AGE: _G,
            EntityType.POSTAL_CODE: _G,
        },
        reversible=True,
    ),
}


def find_configuration(name: str) -> Configuration:
    """Return the profile called `name`, or what the TOML file at that path says.

    Raises:
        ConfigError: no such profile or file, or a field in it is unknown or wrong.
        StorageError: the file cannot be read.
    """
    if name in PROFILES:
        return PROFILES[name]
    path = Path(name)
    if not path.is_file():
        message = f"{name}: neither a profile nor a file"
        remedy = f"profiles are {', '.join(PROFILES)}; anything else is the path of a TOML file"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    return parse_configuration(
        read_bounded(path, limit=CONFIG_BYTES_MAX, what="configuration"), path
    )


def parse_configuration(data: bytes, path: Path) -> Configuration:
    """Return the configuration in the TOML `data`: its `profile`'s, changed by what it names.

    Raises:
        ConfigError: not TOML, no known profile, or a field is unknown or wrong.
    """
    try:
        values = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(Code.CONFIG_INVALID, f"{path}: not TOML: {error}") from None
    base = PROFILES.get(str(values.get("profile")))
    if base is None:
        known = " or ".join(f'profile = "{name}"' for name in PROFILES)
        what = "not a known one" if "profile" in values else "the line is missing"
        message, remedy = f"{path}: profile: {what}", f"begin the file with {known}"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    merged = base.to_dict() | values
    given = values.get("actions")
    if isinstance(given, dict):
        merged["actions"] = base.to_dict()["actions"] | given
    try:
        return Configuration.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(Code.CONFIG_INVALID, f"{path}: {place}: {first['msg']}") from None
