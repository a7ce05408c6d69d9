"""Images of records as the arrays that a vision model takes, as its preprocessor_config.json says.

JPEG and PNG only, decoded by Pillow with limits checked first. Equal to what `transformers`' Pillow
processors make (a test compares them). Pixels stay in 8 bits, a quarter of the memory, until a
batch is made of them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from sealtune.core.canonical import parse_foreign_json
from sealtune.core.limits import IMAGE_BYTES_MAX, IMAGE_PIXELS_MAX, MODEL_FILE_BYTES_MAX
from sealtune.errors import Code, FormatError, TrainingError
from sealtune.training.examples import Pixels

_CONFIG = "preprocessor_config.json"
_SIDE_MAX = 4_096  # 4x the largest input of a public classification model
_RESIZED_MAX = 4 * _SIDE_MAX  # the longer edge, where the shorter one is given
_FORMATS = ("JPEG", "PNG")
# Grey of 16 bits, as of X-rays (`I;16`), is left out: Pillow cuts it off at 255, white mostly.
_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK"})
# For each pixel while it is decoded: an image and what it is converted from, 4 bytes each, or what
# a progressive JPEG keeps of up to 4 channels beside the image, 2 bytes each.
DECODING_BYTES = 12
_STRIP_PIXELS = 2**18  # laid on white at once: a MiB
_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageProcessor:
    """How an image becomes (3, height, width); sizes are (height, width) in pixels.

    It is resized to `size`, or so that its shorter edge is `shortest_edge`, then its middle is cut
    out as `crop`. `table` (3, 256) has what becomes of each 8-bit value of each channel.
    """

    size: tuple[int, int] | None
    shortest_edge: int
    crop: tuple[int, int] | None
    resample: Image.Resampling
    table: npt.NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of every image: channels, height, width."""
        sides = self.crop or self.size
        assert sides is not None  # noqa: S101 - `load_image_processor` refuses the opposite
        return (_CHANNELS, *sides)

    def read(self, text: str, *, place: str) -> Pixels:
        """Return the pixels, in 8 bits, of the image file that `text` is the base64 of.

        Raises:
            FormatError: `RECORD_IMAGE`, naming `place`.
        """
        return self.prepare(self.decode(text, place=place), place=place)

    def decode(self, text: str, *, place: str) -> Image.Image:
        """Return that image as it is in the file, which takes `DECODING_BYTES` for each pixel."""
        return _decode(_file_bytes(text, place=place), place=place)

    def prepare(self, image: Image.Image, *, place: str) -> Pixels:
        """Return the pixels of `image`, resized and cut."""
        width, height = image.size
        if self.size is not None:
            image = image.resize(self.size[::-1], resample=self.resample)
        elif self.shortest_edge:
            edge, short = self.shortest_edge, min(width, height)
            sides = (edge, int(edge * height / short)), (int(edge * width / short), edge)
            wanted = sides[0] if width <= height else sides[1]
            if max(wanted) > _RESIZED_MAX:
                raise _unusable(place, "too long and narrow to be resized")
            image = image.resize(wanted, resample=self.resample)
        if self.crop is not None:
            image = _middle(image, self.crop)
        return np.ascontiguousarray(np.moveaxis(np.array(image), -1, 0))

    def normalized(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Return `pixels` (images, 3, height, width) rescaled and normalized for the model."""
        result = np.empty(pixels.shape, dtype=np.float32)
        for channel in range(_CHANNELS):
            np.take(self.table[channel], pixels[:, channel], out=result[:, channel])
        return result


def load_image_processor(files: Mapping[str, bytes]) -> ImageProcessor:
    """Return the processor that preprocessor_config.json in `files` describes.

    Raises:
        FormatError: `MODEL_MALFORMED` or `JSON_MALFORMED`.
        TrainingError: `MODEL_UNSUPPORTED`: a processor that works in another way.
    """
    if _CONFIG not in files:
        message = f"the model has no {_CONFIG}, which says how images are resized and scaled"
        remedy = "save it with its image processor (AutoImageProcessor ... save_pretrained)"
        raise FormatError(Code.MODEL_MALFORMED, message, remedy=remedy)
    stored = parse_foreign_json(bytes(files[_CONFIG]), limit=MODEL_FILE_BYTES_MAX, what=_CONFIG)
    if not isinstance(stored, dict):
        raise FormatError(Code.MODEL_MALFORMED, f"{_CONFIG} is not a JSON object")
    settings = {**_defaults(stored), **{k: v for k, v in stored.items() if v is not None}}
    try:
        return _processor(settings)
    except (TypeError, ValueError, KeyError, OverflowError, ZeroDivisionError) as error:
        reason = f"{_CONFIG} does not describe an image processor ({type(error).__name__})"
        raise FormatError(Code.MODEL_MALFORMED, reason) from None


_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_PHOTOS = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_ALWAYS = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
_BILINEAR, _BICUBIC = int(Image.Resampling.BILINEAR), int(Image.Resampling.BICUBIC)
# What `transformers` has where the file is silent, by the processor's name without its ending.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "ViT": {**_ALWAYS, **_HALF, "size": 224, "resample": _BILINEAR},
    "Siglip": {**_ALWAYS, **_HALF, "size": 224, "resample": _BICUBIC},
    "DeiT": {
        **_ALWAYS,
        **_HALF,
        "size": 256,
        "crop_size": 224,
        "do_center_crop": True,
        "resample": _BICUBIC,
    },
    "Bit": {
        **_ALWAYS,
        **_PHOTOS,
        "size": {"shortest_edge": 224},
        "crop_size": 224,
        "do_center_crop": True,
        "resample": _BICUBIC,
    },
}
_ENDINGS = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")


def _defaults(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    # Files of 2021 name no processor; they are of the first vision transformers.
    named = stored.get("image_processor_type", stored.get("feature_extractor_type", "ViT"))
    name = str(named)
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    if "auto_map" in stored or name not in _DEFAULTS or stored.get("do_pad"):
        known = ", ".join(f"{known}ImageProcessor" for known in sorted(_DEFAULTS))
        message = f"the image processor {named!r} is not supported"
        raise TrainingError(Code.MODEL_UNSUPPORTED, message, remedy=f"supported are {known}")
    return _DEFAULTS[name]


def _processor(settings: Mapping[str, Any]) -> ImageProcessor:
    size = settings["size"] if settings["do_resize"] else {}
    shortest = 0
    if isinstance(size, dict) and set(size) == {"shortest_edge"}:
        shortest, size = _side(size["shortest_edge"]), {}
    crop = _sides(settings["crop_size"]) if settings.get("do_center_crop") else None
    sides = _sides(size) if size != {} else None
    if crop is None and sides is None:
        message = f"{_CONFIG} lets images keep sizes of their own"
        raise TrainingError(Code.MODEL_UNSUPPORTED, message, remedy="give it a size or a crop_size")
    return ImageProcessor(
        size=sides,
        shortest_edge=shortest,
        crop=crop,
        resample=Image.Resampling(settings["resample"]),
        table=_table(settings),
    )


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, dict):
        if set(size) != {"height", "width"}:
            raise ValueError("neither a square nor height and width")
        return _side(size["height"]), _side(size["width"])
    if isinstance(size, list | tuple):
        height, width = size
        return _side(height), _side(width)
    return _side(size), _side(size)


def _side(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= _SIDE_MAX:
        raise ValueError(f"a side is a whole number from 1 to {_SIDE_MAX}")
    return value


def _table(settings: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """Return (channels, 256): every 8-bit value rescaled and normalized, rounded as they do it."""
    values = np.arange(256, dtype=np.float64)
    if settings["do_rescale"]:
        values = values * float(settings["rescale_factor"])
    table = np.repeat(values.astype(np.float32)[None], _CHANNELS, axis=0)
    if settings["do_normalize"]:
        mean, std = (_per_channel(settings[name]) for name in ("image_mean", "image_std"))
        with np.errstate(all="ignore"):  # what becomes of a deviation of 0 is refused below
            table = (table - mean) / std
    if not np.isfinite(table).all():
        raise ValueError("a scale that gives no finite number")
    return np.ascontiguousarray(table)


def _per_channel(value: Any) -> npt.NDArray[np.float32]:
    values = value if isinstance(value, list) else [value] * _CHANNELS
    if len(values) != _CHANNELS:
        raise ValueError("not one number for each channel")
    return np.array(values, dtype=np.float32)[:, None]


def _file_bytes(text: str, *, place: str) -> bytes:
    # Before decoding: base64 is 4 characters for 3 bytes.
    if len(text) > IMAGE_BYTES_MAX * 4 // 3 + 4:
        raise _unusable(place, f"larger than {IMAGE_BYTES_MAX} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _unusable(place, "not base64") from None


def _decode(data: bytes, *, place: str) -> Image.Image:
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as probe:
            width, height = probe.size
            if width * height > IMAGE_PIXELS_MAX:
                raise _unusable(place, f"more than {IMAGE_PIXELS_MAX} pixels")
            if probe.mode not in _MODES:
                raise _unusable(place, "grey of more than 8 bits", remedy=_TO_8_BITS)
            probe.verify()
        with Image.open(BytesIO(data), formats=_FORMATS) as image:  # verify() leaves nothing to use
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb(image)
    except FormatError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise anything on mangled files
        raise _unusable(place, f"not a whole JPEG or PNG ({type(error).__name__})") from None


def _rgb(image: Image.Image) -> Image.Image:
    # What is transparent becomes white, as `transformers` has it.
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        return _on_white(image)
    # `convert` copies even what is RGB already.
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Return `image` in front of white; in strips, since whole it takes three more of its size."""
    width, height = image.size
    result = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, (255, 255, 255, 255))
        result.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return result


def _middle(image: Image.Image, crop: tuple[int, int]) -> Image.Image:
    """Return the middle (height, width) of `image`, with black around it where it is too small."""
    height, width = crop
    # Rounded as `transformers` rounds: down where it cuts, up where it pads.
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


_TO_8_BITS = "convert it to 8 bits, with the range of values that matters"


def _unusable(
    place: str, reason: str, *, remedy: str = "mend the image or leave the record out"
) -> FormatError:
    return FormatError(Code.RECORD_IMAGE, f"{place}: its image: {reason}", remedy=remedy)
