"""`sealtune plan`: what an operator sees, and what an owner of a key does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.said import Sealtune
from sealtune.bundle.reader import open_bundle_file
from sealtune.contract.contract import canonical_contract, contract_from_document
from sealtune.core.limits import GIB, MIB
from sealtune.testing.agreement import make_agreement
from training.tiny_models import make_model


@pytest.fixture
def job(keys: Path, sealed: Path, sealtune_: Sealtune) -> list[object]:
    """The arguments that name a contract and its inputs, which `owner` opens; `clinic` opens the
    model alone.
    """
    make_model(keys / "model", model_type="llama", auto_class="AutoModelForSequenceClassification")
    model = keys / "model.sealed"
    arguments = ("-o", model, "--owner", keys / "owner.key", "--to", keys / "clinic.pub")
    assert sealtune_("seal", "model", keys / "model", *arguments).status == 0
    document = make_agreement().document()
    for item, path in zip(document["inputs"], (sealed, model), strict=True):
        with open_bundle_file(path) as bundle:
            item["digest"] = bundle.digest
    document["recipe"] |= {"labels": ["x", "y"], "max_length": 64, "precision": "fp32"}
    contract = contract_from_document(document, what="test")
    (keys / "contract.json").write_bytes(canonical_contract(contract))
    inputs = ["--input", f"notes={sealed}", "--input", f"encoder={model}"]
    return ["plan", keys / "contract.json", *inputs]


def test_without_a_key_it_estimates_from_sizes(job: list[object], sealtune_: Sealtune) -> None:
    found = sealtune_(*job, "--json").json
    assert found["known"] == "sizes of sealed files"
    assert found["choices"] == {}
    assert found["predicted_peak_bytes"] == sum(found["predicted_parts"].values()) > GIB
    assert "safe side" in sealtune_(*job).out


def test_too_small_a_limit_is_told_without_a_key(job: list[object], sealtune_: Sealtune) -> None:
    found = sealtune_(*job, "--memory-limit", "600M", "--json").json
    assert found["memory_limit_bytes"] == 600 * MIB
    assert "refuses if there is none" in found["reasons"][-1]


def test_with_the_key_it_is_the_workers_plan(
    job: list[object], keys: Path, sealtune_: Sealtune
) -> None:
    owned = [*job, "--key", keys / "owner.key"]
    found = sealtune_(*owned, "--json").json
    assert found["known"] == "the model and the records"
    assert found["choices"]["precision"] == "fp32"
    assert found["choices"]["streamed"] is False
    assert found["predicted_peak_bytes"] == sum(found["predicted_parts"].values()) < GIB
    text = sealtune_(*owned, "--memory-limit", "1.5G").out
    assert "interpreter and libraries" in text
    assert "together" in text
    assert "1.5 GiB" in text


def test_what_fits_nowhere_is_refused_with_figures(
    job: list[object], keys: Path, sealtune_: Sealtune
) -> None:
    said = sealtune_(*job, "--key", keys / "owner.key", "--memory-limit", "100M", "--json")
    assert said.error["code"] == "memory-too-small"
    assert "GiB" in said.error["message"]
    assert "give it" in said.error["remedy"]


def test_a_key_that_opens_nothing_adds_nothing(
    job: list[object], keys: Path, sealtune_: Sealtune
) -> None:
    assert sealtune_("key", "create", "auditor", "--dir", keys).status == 0
    found = sealtune_(*job, "--key", keys / "auditor.key", "--json").json
    assert found["known"] == "sizes of sealed files"


def test_the_models_key_alone_plans_for_the_longest_records(
    job: list[object], keys: Path, sealtune_: Sealtune
) -> None:
    found = sealtune_(*job, "--key", keys / "clinic.key", "--json").json
    assert found["known"].startswith("the model, and records as long")
    both = sealtune_(*job, "--key", keys / "clinic.key", "--key", keys / "owner.key", "--json").json
    assert both["known"] == "the model and the records"
    assert both["predicted_peak_bytes"] < found["predicted_peak_bytes"]


def test_another_bundle_is_refused(job: list[object], keys: Path, sealtune_: Sealtune) -> None:
    other = [*job[:3], f"notes={keys / 'model.sealed'}", *job[4:]]
    assert sealtune_(*other, "--json").status != 0


def test_an_input_without_a_place_is_named(job: list[object], sealtune_: Sealtune) -> None:
    said = sealtune_(*job[:4], "--json")
    assert said.error["code"] == "config-invalid"
    assert "encoder" in said.error["message"]


@pytest.mark.parametrize("text", ["1.5", "1.5555G", "G", "-1G", "1e3", "0M", "0.0G"])
def test_sizes_that_do_not_read(text: str, job: list[object], sealtune_: Sealtune) -> None:
    assert sealtune_(*job, "--memory-limit", text).status == 2
