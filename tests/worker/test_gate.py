"""The export gate lets out what the contract says and refuses each other thing by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import torch
from safetensors.torch import save

from sealtune.contract.contract import VerifiedContract, contract_from_document, verify_contract
from sealtune.contract.schema import OutputKind
from sealtune.errors import Code, VerificationError
from sealtune.testing.agreement import SIGNERS, Agreement, make_agreement
from sealtune.training.sources import TrainResult
from sealtune.worker.gate import pass_gate

NAME = "base_model.model.classifier.weight"


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    return make_agreement()


def _contract(agreement: Agreement, now: datetime, **terms: Any) -> VerifiedContract:
    document = {**agreement.document(), **terms}
    contract = contract_from_document(document, what="test")
    return verify_contract(agreement.sign(contract, signers=SIGNERS), now=now)


def _result(**files: bytes) -> TrainResult:
    adapter = {
        "adapter_model.safetensors": save({NAME: torch.ones(2, 3)}),
        "adapter_config.json": b"{}",
        "tokenizer.json": b"{}",
        "README.md": b"# adapter",
    }
    named = {name.replace("__", "."): content for name, content in files.items()}
    return TrainResult(files={**adapter, **named}, metrics={}, counts={})


def _without(name: str) -> TrainResult:
    files = {key: value for key, value in _result().files.items() if key != name}
    return TrainResult(files=files, metrics={}, counts={})


def _weights(**tensors: torch.Tensor) -> TrainResult:
    named = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return _result(adapter_model__safetensors=save(named))


def _padded() -> TrainResult:
    content = save({NAME: torch.ones(2, 3)})
    return _result(adapter_model__safetensors=content + b"note")


def test_an_adapter_as_agreed_passes(agreement: Agreement, now: datetime) -> None:
    gated = pass_gate(_result(), _contract(agreement, now))
    assert gated.kind is OutputKind.ADAPTER
    assert gated.files == _result().files


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: _without("adapter_config.json"), id="no configuration"),
        pytest.param(lambda: _without("adapter_model.safetensors"), id="no weights"),
        pytest.param(lambda: _result(records__jsonl=b"{}"), id="a file of another name"),
        pytest.param(lambda: _result(model__safetensors=b""), id="the base model beside it"),
        pytest.param(lambda: _result(adapter_model__safetensors=b"no weights"), id="not weights"),
        pytest.param(lambda: _result(adapter_model__safetensors=save({})), id="no tensor"),
        pytest.param(lambda: _weights(embeddings=torch.ones(2)), id="a tensor of the base model"),
        pytest.param(
            lambda: _weights(base_model__model__x=torch.tensor([1.0, float("nan")])), id="NaN"
        ),
        pytest.param(
            lambda: _weights(base_model__model__x=torch.tensor([float("inf")])), id="infinity"
        ),
        pytest.param(_padded, id="bytes after the tensors"),
    ],
)
def test_another_result_stays_inside(
    agreement: Agreement, now: datetime, make: Callable[[], TrainResult]
) -> None:
    with pytest.raises(VerificationError) as caught:
        pass_gate(make(), _contract(agreement, now))
    assert caught.value.code is Code.OUTPUT_REFUSED


def test_a_larger_result_than_agreed_stays_inside(agreement: Agreement, now: datetime) -> None:
    size = sum(map(len, _result().files.values()))
    outputs = agreement.document()["outputs"]
    exact = _contract(agreement, now, outputs={**outputs, "max_bytes": size})
    assert pass_gate(_result(), exact)
    less = _contract(agreement, now, outputs={**outputs, "max_bytes": size - 1})
    with pytest.raises(VerificationError) as caught:
        pass_gate(_result(), less)
    assert caught.value.code is Code.OUTPUT_REFUSED
