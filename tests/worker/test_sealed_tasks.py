"""From files that owners have, through a bundle, to the examples that are trained on."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sealtune.bundle.dataset import Task
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.seal import seal_data
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, FormatError
from sealtune.training.encode import encode_records
from sealtune.training.images import load_image_processor
from sealtune.training.recipe import Recipe
from sealtune.worker.inputs import open_record_source

LABELS = ["cat", "dog"]
RECIPE = Recipe(task="image-classification", method="lora", labels=LABELS)
PROCESSOR = load_image_processor({"preprocessor_config.json": b'{"size": 8}'})


def picture(value: int, *, size: int = 12) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (size, size), (value, 0, 255 - value)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, label in enumerate(LABELS):
        (tmp_path / "pets" / label).mkdir(parents=True)
        (tmp_path / "pets" / label / "1.png").write_bytes(picture(100 * index))
    return tmp_path / "pets"


def sealed_records(folder: Path, task: Task) -> list[dict[str, Any]]:
    owner = Identity.generate("owner")
    output = folder.parent / "out.sealed"
    seal_data(folder, output, owner=owner, recipients=[], task=task)
    with open_bundle_file(output) as bundle:
        keys = {bundle.digest: bundle.unwrap(owner.recipient)}
        source = open_record_source([bundle], keys)
        return [record for shard in range(len(source.shards)) for record in source.read(shard)]


def encode(records: list[dict[str, Any]]) -> list[Any]:
    encoded = encode_records(
        records, recipe=RECIPE, tokenizer=None, images=PROCESSOR, what="record"
    )
    return list(encoded.examples)


def test_a_folder_of_images(folder: Path) -> None:
    examples = encode(sealed_records(folder, Task.IMAGE_CLASSIFICATION))
    assert [int(example.targets[0]) for example in examples] == [0, 1]
    for value, example in zip((0, 100), examples, strict=True):
        expected = np.array([value, 0, 255 - value], dtype=np.uint8)[:, None, None]
        assert (example.pixels == expected).all()


def test_an_image_that_only_begins_like_one_is_refused_in_the_enclave(folder: Path) -> None:
    damaged = folder / "dog" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    records = sealed_records(folder, Task.IMAGE_CLASSIFICATION)
    with pytest.raises(FormatError) as caught:
        encode(records)
    assert caught.value.code is Code.RECORD_IMAGE
    assert "record 1" in caught.value.message
