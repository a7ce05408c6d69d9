"""Folders as Hugging Face's `datasets` writes them, made without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow

PNG = b"\x89PNG\r\n\x1a\nrest of a picture"
JPEG = b"\xff\xd8\xff\xe0rest of a picture"


def table(columns: dict[str, Any], features: dict[str, Any] | None = None) -> Any:
    """A table, with `features` in its metadata as `datasets` puts them there."""
    made = pyarrow.table(columns)
    if features is None:
        return made
    info = json.dumps({"info": {"features": features}})
    return made.replace_schema_metadata({"huggingface": info})


def save_to_disk(folder: Path, parts: Sequence[Any], *, split: str | None = "train") -> Path:
    """What `Dataset.save_to_disk` writes: Arrow streams, and two descriptions."""
    folder.mkdir(parents=True)
    files = [f"data-{i:05d}-of-{len(parts):05d}.arrow" for i in range(len(parts))]
    for name, part in zip(files, parts, strict=True):
        with pyarrow.ipc.new_stream(str(folder / name), part.schema) as writer:
            writer.write_table(part, max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in files], "_split": split}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def save_splits(folder: Path, splits: dict[str, Sequence[Any]]) -> Path:
    """What `DatasetDict.save_to_disk` writes: a dataset in a folder for each split."""
    for name, parts in splits.items():
        save_to_disk(folder / name, parts, split=name)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder
