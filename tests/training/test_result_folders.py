"""What the engine returns loads with plain `transformers` and `peft` and computes the same loss.

One case per architecture in the table: training it is how an architecture gets in there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from tiny_models import (
    LABELS,
    FolderWeights,
    Recorder,
    image_records,
    labelled_records,
    make_model,
    tagged_records,
    text_records,
    write_files,
)

from sealtune.training.architectures import ARCHITECTURES, class_for
from sealtune.training.encode import encode_records
from sealtune.training.images import load_image_processor
from sealtune.training.recipe import Method, Recipe, Task
from sealtune.training.sources import TrainResult
from sealtune.training.tokens import load_tokenizer
from sealtune.training.train import train

CLASSIFYING = (Task.TEXT_CLASSIFICATION, Task.TOKEN_CLASSIFICATION, Task.IMAGE_CLASSIFICATION)
CLASSIFIERS = [
    (name, task) for name, a in ARCHITECTURES.items() for task in CLASSIFYING if class_for(a, task)
]
LANGUAGE_MODELS = [name for name, a in ARCHITECTURES.items() if a.causal_lm]
RECORDS = {
    Task.CAUSAL_LM: text_records,
    Task.TEXT_CLASSIFICATION: labelled_records,
    Task.TOKEN_CLASSIFICATION: tagged_records,
    Task.IMAGE_CLASSIFICATION: image_records,
}
AUTO = {
    Task.CAUSAL_LM: transformers.AutoModelForCausalLM,
    Task.TEXT_CLASSIFICATION: transformers.AutoModelForSequenceClassification,
    Task.TOKEN_CLASSIFICATION: transformers.AutoModelForTokenClassification,
    Task.IMAGE_CLASSIFICATION: transformers.AutoModelForImageClassification,
}


def small_recipe(task: Task, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "task": task,
        "method": Method.LORA,
        "epochs": 1,
        "batch_size": 4,
        "max_length": 24,
        "learning_rate": 5e-3,
        "evaluation_fraction": 0.0,
        "threads": 1,
        "lora_rank": 4,
        "labels": () if task is Task.CAUSAL_LM else LABELS,
    }
    return Recipe(**{**values, **changes})


def run(folder: Path, recipe: Recipe) -> tuple[TrainResult, list[dict[str, object]]]:
    make = RECORDS[recipe.task]
    held_out = make(19)[12:]
    recorder = Recorder()
    result = train(
        recipe,
        weights=FolderWeights(folder),
        records=make(12),
        checkpoints=recorder,
        telemetry=recorder,
        evaluation_records=held_out,
    )
    return result, held_out


def plain_loss(model: Any, folder: Path, recipe: Recipe, records: list[dict[str, object]]) -> float:
    """The mean loss by the model's own forward pass, one record at a time, without padding."""
    files = FolderWeights(folder).files
    of_images = recipe.task is Task.IMAGE_CLASSIFICATION
    images = load_image_processor(files) if of_images else None
    tokenizer = None if of_images else load_tokenizer(files)
    encoded = encode_records(
        records, recipe=recipe, tokenizer=tokenizer, images=images, what="record"
    )
    model.eval()
    total = count = 0.0
    for example in encoded.examples:
        targets = torch.from_numpy(example.targets)
        whole = recipe.task in (Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION)
        given = {"labels": targets if whole else targets.unsqueeze(0)}
        if images is None:
            given["input_ids"] = torch.from_numpy(example.ids).unsqueeze(0)
        else:
            given["pixel_values"] = torch.from_numpy(images.normalized(example.pixels[None]))
        with torch.no_grad():
            loss = model(**given).loss
        total += float(loss) * example.supervised
        count += example.supervised
    return total / count


@pytest.mark.parametrize(("model_type", "task"), CLASSIFIERS)
def test_adapter_of_a_classifier_loads_in_peft(
    model_type: str, task: Task, model_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = model_folder(model_type, "AutoModel")
    recipe = small_recipe(task)
    result, held_out = run(folder, recipe)
    base = AUTO[task].from_pretrained(folder, num_labels=3)
    model = peft.PeftModel.from_pretrained(base, write_files(tmp_path / "out", result.files))
    loss = plain_loss(model, folder, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)
    assert result.metrics["loss_after"] != result.metrics["loss_before"]


@pytest.mark.parametrize("model_type", LANGUAGE_MODELS)
def test_adapter_of_a_language_model_loads_in_peft(
    model_type: str, model_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = model_folder(model_type, "AutoModelForCausalLM")
    recipe = small_recipe(Task.CAUSAL_LM)
    result, held_out = run(folder, recipe)
    base = transformers.AutoModelForCausalLM.from_pretrained(folder)
    before = plain_loss(base, folder, recipe, held_out)
    assert before == pytest.approx(result.metrics["loss_before"], rel=1e-4)
    model = peft.PeftModel.from_pretrained(base, write_files(tmp_path / "out", result.files))
    loss = plain_loss(model, folder, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)
    assert loss < before


@pytest.mark.parametrize(
    ("model_type", "task"),
    [
        ("bert", Task.TEXT_CLASSIFICATION),
        ("distilbert", Task.TEXT_CLASSIFICATION),
        ("llama", Task.TEXT_CLASSIFICATION),
        ("bert", Task.TOKEN_CLASSIFICATION),
        ("modernbert", Task.TOKEN_CLASSIFICATION),
        ("deberta-v2", Task.TEXT_CLASSIFICATION),
        ("llama", Task.CAUSAL_LM),
        ("gemma3_text", Task.CAUSAL_LM),
        ("gpt_neox", Task.CAUSAL_LM),
        ("vit", Task.IMAGE_CLASSIFICATION),
        ("swin", Task.IMAGE_CLASSIFICATION),
        ("convnext", Task.IMAGE_CLASSIFICATION),
    ],
)
def test_full_model_loads_in_transformers(
    model_type: str, task: Task, model_folder: Callable[..., Path], tmp_path: Path
) -> None:
    language = task is Task.CAUSAL_LM
    folder = model_folder(model_type, "AutoModelForCausalLM" if language else "AutoModel")
    recipe = small_recipe(task, method=Method.FULL, learning_rate=1e-3)
    result, held_out = run(folder, recipe)
    out = write_files(tmp_path / "out", result.files)
    model, report = AUTO[task].from_pretrained(out, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    loss = plain_loss(model, folder, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)
    if task is Task.IMAGE_CLASSIFICATION:
        assert transformers.AutoImageProcessor.from_pretrained(out).size["height"] == 16
    else:
        assert transformers.AutoTokenizer.from_pretrained(out)("the wind").input_ids[0] == 1
    if not language:
        assert model.config.id2label == dict(enumerate(LABELS))


def test_tied_embeddings_are_stored_once(tmp_path: Path) -> None:
    folder = make_model(
        tmp_path / "tied",
        model_type="llama",
        auto_class="AutoModelForCausalLM",
        tie_word_embeddings=True,
    )
    recipe = small_recipe(Task.CAUSAL_LM, method=Method.FULL)
    result, held_out = run(folder, recipe)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        write_files(tmp_path / "out", result.files)
    )
    loss = plain_loss(model, folder, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)


def test_new_pooler_is_trained_and_travels_with_the_adapter(bert: Path, tmp_path: Path) -> None:
    weights = FolderWeights(bert)
    for name in [n for n in weights.tensors if n.startswith("pooler.")]:
        del weights.tensors[name]
    recorder = Recorder()
    recipe = small_recipe(Task.TEXT_CLASSIFICATION)
    held_out = labelled_records(6)
    result = train(
        recipe,
        weights=weights,
        records=labelled_records(12),
        checkpoints=recorder,
        telemetry=recorder,
        evaluation_records=held_out,
    )
    assert json.loads(result.files["adapter_config.json"])["modules_to_save"] == [
        "classifier",
        "bert.pooler",
    ]
    base = transformers.AutoModelForSequenceClassification.from_pretrained(bert, num_labels=3)
    model = peft.PeftModel.from_pretrained(base, write_files(tmp_path / "out", result.files))
    loss = plain_loss(model, bert, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)


def test_early_stopping_returns_the_best_weights(bert: Path, tmp_path: Path) -> None:
    # A rate at which the tiny model soon gets worse.
    recipe = small_recipe(
        Task.TEXT_CLASSIFICATION,
        epochs=10,
        learning_rate=0.2,
        early_stopping_patience=2,
        evaluation_every_steps=1,
    )
    result, held_out = run(bert, recipe)
    assert result.counts["optimizer_steps"] < 30
    base = transformers.AutoModelForSequenceClassification.from_pretrained(bert, num_labels=3)
    model = peft.PeftModel.from_pretrained(base, write_files(tmp_path / "out", result.files))
    loss = plain_loss(model, bert, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "task"),
    [("bert", Task.TEXT_CLASSIFICATION), ("vit", Task.IMAGE_CLASSIFICATION)],
)
@pytest.mark.parametrize("method", Method)
def test_a_head_for_other_classes_is_replaced(
    name: str, task: Task, method: Method, tmp_path: Path
) -> None:
    kinds = {"bert": "AutoModelForSequenceClassification", "vit": "AutoModelForImageClassification"}
    folder = make_model(tmp_path / "base", model_type=name, auto_class=kinds[name], num_labels=2)
    recipe = small_recipe(task, method=method)
    result, held_out = run(folder, recipe)
    out = write_files(tmp_path / "out", result.files)
    card = result.files["README.md"].decode()
    assert result.counts["replaced_heads"] == 1
    assert "The base model's `classifier`, for another number of classes" in card
    if method is Method.FULL:
        model = AUTO[task].from_pretrained(out)
    else:
        assert "from_pretrained(BASE, num_labels=3, ignore_mismatched_sizes=True)" in card
        base = AUTO[task].from_pretrained(folder, num_labels=3, ignore_mismatched_sizes=True)
        model = peft.PeftModel.from_pretrained(base, out)
    loss = plain_loss(model, folder, recipe, held_out)
    assert loss == pytest.approx(result.metrics["loss_after"], rel=1e-4)


def test_card_shows_how_to_load_and_nothing_of_the_records(bert: Path) -> None:
    result, _ = run(bert, small_recipe(Task.TEXT_CLASSIFICATION))
    card = result.files["README.md"].decode()
    assert "BertForSequenceClassification.from_pretrained(BASE, num_labels=3)" in card
    assert "PeftModel.from_pretrained(base, HERE)" in card
    assert all(label in card for label in LABELS)
    assert "another number of classes" not in card
    assert "lighthouse" not in card
    assert "0." + str(result.metrics["loss_after"])[2:6] not in card


@pytest.mark.parametrize("name", ["llama", "stablelm"])
def test_a_padding_token_without_an_embedding_is_none(name: str, tmp_path: Path) -> None:
    """A tokenizer got a [PAD], the model's embeddings stayed as they were."""
    shape = {"model_type": name, "auto_class": "AutoModelForCausalLM", "vocab_size": 310}
    weights = FolderWeights(make_model(tmp_path / "base", **shape))
    weights.config["pad_token_id"] = None
    document = json.loads(weights.files["tokenizer.json"])
    added = document["added_tokens"][0]
    document["added_tokens"].append({**added, "id": 310, "content": "[PAD]"})
    settings = json.loads(weights.files["tokenizer_config.json"]) | {"pad_token": "[PAD]"}
    weights.files["tokenizer.json"] = json.dumps(document).encode()
    weights.files["tokenizer_config.json"] = json.dumps(settings).encode()
    recipe = Recipe(
        task="causal-lm",
        method="full",
        epochs=1,
        max_length=24,
        evaluation_fraction=0.0,
        threads=1,
    )
    recorder = Recorder()
    result = train(
        recipe,
        weights=weights,
        records=text_records(4),
        checkpoints=recorder,
        telemetry=recorder,
    )
    assert json.loads(result.files["config.json"])["pad_token_id"] == 2  # the end token
    out = write_files(tmp_path / "out", result.files)
    transformers.AutoModelForCausalLM.from_pretrained(out)
