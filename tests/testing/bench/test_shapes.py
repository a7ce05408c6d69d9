"""The shapes are those of the real models, and what is written of them is that."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import transformers

from sealtune.errors import Code, ConfigError
from sealtune.testing.bench.data import DataKind, parse_data
from sealtune.testing.bench.shapes import (
    find_shape,
    multiplied_parameters,
    parameter_count,
    shape_names,
    tensor_shapes,
)
from sealtune.testing.bench.tokenizer import (
    ROLES,
    TEXT_END,
    TURN,
    TURN_END,
    UNKNOWN,
    plain_words,
    tokenizer_files,
    vocabulary,
)
from sealtune.testing.bench.weights import FolderWeights, make_model
from sealtune.training.tokens import load_tokenizer

# What the models' makers publish as the number of parameters.
COUNTS = {
    "smollm2-135m": 134_515_008,
    "qwen2.5-0.5b": 494_032_768,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.1-8b": 8_030_261_248,
}


def _silent(done: int, total: int) -> None:
    assert 0 < done <= total


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a folder."""
    return make_model(
        find_shape("tiny"), tmp_path_factory.mktemp("models") / "tiny", seed=0, progress=_silent
    )


def test_every_shape_has_a_known_count() -> None:
    assert set(shape_names()) == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_shape_has_the_published_number_of_parameters(name: str) -> None:
    assert parameter_count(find_shape(name)) == COUNTS[name]


@pytest.mark.parametrize("name", [*COUNTS, "tiny"])
def test_a_shape_has_the_tensors_that_transformers_builds(name: str) -> None:
    import torch

    shape = find_shape(name)
    kind = transformers.AutoConfig.for_model(**shape.config)
    with torch.device("meta"):
        module = transformers.AutoModelForCausalLM.from_config(kind)
    built = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    if shape.tied:
        del built["lm_head.weight"]
    assert tensor_shapes(shape) == built


def test_what_is_multiplied_is_all_but_the_norms() -> None:
    linear, head = multiplied_parameters(tensor_shapes(find_shape("smollm2-135m")))
    assert head == 49_152 * 576
    assert linear + head == COUNTS["smollm2-135m"] - (2 * 30 + 1) * 576
    # An LM head of its own: the embedding is only looked up.
    linear, head = multiplied_parameters(tensor_shapes(find_shape("llama-3.1-8b")))
    assert linear + 2 * head == COUNTS["llama-3.1-8b"] - (2 * 32 + 1) * 4_096


def test_an_encoder_has_no_head_and_pools_once() -> None:
    sizes = {"embeddings.word_embeddings.weight": (10, 4), "pooler.dense.weight": (4, 4)}
    assert multiplied_parameters({**sizes, "layer.0.query.weight": (4, 4)}) == (16, 0)


def test_an_unknown_shape_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as refused:
        find_shape("llama-9")
    assert refused.value.code is Code.CONFIG_INVALID
    assert all(name in refused.value.remedy for name in (*COUNTS, "minilm"))
    assert "tiny" not in refused.value.remedy


@pytest.mark.parametrize("name", [*COUNTS, "tiny"])
def test_each_id_has_a_word_and_special_tokens_stand_where_the_real_ones_do(name: str) -> None:
    shape = find_shape(name)
    words = vocabulary(shape)
    assert len(set(words)) == len(words) == shape.config["vocab_size"]
    marks = shape.marks
    assert (words[marks.text_end], words[marks.turn], words[marks.turn_end]) == (
        TEXT_END,
        TURN,
        TURN_END,
    )
    assert marks.text_end == shape.config["eos_token_id"]
    assert {*ROLES, UNKNOWN} < set(words)
    assert len(plain_words(shape)) == len(words) - 7


def test_the_tokenizer_gives_one_token_for_each_word() -> None:
    shape = find_shape("tiny")
    tokenizer = load_tokenizer(tokenizer_files(shape))
    words = plain_words(shape)
    ids, cut = tokenizer.encode([" ".join(words)], max_length=1_000)[0]
    assert not cut
    assert [vocabulary(shape)[number] for number in ids] == words


def test_weights_are_drawn_as_said_and_norms_are_1(tiny: Path) -> None:
    source = FolderWeights(tiny)
    sizes = {name: info.shape for name, info in source.tensors.items()}
    assert sizes == tensor_shapes(find_shape("tiny"))
    drawn = _values(source, "model.embed_tokens.weight")
    assert 0.019 < drawn.std() < 0.021
    assert abs(drawn.mean()) < 0.001
    assert (_values(source, "model.norm.weight") == 1).all()


def test_the_same_seed_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    again = make_model(find_shape("tiny"), tmp_path / "again", seed=0, progress=_silent)
    other = make_model(find_shape("tiny"), tmp_path / "other", seed=1, progress=_silent)
    name = "model.safetensors"
    assert (again / name).read_bytes() == (tiny / name).read_bytes()
    assert (other / name).read_bytes() != (tiny / name).read_bytes()


def test_a_model_that_is_there_is_not_written_again(tiny: Path) -> None:
    before = (tiny / "model.safetensors").stat().st_mtime_ns
    assert make_model(find_shape("tiny"), tiny, seed=0, progress=_silent) == tiny
    assert (tiny / "model.safetensors").stat().st_mtime_ns == before


def test_shards_are_found_by_their_index(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealtune.testing.bench.weights._SHARD_BYTES", 80_000)
    folder = make_model(find_shape("tiny"), tmp_path / "sharded", seed=0, progress=_silent)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    assert len(set(index.values())) == len(list(folder.glob("*.safetensors"))) > 1
    whole, sharded = FolderWeights(tiny), FolderWeights(folder)
    for name in index:
        assert (_values(whole, name) == _values(sharded, name)).all()


def test_transformers_loads_what_is_written(tiny: Path) -> None:
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        tiny, output_loading_info=True
    )
    assert not any(report.values())
    assert model.num_parameters() == parameter_count(find_shape("tiny"))


def test_pieces_of_a_tensor_are_the_tensor(tiny: Path) -> None:
    source = FolderWeights(tiny)
    name = "model.embed_tokens.weight"
    row = 2 * source.tensors[name].shape[1]
    buffer = memoryview(bytearray(5 * row + 7))
    pieces = [bytes(piece) for piece in source.read_pieces(name, buffer, multiple=row)]
    assert {len(piece) for piece in pieces[:-1]} == {5 * row}
    assert b"".join(pieces) == _bytes(source, name)


@pytest.mark.parametrize(
    "text", ["", "fixed", "fixed:", "fixed:1", "fixed:-5", "fixed:1e3", "chats"]
)
def test_unknown_data_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_data(text)
    assert refused.value.code is Code.CONFIG_INVALID


def test_a_step_has_about_4096_tokens() -> None:
    for length in (16, 512, 4_096):
        data = parse_data(f"fixed:{length}")
        assert data.kind is DataKind.FIXED
        assert data.records_per_step * length == 4_096
    assert parse_data("fixed:8192").records_per_step == 1


def _bytes(source: FolderWeights, name: str) -> bytes:
    length = 2 * int(np.prod(source.tensors[name].shape))
    data = bytearray(length)
    source.read_into(name, memoryview(data))
    return bytes(data)


def _values(source: FolderWeights, name: str) -> np.ndarray:
    upper = np.frombuffer(_bytes(source, name), dtype=np.uint16).astype(np.uint32)
    return (upper << 16).view(np.float32)
