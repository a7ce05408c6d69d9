"""What an enclave sees, laid out for a worker that runs in its place."""

from __future__ import annotations

import secrets
import tomllib
from pathlib import Path

from chain.world import World
from sealtune.contract.files import read_contract_file
from sealtune.core.limits import GIB
from sealtune.image.sgx.template import Enclave, template_text
from sealtune.tee.sgx.run import SgxJob, lay_out


def laid_out(world: World, contract: Path, image: Path, folder: Path) -> SgxJob:
    """Makes `folder` what an enclave of `image` sees, its brokers behind their own ports."""
    run = folder.with_name(f"{folder.name}-run")
    for place in (folder, run):
        place.mkdir()
    job = SgxJob(
        contract=read_contract_file(contract).contract,
        contract_file=contract,
        run_id=secrets.token_hex(16),
        inputs=world.inputs,
        brokers={name: broker.address for name, broker in world.brokers.items()},
        output=run,
    )
    ports = {name: broker.port for name, broker in world.brokers.items()}
    lay_out(folder, job, image=image, ports=ports)
    return job


def manifest_environment() -> dict[str, str]:
    """Returns the environment that the manifest fixes, but for where Gramine's C library is."""
    text = template_text({}, Enclave(bytes=GIB, threads=1))
    environment: dict[str, str] = tomllib.loads(text.decode())["loader"]["env"]
    del environment["LD_LIBRARY_PATH"]
    return environment


def signed_copy(root: Path, folder: Path) -> Path:
    """Returns a folder with a link to an image's tree, and empty files for what is signed."""
    folder.mkdir()
    (folder / "root").symlink_to(root)
    for name in ("sealtune.manifest.sgx", "sealtune.sig"):
        (folder / name).write_bytes(b"")
    return folder
