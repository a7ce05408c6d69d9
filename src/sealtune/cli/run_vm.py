"""What `sealtune run --tee vm` makes of its options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sealtune

if TYPE_CHECKING:
    from sealtune import VmLaunch

# Emulation without KVM takes ten seconds to the first word on an idle machine, KVM two.
_GREETING_SECONDS: Final = 300.0
# Sparse: only what a run writes takes room. Two checkpoints and a result of an adapter fit easily.
_OUTPUT_BYTES: Final = 4 * 2**30


def vm_launch(
    folder: Path,
    *,
    tpm: Path,
    firmware: tuple[Path, Path] | None,
    memory_mib: int,
    processors: int,
) -> VmLaunch:
    """Return the machine that runs the image in `folder`, every file of it verified.

    Raises:
        FormatError, StorageError, VerificationError: the image is damaged or not whole.
    """
    image = sealtune.read_image(folder)
    code, variables = firmware or (None, None)
    manifest = image.manifest
    boot = sealtune.Boot(
        kernel=image.path(manifest.kernel),
        initrd=image.path(manifest.initrd),
        cmdline=manifest.cmdline,
    )
    return sealtune.VmLaunch(
        image=sealtune.VmImage(boot=boot, root=image.path(manifest.root), debug=False),
        host=sealtune.VmHost(tpm=tpm, firmware=code, variables=variables),
        size=sealtune.VmSize(
            processors=processors, memory_mib=memory_mib, output_bytes=_OUTPUT_BYTES
        ),
        greeting_seconds=_GREETING_SECONDS,
    )
