"""The contract as data (docs/spec/contract.md §3): every field with its form and range.

What one field cannot know of another is in `checks`, which every Contract has passed. These models
are where a contract's bytes enter: they are frozen, know no unknown field and convert nothing.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from sealtune.attestation.reference import AcceptedEnclave
from sealtune.contract.checks import check_agreement
from sealtune.contract.enclave import Enclave
from sealtune.contract.fields import (
    UNCONVERTED,
    DigestText,
    Distinct,
    MetricName,
    Name,
    Purpose,
    RecipientKeyText,
    Section,
    SigningKeyText,
    Time,
)
from sealtune.core.clock import parse_time
from sealtune.core.digest import Digest
from sealtune.core.limits import (
    CONTRACT_BROKERS_MAX,
    CONTRACT_ENCLAVES_MAX,
    CONTRACT_INPUTS_MAX,
    CONTRACT_METRICS_MAX,
    CONTRACT_PARTIES_MAX,
    CONTRACT_RUNS_MAX,
    OUTPUT_BYTES_MAX,
)
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.signing import VerifyingKey
from sealtune.deid.agreed import DeidTerms
from sealtune.training.recipe import Recipe, recipe_from_dict

CONTRACT_FORMAT: Final = "sealtune-contract/1"
MAX_RESUMES_DEFAULT: Final = 3


class Role(StrEnum):
    """What a party does in the agreement."""

    DATA_OWNER = "data_owner"
    MODEL_OWNER = "model_owner"
    RECIPIENT = "recipient"
    OPERATOR = "operator"
    AUDITOR = "auditor"


# spec/contract §5.2: what an operator or auditor thinks of a contract is no part of the agreement.
SIGNING_ROLES: Final = frozenset({Role.DATA_OWNER, Role.MODEL_OWNER, Role.RECIPIENT})


class InputKind(StrEnum):
    """What an input bundle holds."""

    DATASET = "dataset"
    MODEL = "model"


class OutputKind(StrEnum):
    """What a result bundle holds."""

    ADAPTER = "adapter"
    MODEL = "model"


class TelemetryKind(StrEnum):
    """What the operator may see of a run beyond its phase."""

    PROGRESS = "progress"
    RATES = "rates"
    LOSS = "loss"
    EVALUATION = "evaluation"


class Keys(Section):
    """Two public keys of one holder."""

    signing_key: SigningKeyText
    recipient_key: RecipientKeyText

    @property
    def signing(self) -> VerifyingKey:
        """The key that verifies this holder's signatures."""
        return VerifyingKey.parse(self.signing_key)

    @property
    def recipient(self) -> RecipientPublicKey:
        """The key that others seal to this holder with."""
        return RecipientPublicKey.parse(self.recipient_key)


class Party(Keys):
    """Somebody who takes part (§3.1)."""

    roles: Annotated[tuple[Role, ...], Field(min_length=1), Distinct]

    @property
    def must_sign(self) -> bool:
        """Whether the contract is void without this party's signature (§5.2)."""
        return not SIGNING_ROLES.isdisjoint(self.roles)


class Broker(Keys):
    """A key broker and the party whose keys it releases (§3.2)."""

    owner: Name


class Input(Section):
    """One sealed bundle that goes in (§3.3)."""

    name: Name
    kind: InputKind
    digest: DigestText
    owner: Name
    broker: Name
    deidentification: DeidTerms | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        # spec/contract §3.3: absent where nothing is asked, so that contracts from before keep
        # their digests.
        values: dict[str, object] = handler(self)
        if self.deidentification is None:
            del values["deidentification"]
        return values

    @property
    def bundle(self) -> Digest:
        """The digest of the SealedBundle."""
        return Digest(self.digest)


@pydantic_dataclass(config=UNCONVERTED, frozen=True, slots=True, kw_only=True)
class ContractRecipe(Recipe):
    """The hyper-parameters, and which inputs they are for (§3.4)."""

    model: Name
    datasets: Annotated[tuple[Name, ...], Field(min_length=1), Distinct]

    @property
    def training(self) -> Recipe:
        """The hyper-parameters alone, as the training engine takes them."""
        values = self.to_dict()
        return recipe_from_dict({name: values[name] for name in Recipe.__dataclass_fields__})


class Outputs(Section):
    """What may leave, how much of it and to whom (§3.6)."""

    kinds: Annotated[tuple[OutputKind, ...], Field(min_length=1), Distinct]
    max_bytes: Annotated[int, Field(ge=1, le=OUTPUT_BYTES_MAX)]
    recipients: Annotated[tuple[Name, ...], Field(min_length=1), Distinct]


class Telemetry(Section):
    """What the operator may see while it runs (§3.7)."""

    allowed: Annotated[tuple[TelemetryKind, ...], Distinct] = ()


class ReceiptTerms(Section):
    """Which final numbers the receipt may state (§3.7)."""

    metrics: Annotated[
        tuple[MetricName, ...], Field(max_length=CONTRACT_METRICS_MAX), Distinct
    ] = ()
    counts: Annotated[tuple[MetricName, ...], Field(max_length=CONTRACT_METRICS_MAX), Distinct] = ()


class Validity(Section):
    """From when (included) to when (excluded) keys may be released (§3.8)."""

    not_before: Time
    not_after: Time

    @property
    def start(self) -> datetime:
        """The first valid moment."""
        return parse_time(self.not_before)

    @property
    def end(self) -> datetime:
        """The first moment after."""
        return parse_time(self.not_after)


class Contract(Section):
    """A whole contract whose fields agree with each other; nobody need have signed it."""

    format: Literal["sealtune-contract/1"] = CONTRACT_FORMAT
    name: Name
    purpose: Purpose
    parties: Annotated[dict[Name, Party], Field(min_length=1, max_length=CONTRACT_PARTIES_MAX)]
    brokers: Annotated[dict[Name, Broker], Field(min_length=1, max_length=CONTRACT_BROKERS_MAX)]
    inputs: Annotated[tuple[Input, ...], Field(min_length=1, max_length=CONTRACT_INPUTS_MAX)]
    recipe: ContractRecipe
    enclaves: Annotated[tuple[Enclave, ...], Field(min_length=1, max_length=CONTRACT_ENCLAVES_MAX)]
    outputs: Outputs
    telemetry: Telemetry = Telemetry()
    receipt: ReceiptTerms = ReceiptTerms()
    validity: Validity
    max_runs: Annotated[int, Field(ge=1, le=CONTRACT_RUNS_MAX)]
    max_resumes: Annotated[int, Field(ge=0, le=CONTRACT_RUNS_MAX)] = MAX_RESUMES_DEFAULT

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_agreement(self)
        return self

    @property
    def signers(self) -> dict[str, VerifyingKey]:
        """The parties without whose signature the contract is void, by name (§5.2)."""
        return {name: party.signing for name, party in self.parties.items() if party.must_sign}

    @property
    def insecure(self) -> bool:
        """Whether any enclave entry accepts simulated evidence (§3.5.1)."""
        return any(enclave.insecure_accept_simulated for enclave in self.enclaves)

    @property
    def accepted_enclaves(self) -> tuple[AcceptedEnclave, ...]:
        """The reference values of every enclave that the parties accept."""
        return tuple(enclave.accepted() for enclave in self.enclaves)

    def find_input(self, name: str) -> Input:
        """Return the input called `name` (KeyError if there is none)."""
        for entry in self.inputs:
            if entry.name == name:
                return entry
        raise KeyError(name)
