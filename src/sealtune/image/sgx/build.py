"""Builds an image for SGX: the tree of a virtual machine's image, and a Gramine manifest for it.

The same inputs, the same sealtune and the same enclave give the same bytes (spec/image §1, §9).
Nothing of Gramine is needed: its tools sign the image where it is to run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sealtune.core.files import write_atomic
from sealtune.image import root
from sealtune.image.build import (
    BuildPlan,
    Phase,
    Report,
    image_input,
    make_tree,
    new_folder,
    own_inputs,
    settle,
    used_inputs,
    wheels_of,
)
from sealtune.image.inputs import PinnedInput, Use, read_lock, read_packages
from sealtune.image.manifest_parts import MANIFEST_NAME, Contents, image_file
from sealtune.image.sbom import SBOM_NAME, sbom_json
from sealtune.image.sgx.manifest import (
    SgxImage,
    SgxManifest,
    read_sgx_image,
    sgx_manifest_json,
)
from sealtune.image.sgx.template import ROOT_NAME, TEMPLATE_NAME, Enclave, template_text
from sealtune.image.sgx.tree import settle_tree, tree_digests

_OWN_FILES: Final = ("packages.toml",)
_COMPILER: Final = "python3.11-minimal"


def build_sgx_image(folder: Path, plan: BuildPlan, *, enclave: Enclave, report: Report) -> SgxImage:
    """Build an image for SGX in `folder`, which must not exist or be empty.

    Raises:
        ConfigError, StorageError: as `build_image`.
    """
    pinned = read_lock()
    lock = (*used_inputs(pinned, Use.ROOT), *wheels_of(pinned))
    with new_folder(folder, plan.work) as (made, work):
        tree = make_tree(plan, lock, work=work, report=report).folder
        report(Phase.TEMPLATE)
        settle_tree(tree)
        root.normalize(tree)
        tree.rename(made / ROOT_NAME)
        _describe(made, lock, plan=plan, enclave=enclave)
        report(Phase.CHECK)
        # Files of the tree are not synced one by one: a reader compares each with its hash.
        read_sgx_image(made)
    return read_sgx_image(folder)


def _describe(
    made: Path, lock: tuple[PinnedInput, ...], *, plan: BuildPlan, enclave: Enclave
) -> None:
    files = tree_digests(made / ROOT_NAME)
    write_atomic(made / TEMPLATE_NAME, template_text(files, enclave))
    epoch, sources = read_packages().created_epoch, plan.sources
    own = own_inputs(sources, files=_OWN_FILES)
    bill = sbom_json(lock, own=own, version=sources.version, epoch=epoch)
    write_atomic(made / SBOM_NAME, bill)
    manifest = SgxManifest(
        contents=Contents(
            created_epoch=epoch,
            sbom=image_file(made / SBOM_NAME),
            inputs=(*map(image_input, lock), *own),
            tools={item.name: item.version for item in lock if item.name == _COMPILER},
            enclave_code=sources.code,
        ),
        template=image_file(made / TEMPLATE_NAME),
        tree_files=len(files),
        tree_bytes=sum((made / ROOT_NAME / path).stat().st_size for path in files),
        enclave=enclave,
    )
    for file in manifest.files:
        settle(made, file)
    write_atomic(made / MANIFEST_NAME, sgx_manifest_json(manifest))
