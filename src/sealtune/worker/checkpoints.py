"""Sealed training checkpoints: what a killed run resumes from, and nothing older.

A checkpoint is a SealedBundle under a key that only this run's brokers together give back. Its
digest is anchored at every broker before the one before it is deleted, so that the operator can
neither read it nor put an old one back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.core.digest import Digest
from sealtune.core.files import atomic_writer, sync_folder
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, StorageError, VerificationError
from sealtune.protocol.session import Anchor, WorkerSecrets
from sealtune.worker.keys import RunKeys
from sealtune.worker.outbox import Outbox

_ENTRY = "state"


class SealedCheckpoints:
    """Seals checkpoints to one folder and anchors them at the brokers, while its caller waits."""

    def __init__(
        self,
        folder: Path,
        *,
        contract: Digest,
        run_id: str,
        keys: RunKeys,
        secrets: WorkerSecrets,
        outbox: Outbox,
        anchor: Callable[[Anchor], bool],
    ) -> None:
        """Take the run's folder and keys; `anchor` tells all brokers, returns whether all know."""
        self._folder = folder
        self._contract = contract
        self._run_id = run_id
        self._keys = keys
        self._secrets = secrets
        self._outbox = outbox
        self._anchor = anchor

    def save(self, step: int, blob: bytes) -> None:
        """Seal `blob`, the state after `step`, and forget older ones once every broker knows it.

        Raises:
            StorageError: the disk is full; the older checkpoint stays.
        """
        path = self._path(step)
        with atomic_writer(path) as file:
            writer = BundleWriter(
                file,
                kind=BundleKind.TRAINING_CHECKPOINT,
                owner=self._secrets.signing,
                key=self._key(step),
            )
            writer.add_entry(_ENTRY, blob, media=Media.FILE)
            facts = {"contract": self._contract, "run_id": self._run_id, "step": step}
            # The slot serves nobody once this worker is gone; the derived key does.
            header = writer.finish(facts=facts, recipients=[self._secrets.recipient.public])
        # A broker that knows it refuses older ones: it has to outlast this machine before that.
        self._outbox.publish(path)
        if self._anchor(Anchor(step=step, digest=header.digest)):
            self._remove_others(path)

    def load(self) -> tuple[int, bytes] | None:
        """Return the newest anchored checkpoint, or None when no broker knows one.

        Raises:
            VerificationError: the file is not the anchored one, or was changed.
            StorageError: it is missing.
        """
        newest = self._keys.newest
        if newest is None:
            return None
        path = self._path(newest.step)
        if not path.exists():
            message = f"the training checkpoint after step {newest.step} is missing"
            remedy = f"put {path.name} back into the run's folder; an older one is not accepted"
            raise StorageError(Code.CHECKPOINT_MISSING, message, remedy=remedy)
        with open_bundle_file(path) as bundle:
            if bundle.digest != newest.digest:
                message = f"{path.name} is not the newest training checkpoint that the brokers know"
                raise VerificationError(Code.CHECKPOINT_ROLLBACK, message)
            # The key is this run's and this step's alone: no other checkpoint opens with it.
            reader = bundle.unlock(self._key(newest.step))
            return newest.step, bytes(reader.read(reader.find(_ENTRY)))

    def remove_all(self) -> None:
        """Delete this run's checkpoints, once its receipt stands."""
        self._remove_others(None)

    def _remove_others(self, kept: Path | None) -> None:
        others = [path for path in self._folder.glob("checkpoint-*.sealed") if path != kept]
        for path in others:
            path.unlink(missing_ok=True)
        sync_folder(self._folder)
        self._outbox.forget(path.name for path in others)

    def _path(self, step: int) -> Path:
        return self._folder / f"checkpoint-{step:08d}.sealed"

    def _key(self, step: int) -> ContentKey:
        return self._keys.checkpoint_key(contract=self._contract, run_id=self._run_id, step=step)
