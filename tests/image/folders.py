"""Writes image folders as a build leaves them, with small files."""

from __future__ import annotations

from pathlib import Path

from image.pe import KERNEL as _KERNEL
from sealtune.image.manifest import (
    MANIFEST_NAME,
    EnclaveCode,
    ImageInput,
    ImageManifest,
    Verity,
    command_line,
    image_file,
    manifest_json,
)

KERNEL, INITRD = _KERNEL.image(), b"an initrd"
VERITY = Verity(root_hash="ab" * 32, hash_offset=4096, salt="cd" * 32, block_size=4096)
COMMAND_LINE = command_line(VERITY)


def write_image(folder: Path) -> None:
    """Write an image whose files are too small to boot."""
    folder.mkdir()
    contents = {"vmlinuz": KERNEL, "initrd": INITRD, "root": b"a root", "sbom.json": b"{}"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    manifest = ImageManifest(
        created_epoch=1,
        kernel=image_file(folder / "vmlinuz"),
        initrd=image_file(folder / "initrd"),
        root=image_file(folder / "root"),
        sbom=image_file(folder / "sbom.json"),
        cmdline=COMMAND_LINE,
        verity=VERITY,
        inputs=(ImageInput(kind="deb", name="a", version="1", sha256="ef" * 32),),
        tools={"mmdebstrap": "1"},
        enclave_code=EnclaveCode(modules=1, lines=1, digest="01" * 32),
    )
    (folder / MANIFEST_NAME).write_bytes(manifest_json(manifest))
