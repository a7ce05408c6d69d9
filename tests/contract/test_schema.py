"""What a contract may and may not say (spec/contract §2 to §4), field by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sealtune.attestation.snp_report import Generation
from sealtune.contract.contract import contract_from_document
from sealtune.contract.schema import Contract
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import CONTRACT_DAYS_MAX, OUTPUT_BYTES_MAX
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, FormatError
from sealtune.testing.agreement import MEASUREMENT, Agreement
from sealtune.training.recipe import Recipe

Document = dict[str, Any]


def refused(document: Document) -> str:
    with pytest.raises(FormatError) as caught:
        contract_from_document(document, what="job.toml")
    assert caught.value.code is Code.CONTRACT_FIELD
    message = caught.value.message
    assert message.startswith("job.toml: ")
    return message.removeprefix("job.toml: ")


def put(*place: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value

    return change


def test_agreement_is_a_contract(agreement: Agreement) -> None:
    contract = agreement.contract()
    assert contract.insecure
    assert set(contract.signers) == {"hospital", "modelworks", "clinic"}
    assert contract.find_input("notes").owner == "hospital"
    with pytest.raises(KeyError):
        contract.find_input("others")


def test_recipe_becomes_the_training_engines_own_type(agreement: Agreement) -> None:
    recipe = agreement.contract().recipe.training
    assert type(recipe) is Recipe
    assert recipe.labels == ("cardiology", "neurology")


def test_contract_cannot_be_changed(agreement: Agreement) -> None:
    contract = agreement.contract()
    with pytest.raises(ValueError, match="frozen"):
        contract.max_runs = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        contract.recipe.epochs = 5  # type: ignore[misc]


WRONG_VALUES = [
    ("format", put("format", value="sealtune-contract/2")),
    ("name", put("name", value="Triage Notes")),
    ("name", put("name", value="triage\n")),
    ("purpose", put("purpose", value="")),
    ("purpose", put("purpose", value="x" * 2_001)),
    ("purpose", put("purpose", value="seen \x1b[2Kor not")),
    ("purpose", put("purpose", value="gnp.\u202eexe")),
    ("parties", put("parties", value={})),
    ("parties.clinic.roles", put("parties", "clinic", "roles", value=[])),
    ("parties.clinic.roles", put("parties", "clinic", "roles", value=["recipient"] * 2)),
    ("parties.clinic.roles[0]", put("parties", "clinic", "roles", value=["owner"])),
    ("parties.clinic.signing_key", put("parties", "clinic", "signing_key", value="ed25519:AA")),
    ("parties.clinic.recipient_key", put("parties", "clinic", "recipient_key", value="x")),
    ("inputs", put("inputs", value=[])),
    ("inputs[0].kind", put("inputs", 0, "kind", value="result")),
    ("inputs[0].digest", put("inputs", 0, "digest", value="sha256:00")),
    ("enclaves", put("enclaves", value=[])),
    ("enclaves[0].kind", put("enclaves", 0, "kind", value="sev-es")),
    ("enclaves[0].measurements", put("enclaves", 0, "measurements", value=[])),
    ("enclaves[0].measurements[0]", put("enclaves", 0, "measurements", value=["5E" * 48])),
    ("enclaves[0].measurements[0]", put("enclaves", 0, "measurements", value=["5e" * 48 + "\n"])),
    ("enclaves[0].vmpl[0]", put("enclaves", 0, "vmpl", value=[4])),
    ("enclaves[0].vmpl[0]", put("enclaves", 0, "vmpl", value=[False])),
    ("enclaves[0].vmpl", put("enclaves", 0, "vmpl", value=[])),
    ("enclaves[0].chip_ids[0]", put("enclaves", 0, "chip_ids", value=["00"])),
    (
        "enclaves[0].minimum_tcb.genoa.snp",
        put("enclaves", 0, "minimum_tcb", "genoa", "snp", value=256),
    ),
    (
        "enclaves[0].minimum_tcb.genoa.snp",
        put("enclaves", 0, "minimum_tcb", "genoa", "snp", value=-1),
    ),
    (
        "enclaves[0].minimum_tcb.genoa.microcode",
        put("enclaves", 0, "minimum_tcb", "genoa", "microcode", value=1),
    ),
    ("enclaves[0].minimum_tcb", put("enclaves", 0, "minimum_tcb", value={})),
    ("enclaves[0].minimum_tcb.rome", put("enclaves", 0, "minimum_tcb", "rome", value={})),
    ("outputs.kinds", put("outputs", "kinds", value=[])),
    ("outputs.max_bytes", put("outputs", "max_bytes", value=0)),
    ("outputs.max_bytes", put("outputs", "max_bytes", value=OUTPUT_BYTES_MAX + 1)),
    ("outputs.max_bytes", put("outputs", "max_bytes", value="1000")),
    ("outputs.recipients", put("outputs", "recipients", value=[])),
    ("outputs.recipients", put("outputs", "recipients", value=["clinic", "clinic"])),
    ("telemetry.allowed[0]", put("telemetry", "allowed", value=["gradients"])),
    ("receipt.metrics[0]", put("receipt", "metrics", value=["Accuracy; rm"])),
    ("receipt.metrics", put("receipt", "metrics", value=["loss", "loss"])),
    ("validity.not_before", put("validity", "not_before", value="2026-11-01")),
    ("validity.not_before", put("validity", "not_before", value="2026-11-01T00:00:00+01:00")),
    ("max_runs", put("max_runs", value=0)),
    ("max_runs", put("max_runs", value=1_001)),
    ("max_runs", put("max_runs", value=1.5)),
    ("max_resumes", put("max_resumes", value=-1)),
    ("recipe.task", put("recipe", "task", value="poetry")),
    ("recipe.epochs", put("recipe", "epochs", value=0)),
    ("recipe.epochs", put("recipe", "epochs", value="3")),
    ("recipe.datasets", put("recipe", "datasets", value=[])),
    ("recipe.datasets", put("recipe", "datasets", value=["notes", "notes"])),
]


@pytest.mark.parametrize(("place", "change"), WRONG_VALUES)
def test_wrong_value_is_refused_at_its_place(
    agreement: Agreement, place: str, change: Callable[[Document], None]
) -> None:
    document = agreement.document()
    change(document)
    assert refused(document).startswith(f"{place}: ")


DISAGREEMENTS = {
    "an owner nobody knows": (
        put("inputs", 0, "owner", value="laboratory"),
        "inputs[0].owner: no party",
    ),
    "an owner without the role": (
        put("parties", "hospital", "roles", value=["operator"]),
        "inputs[0].owner: 'hospital' has not the role",
    ),
    "a broker nobody knows": (put("inputs", 0, "broker", value="b"), "inputs[0].broker: no broker"),
    "the broker of another party": (
        put("inputs", 0, "broker", value="modelworks-broker"),
        "inputs[0].broker: 'modelworks-broker' belongs to",
    ),
    "two inputs of one name": (put("inputs", 1, "name", value="notes"), "inputs[1].name: the same"),
    "two inputs of one digest": (
        put("inputs", 1, "digest", value=sha256_digest(b"notes")),
        "inputs[1].digest: the same",
    ),
    "a model that is a dataset": (put("recipe", "model", value="notes"), "recipe.model: 'notes'"),
    "a dataset that is a model": (
        put("recipe", "datasets", value=["encoder"]),
        "recipe.datasets: 'encoder'",
    ),
    "an output that the method does not make": (
        put("outputs", "kinds", value=["model"]),
        "outputs.kinds: ",
    ),
    "one output too many": (put("outputs", "kinds", value=["adapter", "model"]), "outputs.kinds: "),
    "a recipient nobody knows": (
        put("outputs", "recipients", value=["press"]),
        "outputs.recipients: no party",
    ),
    "a recipient without the role": (
        put("outputs", "recipients", value=["clinic", "datacentre"]),
        "outputs.recipients: 'datacentre' has not the role",
    ),
    "a recipient who gets nothing": (
        put("parties", "datacentre", "roles", value=["recipient"]),
        "parties.datacentre.roles: 'datacentre' is not among",
    ),
    "an owner of nothing": (
        put("parties", "clinic", "roles", value=["recipient", "data_owner"]),
        "parties.clinic.roles: 'clinic' has the role",
    ),
    "a policy bit nobody knows": (
        put("enclaves", 0, "required_policy", value=["single-sockets"]),
        "enclaves[0].required_policy: unknown requirement 'single-sockets'; did you mean",
    ),
    "a platform bit nobody knows": (
        put("enclaves", 0, "required_platform", value=["eccc"]),
        "enclaves[0].required_platform: unknown requirement 'eccc'",
    ),
    "the insecure switch without a root": (
        put("enclaves", 0, "simulated_root", value=None),
        "enclaves[0].simulated_root: ",
    ),
    "a simulated root without the switch": (
        put("enclaves", 0, "insecure_accept_simulated", value=False),
        "enclaves[0].simulated_root: ",
    ),
    "a period that ends as it begins": (
        put("validity", "not_after", value="2026-11-01T00:00:00Z"),
        "validity.not_after: not later",
    ),
    "a period of years": (
        put("validity", "not_after", value="2029-11-01T00:00:00Z"),
        f"validity.not_after: more than {CONTRACT_DAYS_MAX} days",
    ),
}


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_fields_that_disagree_are_refused(agreement: Agreement, name: str) -> None:
    change, expected = DISAGREEMENTS[name]
    document = agreement.document()
    change(document)
    assert refused(document).startswith(expected)


@pytest.mark.parametrize("field", ["signing_key", "recipient_key"])
@pytest.mark.parametrize(
    ("holder", "other"),
    [
        (("parties", "clinic"), ("parties", "hospital")),
        (("brokers", "hospital-broker"), ("parties", "hospital")),
        (("brokers", "hospital-broker"), ("brokers", "modelworks-broker")),
    ],
)
def test_one_key_has_one_holder(
    agreement: Agreement, field: str, holder: tuple[str, str], other: tuple[str, str]
) -> None:
    document = agreement.document()
    document[holder[0]][holder[1]][field] = document[other[0]][other[1]][field]
    assert "has the same key" in refused(document)


def test_two_enclaves_of_one_name(agreement: Agreement) -> None:
    document = agreement.document()
    document["enclaves"].append(document["enclaves"][0])
    assert refused(document).startswith("enclaves[1].name: the same")


def test_broker_and_input_that_nothing_uses(agreement: Agreement) -> None:
    document = agreement.document()
    spare = Identity.generate("spare").public
    keys = {"signing_key": spare.signing.text, "recipient_key": spare.recipient.text}
    document["brokers"]["spare"] = {"owner": "hospital", **keys}
    assert refused(document).startswith("brokers.spare: no input")
    document = agreement.document()
    document["inputs"].append(
        {**document["inputs"][0], "name": "more", "digest": sha256_digest(b"more")}
    )
    assert refused(document).startswith("inputs[2]: the recipe does not use 'more'")


@pytest.mark.parametrize("component", ["bl", "tee", "snp", "ucode"])
def test_tcb_names_every_component(agreement: Agreement, component: str) -> None:
    document = agreement.document()
    del document["enclaves"][0]["minimum_tcb"]["genoa"][component]
    assert refused(document).startswith("enclaves[0].minimum_tcb.genoa: names each of bl, tee")


def test_turin_has_one_component_more(agreement: Agreement) -> None:
    document = agreement.document()
    tcb = document["enclaves"][0]["minimum_tcb"]
    tcb["turin"] = tcb["genoa"]
    assert refused(document).startswith("enclaves[0].minimum_tcb.turin: names each of fmc")
    tcb["turin"] = {**tcb["genoa"], "fmc": 1}
    assert isinstance(contract_from_document(document, what="x"), Contract)


def test_enclaves_become_reference_values(agreement: Agreement) -> None:
    document = agreement.document()
    chip = "ab" * 64
    document["enclaves"].append(
        {
            **document["enclaves"][0],
            "name": "real",
            "chip_ids": [chip],
            "csp_ids": ["cloud"],
            "vmpl": [0, 1],
            "required_policy": ["single-socket"],
            "required_platform": ["ecc", "tsme"],
            "insecure_accept_simulated": False,
            "simulated_root": None,
        }
    )
    simulated, real = contract_from_document(document, what="x").accepted_enclaves
    assert simulated.simulated_root == sha256_digest(b"a root that nobody trusts")
    assert simulated.snp is not None
    assert real.snp is not None
    assert simulated.snp.chip_ids is None
    assert simulated.snp.minimum_tcb == {
        Generation.GENOA: {"bl": 9, "tee": 0, "snp": 23, "ucode": 72}
    }
    assert not real.insecure_accept_simulated
    assert (real.snp.chip_ids, real.snp.csp_ids) == ({chip}, {"cloud"})
    assert (real.snp.vmpl, real.measurements) == ({0, 1}, {MEASUREMENT})
    assert real.snp.required_policy == {"single-socket"}
    assert real.snp.required_platform == {"ecc", "tsme"}


@pytest.mark.parametrize(
    ("place", "field", "meant"),
    [
        ((), "max_run", "max_runs"),
        (("recipe",), "learning_rte", "learning_rate"),
        (("recipe",), "dataset", "datasets"),
        (("enclaves", 0), "mesurements", "measurements"),
        (("parties", "clinic"), "role", "roles"),
        (("brokers", "hospital-broker"), "owners", "owner"),
        (("inputs", 1), "digst", "digest"),
    ],
)
def test_unknown_field_is_named_with_the_nearest_known(
    agreement: Agreement, place: tuple[str | int, ...], field: str, meant: str
) -> None:
    document = agreement.document()
    put(*place, field, value=1)(document)
    message = refused(document)
    assert f"{field}: unknown field" in message
    assert f'did you mean "{meant}"?' in message


def test_unknown_field_without_a_near_one_and_with_escapes(agreement: Agreement) -> None:
    document = agreement.document()
    document["\x1b[2Jzzz"] = 1
    message = refused(document)
    assert message.isprintable()
    assert "did you mean" not in message


def test_many_problems_are_counted(agreement: Agreement) -> None:
    document = agreement.document()
    for field in "abcdefgh":
        document[field] = 1
    assert refused(document).endswith("and 3 more")


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_not_an_object(document: Any) -> None:
    with pytest.raises(FormatError) as caught:
        contract_from_document(document, what="job.toml")
    assert caught.value.code is Code.CONTRACT_MALFORMED


def test_number_beyond_json(agreement: Agreement) -> None:
    document = agreement.document()
    document["max_runs"] = 2**60
    with pytest.raises(FormatError) as caught:
        contract_from_document(document, what="job.toml")
    assert caught.value.code is Code.CONTRACT_MALFORMED
