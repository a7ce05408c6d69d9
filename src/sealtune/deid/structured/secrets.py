"""What opens something: keys, tokens, passwords, connection strings."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.rules import Rule, words


def _rule(kind: str, pattern: str, confidence: float, *, marks: str = "", on: str = "") -> Rule:
    return Rule(
        kind=kind,
        entity=EntityType.SECRET,
        pattern=re.compile(pattern),
        confidence=confidence,
        leads=kind in ("password", "bearer"),
        marks=tuple(marks.split()),
        words=words(on),
    )


_B: Final = r"(?<![A-Za-z0-9])"
RULES: Final = (
    _rule(
        "private-key",
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,\-]{0,20000}?"
        r"(?:-----END [A-Z ]{0,40}-----|\Z)",
        0.99,
        marks="-----begin",
    ),
    _rule(
        "aws-key",
        _B + r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{12,20}\b",
        0.98,
        marks="akia asia agpa aida aroa anpa",
    ),
    _rule(
        "google-key",
        _B + r"(?:AIza[\w\-]{30,40}|ya29\.[\w\-]{20,400}|GOCSPX-[\w\-]{20,40})",
        0.98,
        marks="aiza ya29. gocspx-",
    ),
    _rule(
        "github-token",
        _B + r"(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255})",
        0.98,
        marks="ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
    ),
    _rule(
        "gitlab-token",
        _B + r"gl(?:pat|dt|rt|ptt|cbt)-[\w\-]{15,100}",
        0.98,
        marks="glpat- gldt- glrt- glptt- glcbt-",
    ),
    _rule("slack-token", _B + r"xox[abeoprs]-[A-Za-z0-9\-]{8,255}", 0.98, marks="xox"),
    _rule(
        "vendor-key",
        _B
        + r"(?:[srpw]k|whsec|rk)[_-](?:(?:live|test|proj|ant|or|svcacct)[_-])?[A-Za-z0-9_\-]{16,255}",
        0.95,
        marks="sk- sk_ rk_ pk_ whsec_",
    ),
    _rule(
        "platform-token",
        _B
        + r"(?:hf_[A-Za-z0-9]{20,60}|npm_[A-Za-z0-9]{30,50}|pypi-[\w\-]{30,255}|SG\.[\w\-]{16,40}\.[\w\-]{16,80}|dop_v1_[a-f0-9]{40,80}|shp(?:at|ss|ca)_[a-fA-F0-9]{20,60}|EAA[A-Za-z0-9]{40,255}|key-[a-f0-9]{32})",
        0.95,
        marks="hf_ npm_ pypi- sg. dop_v1_ shpat_ shpss_ shpca_ eaa key-",
    ),
    Rule(
        kind="platform-token",
        entity=EntityType.SECRET,
        pattern=re.compile(_B + r"AC[a-f0-9]{32}"),
        confidence=0.95,
        marks=("ac",),
        gate=re.compile(r"ac[a-f0-9]{32}"),
    ),
    _rule("jwt", _B + r"eyJ[\w\-]{8,4000}\.[\w\-]{4,8000}(?:\.[\w\-]{0,1000})?", 0.98, marks="eyj"),
    _rule(
        "bearer",
        _B
        + r"(?i:bearer|basic|token)\s{1,3}(?P<v>(?=[A-Za-z._\-+/]{0,60}\d)[A-Za-z0-9._\-+/]{16,2000}={0,2})",
        0.93,
        on="bearer basic token",
    ),
    _rule(
        "password",
        r"(?<![A-Za-z])(?i:pass(?:word|wd|phrase|code)|pwd|pw|kennwort|passwort|mot de passe|contraseña|wachtwoord|pin(?: code)?|secret(?:[ _-]?key)?"
        r"|api[ _\-]?key|access[ _\-]?(?:key|token|code)|auth[ _\-]?token|client[ _\-]?secret|private[ _\-]?key|secret[ _\-]access[ _\-]key|account[ _]?key|recovery (?:key|code)|otp)"
        r"[\"']?(?:\s{0,2}(?:[:=]|=>)\s{0,2}| (?i:is|was) )[\"'`]?(?P<v>[^\s\"'`<>,;]{4,500})(?<![.)])",
        0.9,
        on="password passwd passphrase passcode pwd pw kennwort passwort passe contraseña wachtwoord"
        " pin secret key apikey token otp accesskey secretkey code api access auth client",
    ),
    # Ordinary words: only before what has a digit and a letter.
    _rule(
        "password-short",
        r"(?<![A-Za-z])(?i:pass|pw)(?:\s{0,2}[:=]\s{0,2}|\s)(?P<v>(?=[^\s]{0,30}\d)(?=[^\s]{0,30}[A-Za-z])[^\s\"'`<>,;]{6,100})(?<![.)])",
        0.8,
        on="pass pw",
    ),
    _rule(
        "connection-string",
        r"\b[a-z][a-z0-9+]{2,20}://[^\s:/@]{1,100}:(?P<v>[^\s@/]{1,200})@",
        0.97,
        marks="://",
    ),
    _rule(
        "azure-key",
        r"(?i:AccountKey|SharedAccessKey|sig)=(?P<v>[A-Za-z0-9+/%]{20,200}={0,2})",
        0.97,
        marks="accountkey= sharedaccesskey= sig=",
    ),
)
