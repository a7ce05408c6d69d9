"""Rebuilds an image from its pinned inputs and compares: does this image come from these sources?

It says nothing about whether the sources are good, and needs the inputs that a build needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.files import storage_errors
from sealtune.core.limits import MIB
from sealtune.errors import Code, VerificationError
from sealtune.image.build import BuildPlan, Report, build_image
from sealtune.image.manifest import Image, read_image
from sealtune.image.manifest_parts import Contents, ImageInput

_PIECE: Final = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedImage:
    """An image that was built again from this installation's inputs, byte for byte the same."""

    image: Image


def verify_image(folder: Path, plan: BuildPlan, *, report: Report) -> VerifiedImage:
    """Build the image in `folder` again and compare.

    Raises:
        FormatError: as `read_image`.
        VerificationError: a file differs; the message names the first difference and its cause.
        ConfigError, StorageError: as `build_image`.
    """
    given = read_image(folder)
    place = folder.resolve().parent if plan.work is None else plan.work
    with (
        storage_errors(place),
        tempfile.TemporaryDirectory(dir=place, prefix=f".{folder.name}.") as scratch,
    ):
        rebuilt = build_image(Path(scratch) / "image", plan, report=report)
        compare_images(given, rebuilt)
    return VerifiedImage(image=given)


def compare_images(given: Image, rebuilt: Image) -> None:
    """See that two images are the same, byte for byte.

    Raises:
        VerificationError: they are not; the message names the first difference, causes first.
    """
    refuse_first(given.folder, _differences(given, rebuilt))


def refuse_first(folder: Path, differences: Iterable[str]) -> None:
    """Refuse the image in `folder` for the first of `differences`, if there is one.

    Raises:
        VerificationError: there is.
    """
    for difference in differences:
        raise VerificationError(
            Code.IMAGE_MISMATCH,
            f"{folder} is not what its sources make: {difference}",
            remedy="use the version of sealtune that built the image, or do not accept the image",
        )


def contents_differences(given: Contents, rebuilt: Contents) -> Iterator[str]:
    """Yield how inputs, tools, time and code of two images differ, causes first."""
    yield from _input_differences(given.inputs, rebuilt.inputs)
    yield from _said_differences(given, rebuilt)


def _differences(given: Image, rebuilt: Image) -> Iterator[str]:
    yield from contents_differences(given.manifest.contents, rebuilt.manifest.contents)
    for ours, theirs in zip(given.manifest.files, rebuilt.manifest.files, strict=True):
        if ours != theirs:
            place = first_difference(given.path(ours), rebuilt.path(theirs))
            yield f"{ours.name} differs from byte {place} on"
    if given.digest != rebuilt.digest:
        yield "image.json differs"


def _input_differences(given: Iterable[ImageInput], rebuilt: Iterable[ImageInput]) -> Iterator[str]:
    theirs = {(item.kind, item.name): item for item in given}
    ours = {(item.kind, item.name): item for item in rebuilt}
    for kind, name in sorted(theirs.keys() | ours.keys()):
        one, other = theirs.get((kind, name)), ours.get((kind, name))
        if one is None or other is None:
            place = "the image" if one is not None else "this sealtune"
            yield f"only {place} has the {kind} {name}"
        elif one != other:
            yield (
                f"the {kind} {name} is {one.version} ({one.sha256[:16]}...) in the image,"
                f" {other.version} ({other.sha256[:16]}...) here"
            )


def _said_differences(given: Contents, rebuilt: Contents) -> Iterator[str]:
    for name in ("tools", "created_epoch", "enclave_code"):
        one, other = getattr(given, name), getattr(rebuilt, name)
        if one != other:
            yield f"{name} is {one} in the image, {other} rebuilt"


def first_difference(one: Path, other: Path) -> int:
    """Return the offset from which on two files differ; of equal ones, their length."""
    with storage_errors(one), one.open("rb") as left, other.open("rb") as right:
        offset = 0
        while True:
            ours, theirs = left.read(_PIECE), right.read(_PIECE)
            if ours != theirs:
                pairs = enumerate(zip(ours, theirs, strict=False))
                shorter = min(len(ours), len(theirs))
                return offset + next((i for i, (a, b) in pairs if a != b), shorter)
            if not ours:
                return offset
            offset += len(ours)
