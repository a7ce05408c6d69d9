"""What a model's own files say about reading records: its tokenizer, or its image processor."""

from __future__ import annotations

from dataclasses import dataclass

from sealtune.training.architectures import image_tokens
from sealtune.training.images import ImageProcessor, load_image_processor
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import WeightSource
from sealtune.training.tokens import TextTokenizer, load_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """`tokenizer` for texts, or `images`, each of which counts as `image_tokens` tokens."""

    tokenizer: TextTokenizer | None = None
    images: ImageProcessor | None = None
    image_tokens: int = 1


def load_readers(weights: WeightSource, *, recipe: Recipe) -> Readers:
    """Return what `recipe`'s task needs.

    Raises:
        FormatError, TrainingError: as `load_tokenizer` and `load_image_processor`.
    """
    if recipe.task is not Task.IMAGE_CLASSIFICATION:
        return Readers(tokenizer=load_tokenizer(weights.files))
    images = load_image_processor(weights.files)
    return Readers(images=images, image_tokens=image_tokens(weights.config, images.shape))
