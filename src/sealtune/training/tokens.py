"""The model's tokenizer, built in memory from the bytes of its files.

`tokenizers` reads tokenizer.json; nothing is written to disk and no tokenizer code is run. What
tokenizer.json says about padding and truncation is switched off: the recipe decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Encoding, Tokenizer

from sealtune.core.canonical import parse_foreign_json
from sealtune.core.limits import MODEL_FILE_BYTES_MAX, OWNED_JSON_MARKS_MAX
from sealtune.errors import Code, FormatError, TrainingError

_SPECIAL = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTokenizer:
    """Turns text into token ids; `special` maps `eos_token` and the like to their text."""

    backend: Tokenizer
    special: Mapping[str, str]
    chat_template: str | None

    def token_id(self, role: str) -> int | None:
        """Return the id of the special token `role` (`eos_token` ...), or None without one."""
        text = self.special.get(role)
        return None if text is None else _optional_int(self.backend.token_to_id(text))

    def encode(self, texts: Sequence[str], *, max_length: int) -> list[tuple[list[int], bool]]:
        """Return ids with special tokens and whether the text was cut, for each of `texts`."""
        self.backend.no_padding()
        try:
            self.backend.enable_truncation(max_length)
            encodings = self.backend.encode_batch_fast(list(texts))
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            raise _unusable("does not encode with this max_length", error) from None
        return [(encoding.ids, bool(encoding.overflowing)) for encoding in encodings]

    def encode_all(self, texts: Sequence[str], max_length: int) -> list[list[list[int]]]:
        """Return the ids of each of `texts`, in windows of at most `max_length`.

        Each window has the special tokens that a text of its own would have.
        """
        self.backend.no_padding()
        try:
            self.backend.enable_truncation(max_length)
            encodings = self.backend.encode_batch_fast(list(texts))
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            raise _unusable("does not encode with this max_length", error) from None
        return [[item.ids, *(more.ids for more in item.overflowing)] for item in encodings]

    @property
    def special_tokens(self) -> int:
        """How many special tokens a text gets beside its own."""
        return int(self.backend.num_special_tokens_to_add(False))

    def encode_one(self, text: str, *, max_length: int | None = None) -> Encoding:
        """Return the encoding of `text`, special tokens added, with offsets in characters."""
        self.backend.no_padding()
        self.backend.no_truncation()
        try:
            if max_length is not None:
                self.backend.enable_truncation(max_length)
            return self.backend.encode(text)
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            raise _unusable("does not encode with this max_length", error) from None

    def encode_rendered(self, text: str) -> Encoding:
        """Return the encoding, with character offsets, of `text` that has its special tokens."""
        self.backend.no_padding()
        self.backend.no_truncation()
        try:
            return self.backend.encode(text, add_special_tokens=False)
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            raise _unusable("does not encode", error) from None


def load_tokenizer(files: Mapping[str, bytes]) -> TextTokenizer:
    """Return the tokenizer in `files` (tokenizer.json and, where present, its configuration).

    Raises:
        FormatError: `TOKENIZER_MALFORMED` or `JSON_MALFORMED`.
        TrainingError: `MODEL_UNSUPPORTED`: the tokenizer brings code of its own.
    """
    if "tokenizer.json" not in files:
        raise FormatError(
            Code.TOKENIZER_MALFORMED,
            "the model has no tokenizer.json",
            remedy="save it with a fast tokenizer (AutoTokenizer ... save_pretrained), seal again",
        )
    config = _json_object(files, "tokenizer_config.json")
    if "auto_map" in config:
        raise TrainingError(
            Code.MODEL_UNSUPPORTED,
            "tokenizer_config.json has auto_map: the tokenizer brings code, which is never run",
        )
    try:
        backend = Tokenizer.from_buffer(files["tokenizer.json"])
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise _unusable("does not load", error) from None
    if getattr(backend.model, "dropout", None):
        # Random merges would make every run, and every resumption, train on other tokens.
        backend.model.dropout = None
    special = _special_tokens(_json_object(files, "special_tokens_map.json"))
    special.update(_special_tokens(config))
    return TextTokenizer(
        backend=backend, special=special, chat_template=_chat_template(files, config)
    )


def _json_object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    if name not in files:
        return {}
    value = parse_foreign_json(
        bytes(files[name]), limit=MODEL_FILE_BYTES_MAX, marks=OWNED_JSON_MARKS_MAX, what=name
    )
    if not isinstance(value, dict):
        raise FormatError(Code.TOKENIZER_MALFORMED, f"{name} is not a JSON object")
    return value


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for role in _SPECIAL:
        value = config.get(role)
        # A special token is its text, or an object that holds it under `content`.
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            found[role] = text
    return found


def _chat_template(files: Mapping[str, bytes], config: Mapping[str, Any]) -> str | None:
    if "chat_template.jinja" in files:
        try:
            return bytes(files["chat_template.jinja"]).decode("utf-8")
        except UnicodeDecodeError:
            raise FormatError(
                Code.TOKENIZER_MALFORMED, "chat_template.jinja is not UTF-8"
            ) from None
    template = config.get("chat_template")
    if isinstance(template, list):  # several named ones; `default` is for plain conversations
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)


def _unusable(what: str, error: Exception) -> FormatError:
    # Its own words may quote the text that it failed on.
    return FormatError(Code.TOKENIZER_MALFORMED, f"tokenizer.json {what} ({type(error).__name__})")


def dump_json(value: Any) -> bytes:
    """Return `value` as the indented JSON that `transformers` and `peft` write."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
