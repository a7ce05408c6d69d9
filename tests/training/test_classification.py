"""What is particular to classifying: labels that nothing has, images that do not fit the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import LABELS, FolderWeights, Recorder, image_records, labelled_records

from sealtune.errors import Code, SealtuneError
from sealtune.training.architectures import image_tokens
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import TrainResult
from sealtune.training.train import train

Records = list[dict[str, object]]


def run(weights: FolderWeights, task: Task, records: Records) -> TrainResult:
    recipe = Recipe(
        task=task,
        method="lora",
        labels=(*LABELS, "hail"),
        epochs=1,
        max_length=24,
        evaluation_fraction=0.0,
        threads=1,
    )
    recorder = Recorder()
    return train(recipe, weights=weights, records=records, checkpoints=recorder, telemetry=recorder)


def test_classes_that_no_record_has_are_counted(bert: Path) -> None:
    result = run(FolderWeights(bert), Task.TEXT_CLASSIFICATION, labelled_records(6))
    assert result.counts["classes_without_records"] == 1
    one = [record for record in labelled_records(9) if record["label"] in (0, LABELS[0])]
    result = run(FolderWeights(bert), Task.TEXT_CLASSIFICATION, one)
    assert result.counts["classes_without_records"] == 3


def test_each_patch_of_an_image_counts_as_a_token(model_folder: Callable[..., Path]) -> None:
    weights = FolderWeights(model_folder("vit", "AutoModel"))
    result = run(weights, Task.IMAGE_CLASSIFICATION, image_records(5))
    assert result.counts["tokens"] == 5 * (4 * 4 + 1)
    assert image_tokens({"model_type": "swin", "patch_size": 4}, (3, 224, 224)) == 14 * 14 + 1
    assert image_tokens({"model_type": "vit", "patch_size": "no"}, (3, 32, 32)) == 2 * 2 + 1


@pytest.mark.parametrize(
    ("model_type", "size", "channels", "code"),
    [
        ("vit", {"height": 32, "width": 16}, 3, Code.MODEL_MALFORMED),
        ("vit", {"height": 16, "width": 16}, 1, Code.MODEL_UNSUPPORTED),
        ("convnext", {"height": 32, "width": 16}, 3, None),
        ("dinov2", {"height": 32, "width": 16}, 3, None),
        ("swin", {"height": 32, "width": 32}, 3, None),
        ("convnext", {"height": 1, "width": 1}, 3, Code.MODEL_MALFORMED),
        ("dinov2", {"height": 3, "width": 3}, 3, Code.MODEL_MALFORMED),
        ("swin", {"height": 16, "width": 8}, 3, Code.MODEL_MALFORMED),
    ],
)
def test_images_that_the_model_cannot_take_are_refused(
    model_type: str,
    size: dict[str, int],
    channels: int,
    code: Code | None,
    model_folder: Callable[..., Path],
) -> None:
    weights = FolderWeights(model_folder(model_type, "AutoModel"))
    weights.files["preprocessor_config.json"] = json.dumps({"size": size}).encode()
    if channels == 1:
        weights.config["num_channels"] = 1
        name = "embeddings.patch_embeddings.projection.weight"
        weights.put(name, weights.get(name)[:, :1])
    if code is None:
        assert run(weights, Task.IMAGE_CLASSIFICATION, image_records(4)).files
        return
    with pytest.raises(SealtuneError) as caught:
        run(weights, Task.IMAGE_CLASSIFICATION, image_records(4))
    assert caught.value.code is code


def test_a_vision_model_needs_its_image_processor(model_folder: Callable[..., Path]) -> None:
    weights = FolderWeights(model_folder("vit", "AutoModel"))
    del weights.files["preprocessor_config.json"]
    with pytest.raises(SealtuneError) as caught:
        run(weights, Task.IMAGE_CLASSIFICATION, image_records(4))
    assert caught.value.code is Code.MODEL_MALFORMED
    assert "preprocessor_config.json" in caught.value.message


def test_the_card_of_an_image_classifier_loads_an_image_processor(
    model_folder: Callable[..., Path],
) -> None:
    weights = FolderWeights(model_folder("vit", "AutoModel"))
    recipe = Recipe(
        task="image-classification",
        method="full",
        labels=LABELS,
        epochs=1,
        evaluation_fraction=0.0,
        threads=1,
    )
    recorder = Recorder()
    result = train(
        recipe,
        weights=weights,
        records=image_records(4),
        checkpoints=recorder,
        telemetry=recorder,
    )
    card = result.files["README.md"].decode()
    assert "pipeline_tag: image-classification" in card
    assert "AutoImageProcessor.from_pretrained(HERE)" in card
    assert "preprocessor_config.json" in result.files
