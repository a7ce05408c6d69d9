"""Images of records: equal to `transformers`' processors, bounded, and never half decoded."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_models import LABELS
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError, SealtuneError, TrainingError
from sealtune.training import images as module
from sealtune.training.encode import encode_records
from sealtune.training.images import ImageProcessor, load_image_processor
from sealtune.training.recipe import Recipe

RECIPE = Recipe(task="image-classification", method="lora", labels=LABELS)
SMALL = {"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}}


def picture(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)
    return Image.fromarray(values.squeeze(-1) if bands == 1 else values, mode=None)


def file_bytes(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def processor(stored: Mapping[str, Any]) -> ImageProcessor:
    return load_image_processor({"preprocessor_config.json": json.dumps(stored).encode()})


def refusal(data: bytes, stored: Mapping[str, Any] = SMALL) -> FormatError:
    with pytest.raises(FormatError) as caught:
        processor(stored).read(text(data), place="record 7")
    assert "record 7" in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("theirs", "changes"),
    [
        (ViTImageProcessorPil, {}),
        (ViTImageProcessorPil, {"size": {"height": 20, "width": 32}, "resample": 3}),
        (ViTImageProcessorPil, {"do_normalize": False}),
        (ViTImageProcessorPil, {"do_rescale": False, "image_mean": [100.0, 90.0, 80.0]}),
        (ViTImageProcessorPil, {"do_resize": False, "do_center_crop": True, "crop_size": 33}),
        (ViTImageProcessorPil, {"rescale_factor": 1 / 127.5, "image_std": 0.25}),
        (DeiTImageProcessorPil, {}),
        (DeiTImageProcessorPil, {"size": 30, "crop_size": {"height": 41, "width": 23}}),
        (BitImageProcessorPil, {}),
        (BitImageProcessorPil, {"size": {"shortest_edge": 25}, "crop_size": 24}),
        (SiglipImageProcessorPil, {}),
    ],
)
@pytest.mark.parametrize("size", [(37, 50), (64, 41), (224, 224)])
def test_equal_to_transformers(theirs: Any, changes: dict[str, Any], size: tuple[int, int]) -> None:
    reference = theirs(**changes)
    ours = processor({"image_processor_type": theirs.__name__.removesuffix("Pil"), **changes})
    image = picture(*size)
    expected = reference(image, return_tensors="np")["pixel_values"]
    pixels = ours.read(text(file_bytes(image)), place="record 0")
    assert pixels.dtype == np.uint8
    assert pixels.shape == ours.shape == expected.shape[1:]
    np.testing.assert_array_equal(ours.normalized(pixels[None]), expected)


def test_the_file_that_transformers_writes_is_read(tmp_path: Any) -> None:
    reference = ViTImageProcessorPil(size={"height": 12, "width": 10}, image_mean=[0.1, 0.2, 0.3])
    reference.save_pretrained(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ours = load_image_processor(files)
    image = picture(30, 20)
    expected = reference(image, return_tensors="np")["pixel_values"]
    pixels = ours.read(text(file_bytes(image)), place="record 0")
    np.testing.assert_array_equal(ours.normalized(pixels[None]), expected)


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "RGB"])
def test_other_modes_become_rgb_on_white(mode: str) -> None:
    image = picture(16, 16, mode)
    stored = {**SMALL, "do_convert_rgb": True}
    reference = ViTImageProcessorPil(do_convert_rgb=True, size={"height": 8, "width": 8})
    pixels = processor(stored).read(text(file_bytes(image)), place="record 0")
    expected = reference(image, return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(processor(stored).normalized(pixels[None]), expected)


def test_a_palette_with_a_transparent_colour_becomes_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    data = file_bytes(image, transparency=0)
    assert (processor(SMALL).read(text(data), place="record 0") == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_strips_laid_on_white_are_the_whole(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    data = text(file_bytes(picture(33, 29, mode)))
    whole = processor(SMALL).read(data, place="record 0")
    monkeypatch.setattr(module, "_STRIP_PIXELS", 100)
    np.testing.assert_array_equal(processor(SMALL).read(data, place="record 0"), whole)


def test_a_transparent_colour_becomes_white_in_rgb_and_grey() -> None:
    for mode, colour in (("RGB", (1, 2, 3)), ("L", 7)):
        data = file_bytes(Image.new(mode, (8, 8), colour), transparency=colour)
        assert (processor(SMALL).read(text(data), place="record 0") == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_refused(kind: str) -> None:
    values = np.linspace(0, 65_535, 64, dtype=np.uint16).reshape(8, 8)
    error = refusal(file_bytes(Image.fromarray(values), kind))
    assert error.code is Code.RECORD_IMAGE
    assert ("8 bits" in error.remedy) is (kind == "PNG")


DECODE = """
import json, resource, sys
from sealtune.training.images import load_image_processor
name = "preprocessor_config.json"
images = load_image_processor({name: sys.argv[1].encode()})
text = sys.stdin.read()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
images.read(text, place="record 0")
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("mode", "bytes_each"),
    # What Pillow has for a pixel once; where it must convert, what it has for it twice.
    [("RGB", 4), ("L", 5), ("RGBA", 8), ("CMYK", 8)],
)
def test_an_image_is_held_once_or_beside_what_it_was_converted_from(
    mode: str, bytes_each: int
) -> None:
    pixels = 4_000 * 4_000
    data = file_bytes(Image.new(mode, (4_000, 4_000)), "JPEG" if mode == "CMYK" else "PNG")
    done = subprocess.run(
        [sys.executable, "-c", DECODE, json.dumps(SMALL)],
        input=text(data),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < (bytes_each + 1) * pixels
    assert bytes_each <= module.DECODING_BYTES


def test_a_camera_held_upright_is_turned() -> None:
    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    plain = processor(SMALL).read(text(file_bytes(image)), place="record 0")
    turned = processor(SMALL).read(text(file_bytes(image, exif=exif)), place="record 0")
    np.testing.assert_array_equal(turned, plain[:, ::-1, ::-1])
    assert plain[0, 0, 0] > plain[0, 7, 0]


def test_jpeg_is_decoded_as_pillow_decodes_it() -> None:
    data = file_bytes(picture(8, 8), "JPEG")
    expected = np.moveaxis(np.array(Image.open(BytesIO(data)).resize((8, 8))), -1, 0)
    np.testing.assert_array_equal(processor(SMALL).read(text(data), place="record 0"), expected)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats_are_refused(kind: str) -> None:
    assert refusal(file_bytes(picture(8, 8), kind)).code is Code.RECORD_IMAGE


@pytest.mark.parametrize("data", [b"", b"secret", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    error = refusal(data)
    assert error.code is Code.RECORD_IMAGE
    assert "secret" not in error.message


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_cut_image_is_refused(kind: str) -> None:
    data = file_bytes(picture(64, 64), kind)
    for length in (len(data) // 2, len(data) // 4, 30):
        assert refusal(data[:length]).code is Code.RECORD_IMAGE


def test_too_many_pixels_are_refused_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = file_bytes(Image.new("L", (100, 100)))
    monkeypatch.setattr(module, "IMAGE_PIXELS_MAX", 9_999)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    assert "pixels" in refusal(data).message


def test_a_decompression_bomb_is_refused() -> None:
    data = file_bytes(Image.new("1", (20_000, 20_000)))
    assert len(data) < MIB
    assert refusal(data).code is Code.RECORD_IMAGE


def test_a_file_too_large_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMAGE_BYTES_MAX", 100)
    assert "100 bytes" in refusal(file_bytes(picture(40, 40))).message


def test_an_image_too_narrow_to_be_resized_is_refused() -> None:
    stored = {"image_processor_type": "BitImageProcessor"}
    assert refusal(file_bytes(picture(1, 2_000)), stored).code is Code.RECORD_IMAGE


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG"]))
def test_a_mangled_image_gives_pixels_or_our_error(data: Any, kind: str) -> None:
    content = bytearray(file_bytes(picture(12, 9), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    ours = processor(SMALL)
    try:
        assert ours.read(text(bytes(content)), place="record 0").shape == (3, 8, 8)
    except SealtuneError as error:
        assert error.code is Code.RECORD_IMAGE


def test_records_become_examples_and_a_bad_one_is_named() -> None:
    good = {"image": text(file_bytes(picture(20, 20))), "label": "fog"}
    encoded = encode_records(
        [good, {**good, "label": 0}],
        recipe=RECIPE,
        tokenizer=None,
        images=processor(SMALL),
        what="record",
    )
    assert [int(example.targets[0]) for example in encoded.examples] == [2, 0]
    assert [example.supervised for example in encoded.examples] == [1, 1]
    assert all(e.pixels is not None and e.pixels.shape == (3, 8, 8) for e in encoded.examples)
    assert all(len(example.ids) == 0 for example in encoded.examples)
    for bad, code in (
        ({"label": 0}, Code.RECORD_FIELD),
        ({**good, "label": 3}, Code.LABEL_OUT_OF_RANGE),
        ({**good, "image": "no base64!"}, Code.RECORD_IMAGE),
        ({**good, "image": text(b"secret")}, Code.RECORD_IMAGE),
        ({**good, "image": "\u00e4\u00f6\u00fc="}, Code.RECORD_IMAGE),
    ):
        with pytest.raises(FormatError) as caught:
            encode_records(
                [good, bad], recipe=RECIPE, tokenizer=None, images=processor(SMALL), what="record"
            )
        assert caught.value.code is code
        assert "record 1" in caught.value.message


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"image_processor_type": "SamImageProcessor"}, TrainingError),
        ({"auto_map": {"AutoImageProcessor": "code.py"}}, TrainingError),
        ({"do_pad": True}, TrainingError),
        ({"do_resize": False}, TrainingError),
        ({"size": {"shortest_edge": 8}}, TrainingError),
        ({"size": {"longest_edge": 8}}, FormatError),
        ({"size": 0}, FormatError),
        ({"size": 1e9}, FormatError),
        ({"size": [8]}, FormatError),
        ({"size": 10**6}, FormatError),
        ({"resample": 99}, FormatError),
        ({"resample": "best"}, FormatError),
        ({"image_std": [0, 1, 1]}, FormatError),
        ({"image_mean": [0.5]}, FormatError),
        ({"image_mean": "half"}, FormatError),
        ({"rescale_factor": "small"}, FormatError),
        ({"do_center_crop": True}, FormatError),
    ],
)
def test_a_configuration_that_does_not_work(change: dict[str, Any], kind: type) -> None:
    with pytest.raises(SealtuneError) as caught:
        processor({**SMALL, **change})
    assert type(caught.value) is kind


@pytest.mark.parametrize("data", [None, b"[]", b"{", b"\xff"])
def test_a_configuration_that_cannot_be_read(data: bytes | None) -> None:
    with pytest.raises(FormatError):
        load_image_processor({} if data is None else {"preprocessor_config.json": data})


def test_transformers_names_the_file_as_we_do() -> None:
    assert transformers.utils.IMAGE_PROCESSOR_NAME == module._CONFIG
