"""Writes image folders for SGX as a build leaves them, with small files."""

from __future__ import annotations

from pathlib import Path

from sealtune.core.limits import GIB
from sealtune.image.manifest_parts import (
    MANIFEST_NAME,
    Contents,
    EnclaveCode,
    ImageInput,
    image_file,
)
from sealtune.image.sgx.manifest import SgxManifest, sgx_manifest_json
from sealtune.image.sgx.template import ROOT_NAME, TEMPLATE_NAME, Enclave, template_text
from sealtune.image.sgx.tree import tree_digests

ENCLAVE = Enclave(bytes=8 * GIB, threads=2)
TREE = {
    "usr/bin/python3.11": b"\x7fELF",
    "usr/lib/python3/dist-packages/sealtune/__init__.py": b"",
    "usr/lib/x86_64-linux-gnu/libstdc++.so.6": b"library",
}


def write_sgx_image(folder: Path, *, enclave: Enclave = ENCLAVE) -> None:
    """Write an image whose files are too small to run."""
    folder.mkdir()
    root = folder / ROOT_NAME
    for path, content in TREE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (folder / TEMPLATE_NAME).write_bytes(template_text(tree_digests(root), enclave))
    (folder / "sbom.cdx.json").write_bytes(b"{}")
    describe(folder, enclave=enclave)


def describe(folder: Path, *, enclave: Enclave = ENCLAVE) -> None:
    """Write the `image.json` of what `folder` holds."""
    root = folder / ROOT_NAME
    manifest = SgxManifest(
        contents=Contents(
            created_epoch=1767225600,
            sbom=image_file(folder / "sbom.cdx.json"),
            inputs=(ImageInput(kind="deb", name="a", version="1", sha256="ef" * 32),),
            tools={"python3.11-minimal": "1"},
            enclave_code=EnclaveCode(modules=1, lines=1, digest="01" * 32),
        ),
        template=image_file(folder / TEMPLATE_NAME),
        tree_files=len(TREE),
        tree_bytes=sum((root / path).stat().st_size for path in TREE),
        enclave=enclave,
    )
    (folder / MANIFEST_NAME).write_bytes(sgx_manifest_json(manifest))
