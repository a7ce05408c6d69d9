"""Passwords, tokens, API keys, private keys, connection strings."""

from __future__ import annotations

import math
import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.rules import Rule, RuleDetector, around, compiled, with_words

_S: Final = EntityType.SECRET
_KNOWN: Final = (
    ("private-key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]{0,8192}?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)"),
    ("aws-key-id", r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b"),
    ("github-token", r"\bgh[pousr]_[A-Za-z0-9]{20,255}\b|\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
    ("gitlab-token", r"\bglpat-[A-Za-z0-9_-]{20,64}"),
    ("slack-token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,250}"),
    ("slack-hook", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}"),
    ("google-key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("stripe-key", r"\b(?:sk|pk|rk)_(?:live|test)_[0-9A-Za-z]{10,250}"),
    ("openai-like-key", r"\bsk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{20,250}"),
    ("huggingface-token", r"\bhf_[A-Za-z0-9]{20,80}\b"),
    ("npm-token", r"\bnpm_[A-Za-z0-9]{30,60}\b"),
    ("sendgrid-key", r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}"),
    ("twilio", r"\b(?:AC|SK)[0-9a-f]{32}\b"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,1024}"),
    ("age-key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,70}"),
    ("pgp-block", r"-----BEGIN PGP (?:PRIVATE KEY BLOCK|MESSAGE)-----[\s\S]{0,8192}?-----END PGP [A-Z ]{0,30}-----"),
)  # fmt: skip
_CREDENTIALS_IN_URL: Final = compiled(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:([^\s/@]{1,200})@"
)
_LABELLED: Final = compiled(
    r"\b(?:pass(?:word|wd|phrase|code)?|pwd|pw|pin(?: ?(?:code|number|no))?|secret(?:[ _-]?(?:key|token))?|api[ _-]?(?:key|token|secret)|access[ _-]?(?:key|token)(?:[ _-]?id)?|auth(?:entication)?[ _-]?(?:token|key)"
    r"|(?:client|shared|consumer)[ _-]?secret|private[ _-]?key|token|credentials?|kennwort|passwort|mot de passe|contraseña|senha|wachtwoord|security (?:code|answer)|otp|cvv2?|cvc2?)"
    r"[\"'`]?\s{0,3}(?:is|was|lautet|:|=|->|:=)\s{0,3}[\"'`]?([^\s\"'`,;<>]{3,400})"
)
_BEARER: Final = compiled(r"\b(?:bearer|basic)\s{1,3}([A-Za-z0-9+/_.=-]{16,4096})")
_DENSE: Final = re.compile(r"(?<![\w/+=-])[A-Za-z0-9/+_=-]{32,512}(?![\w/+=-])")
_HASH: Final = re.compile(r"[0-9A-F]{32,128}")
# Words that follow a label where nothing secret does: "password is required".
_NO_SECRET: Final = frozenset(
    "required not the a an to be reset changed expired needed used incorrect invalid wrong protected "
    "set set. sent unknown missing none null empty forgotten weak strong same stored encrypted".split()
)


def _is_secret(value: str) -> bool:
    return value.lower().strip(".") not in _NO_SECRET


def _dense(value: str) -> bool:
    """Whether 32 characters or more hold as much surprise as random ones do."""
    kinds = sum(bool(re.search(kind, value)) for kind in ("[A-Z]", r"\d"))
    counts = [value.count(letter) for letter in set(value)]
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return (kinds == 2 and entropy > 3.5) or bool(_HASH.fullmatch(value))


_WORDS: Final = (
    *("pass", "pwd", "pw", "pin", "secret", "key", "token", "credential", "kennwort", "contraseña"),
    *("senha", "wachtwoord", "bearer", "basic", "otp", "cvv", "cvc", "mot de passe", "security"),
)


def secret_detectors() -> tuple[RuleDetector, ...]:
    """Return the detectors of secrets."""
    known = tuple(Rule(re.compile(pattern), _S, kind, 0.99) for kind, pattern in _KNOWN)
    starts = r"-----BEGIN |A[KSGIRN][IPDO]A|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|hooks\.slack|AIza|[spr]k_(?:live|test)_|\bsk-|hf_|npm_|SG\.|\b(?:AC|SK)[0-9a-f]{8}|eyJ|AGE-SECRET"
    labelled = (
        Rule(_LABELLED, _S, "labelled", 0.9, group=1, check=_is_secret),
        Rule(_BEARER, _S, "bearer", 0.95, group=1),
    )
    return (
        RuleDetector("rules", known, _whole_from(re.compile(starts))),
        RuleDetector(
            "rules",
            (Rule(_CREDENTIALS_IN_URL, _S, "url", 0.97, group=1),),
            around(re.compile("://")),
        ),
        RuleDetector("rules", labelled, with_words(_WORDS)),
        RuleDetector(
            "rules",
            (Rule(_DENSE, _S, "dense", 0.6, check=_dense),),
            around(re.compile(r"[A-Za-z0-9/+_=-]{32}")),
        ),
    )


def _whole_from(pattern: re.Pattern[str]):  # type: ignore[no-untyped-def]
    # A private key is longer than a window: from its beginning on, all there is.
    def windows(text: str) -> list[tuple[int, int]]:
        found = pattern.search(text)
        return [(found.start(), len(text))] if found else []

    return windows
