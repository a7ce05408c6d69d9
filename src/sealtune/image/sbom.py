"""Writes the image's bill of materials as CycloneDX 1.5 JSON, the same bytes for the same inputs.

https://cyclonedx.org/docs/1.5/json/. What is in the image is `required`; what only built it is
`excluded`, CycloneDX's word for a component that is not delivered.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.image.inputs import InputKind, PinnedInput, Use
from sealtune.image.manifest import ImageInput

SBOM_NAME: Final = "sbom.cdx.json"
# Where CycloneDX asks for a fresh UUID: one derived from the content, to keep builds the same.
_NAMESPACE: Final = uuid.UUID("6b0b2a4e-5a5e-5d0b-9f0e-3a1f6a2c7d41")


def sbom_json(
    inputs: Iterable[PinnedInput], *, own: Iterable[ImageInput], version: str, epoch: int
) -> bytes:
    """Return the bill of materials of an image; `own` are sealtune's own sources."""
    components = [*map(_component, inputs), *map(_own_component, own)]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "operating-system",
                "bom-ref": "sealtune-image",
                "name": "sealtune-image",
                "version": version,
            },
        },
        "components": components,
        "dependencies": [
            {
                "ref": "sealtune-image",
                "dependsOn": [c["bom-ref"] for c in components if c["scope"] == "required"],
            }
        ],
    }
    number = uuid.uuid5(_NAMESPACE, sha256_digest(canonical_json(document)))
    return canonical_json({**document, "serialNumber": f"urn:uuid:{number}"})


def package_url(item: PinnedInput) -> str:
    """Return the purl of `item` (https://github.com/package-url/purl-spec)."""
    version = quote(item.version, safe="")
    if item.kind is InputKind.WHEEL:
        return f"pkg:pypi/{item.name.lower().replace('_', '-')}@{version}"
    return f"pkg:deb/debian/{quote(item.name, safe='')}@{version}?arch=amd64&distro=debian-12"


def _component(item: PinnedInput) -> dict[str, Any]:
    # Some of the tools' packages are in the initrd, and which of them is not told apart here.
    only_tool = item.uses == {Use.TOOLS} and item.name in _BUILD_ONLY
    purl = package_url(item)
    return {
        "type": "operating-system" if Use.KERNEL in item.uses else "library",
        "bom-ref": purl,
        "name": item.name,
        "version": item.version,
        "purl": purl,
        "scope": "excluded" if only_tool else "required",
        "hashes": [{"alg": "SHA-256", "content": item.sha256}],
    }


# Of the tools, what makes squashfs and initrd, with the libraries that nothing else uses.
_BUILD_ONLY: Final = frozenset({"squashfs-tools", "zstd", "liblz4-1", "liblzo2-2", "libzstd1"})


def _own_component(item: ImageInput) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"source:{item.name}",
        "name": item.name,
        "version": item.version,
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": item.sha256}],
    }
