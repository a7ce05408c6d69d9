"""What stands in the place of a finding: surrogates, moved dates, tokens, classes, tags."""

from sealtune.deid.transforms.replaced import Change, Replaced
from sealtune.deid.transforms.transformer import Transformer

__all__ = ["Change", "Replaced", "Transformer"]
