"""Trained tensors as views of flat buffers."""

from __future__ import annotations

import pytest
import torch

from sealtune.training.engine.flat import FlatParameters, Slot

CPU = torch.device("cpu")
SLOTS = [
    Slot(name="bias", shape=(5,)),
    Slot(name="a.lora_A", shape=(2, 3)),
    Slot(name="b.lora_A", shape=(2, 3)),
    Slot(name="a.lora_B", shape=(4, 2), scale=0.5),
    Slot(name="norm", shape=(3,)),
    Slot(name="b.lora_B", shape=(6, 2), scale=0.5),
    Slot(name="c.lora_B", shape=(3, 2), scale=4.0),
    Slot(name="matrix", shape=(2, 7)),
]
COUNT = 5 + 6 + 6 + 8 + 3 + 12 + 6 + 14


def flat(dtype: torch.dtype = torch.float32, slots: list[Slot] = SLOTS) -> FlatParameters:
    parameters = FlatParameters(slots, dtype=dtype, device=CPU)
    parameters.values.copy_(torch.arange(parameters.count) + 1.0)
    return parameters


def test_each_tensor_has_its_own_place() -> None:
    parameters = flat()
    assert parameters.count == COUNT
    seen = torch.cat([parameters.value(slot.name).flatten() for slot in SLOTS])
    assert sorted(seen.tolist()) == [i + 1.0 for i in range(COUNT)]
    for slot in SLOTS:
        assert parameters.value(slot.name).shape == slot.shape
        assert parameters.gradient(slot.name).shape == slot.shape
        assert parameters.computed(slot.name).shape == slot.shape


def test_matrices_stand_before_vectors() -> None:
    parameters = flat()
    assert parameters.decayed == COUNT - 5 - 3
    spared = parameters.values[parameters.decayed :]
    vectors = [parameters.value("bias"), parameters.value("norm")]
    assert torch.equal(spared, torch.cat(vectors))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compute_copies_are_scaled(dtype: torch.dtype) -> None:
    parameters = flat(dtype)
    assert not parameters.compute.any()
    parameters.refresh()
    for slot in SLOTS:
        expected = (parameters.value(slot.name) * slot.scale).to(dtype)
        assert torch.equal(parameters.computed(slot.name), expected), slot.name
    parameters.values.neg_()
    parameters.refresh()
    assert (parameters.compute < 0).all()


def test_equal_numbers_share_memory() -> None:
    plain = [Slot(name="a", shape=(2, 3)), Slot(name="b", shape=(3,))]
    shared = flat(slots=plain)
    assert shared.compute is shared.values
    shared.refresh()
    assert shared.computed("b").data_ptr() == shared.value("b").data_ptr()
    assert flat().compute is not flat().values
    assert flat(torch.bfloat16, plain).compute.dtype is torch.bfloat16


def test_neighbours_are_one_matrix_or_vector() -> None:
    parameters = flat()
    stacked = parameters.stacked(["a.lora_A", "b.lora_A"], parameters.values)
    parts = [parameters.value("a.lora_A"), parameters.value("b.lora_A")]
    assert torch.equal(stacked, torch.cat(parts))
    stacked.zero_()
    assert not parameters.value("b.lora_A").any()
    run = parameters.run(["bias", "norm"], parameters.gradients)
    run += 2.0
    assert parameters.gradient("norm").tolist() == [2.0] * 3


@pytest.mark.parametrize(
    "names", [["b.lora_A", "a.lora_A"], ["a.lora_A", "matrix"], ["a.lora_A", "a.lora_A"]]
)
def test_strangers_are_no_neighbours(names: list[str]) -> None:
    with pytest.raises(ValueError, match="neighbour"):
        flat().run(names, flat().values)


def test_gradients_are_views_that_clear() -> None:
    parameters = flat()
    parameters.gradient("norm").add_(1.0)
    parameters.gradient("norm").add_(1.0)
    assert parameters.gradients.sum() == 6
    parameters.clear()
    assert not parameters.gradients.any()
    assert parameters.values.any()


def test_one_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="one name"):
        flat(slots=[*SLOTS, Slot(name="norm", shape=(1,))])
