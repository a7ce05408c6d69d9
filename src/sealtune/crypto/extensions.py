"""Extensions of certificates, CRLs and OCSP responses: read, and the known ones understood.

A critical extension is one that a reader must understand or refuse (RFC 5280 §4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from sealtune.crypto import der
from sealtune.crypto.der import Element, Tag
from sealtune.errors import Code, FormatError

OID_KEY_USAGE = "2.5.29.15"
OID_SUBJECT_ALT_NAME = "2.5.29.17"
OID_BASIC_CONSTRAINTS = "2.5.29.19"
OID_EXTENDED_KEY_USAGE = "2.5.29.37"
DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN = 0, 5, 6  # bits of keyUsage (RFC 5280 §4.2.1.3)
_PATH_LENGTH_MAX = 255


@dataclass(frozen=True, slots=True)
class Extension:
    """A certificate extension: the content of its OCTET STRING, and its critical flag."""

    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """basicConstraints: whether the subject is an authority, and how many may follow below it."""

    authority: bool
    path_length: int | None


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"extensions: {reason}")


def read_extensions(
    listing: Element, *, understood: Set[str], limit: int = der.CHILDREN_MAX
) -> Mapping[str, Extension]:
    """Return the extensions in the SEQUENCE `listing` by their OIDs.

    Raises:
        FormatError: more than `limit`, one twice, or a critical one that is not among `understood`.
    """
    extensions: dict[str, Extension] = {}
    for item in der.expect(listing, Tag.SEQUENCE).children(limit=limit):
        parts = der.expect(item, Tag.SEQUENCE).children()
        if len(parts) not in (2, 3):
            raise _malformed("one with other than 2 or 3 fields")
        oid, *flag, value = parts
        name = der.read_oid(oid)
        extension = Extension(
            critical=bool(flag) and der.read_boolean(flag[0]),
            value=der.expect(value, Tag.OCTET_STRING).content,
        )
        if name in extensions:
            raise _malformed(f"{name} twice")
        if extension.critical and name not in understood:
            raise _malformed(f"a critical one, {name}, that we do not understand")
        extensions[name] = extension
    return MappingProxyType(extensions)


def read_constraints(extensions: Mapping[str, Extension]) -> Constraints:
    """Return the basicConstraints; without any the subject is no authority (RFC 5280 §4.2.1.9).

    Raises:
        FormatError: they cannot be read.
    """
    extension = extensions.get(OID_BASIC_CONSTRAINTS)
    if extension is None:
        return Constraints(authority=False, path_length=None)
    parts = list(der.read_element(extension.value, tag=Tag.SEQUENCE).children())
    authority = bool(parts) and parts[0].tag == Tag.BOOLEAN and der.read_boolean(parts.pop(0))
    path_length = der.read_integer(parts.pop(0)) if parts else None
    if parts or (path_length is not None and not 0 <= path_length <= _PATH_LENGTH_MAX):
        raise _malformed("basicConstraints with more than an authority and a path length")
    return Constraints(authority=authority, path_length=path_length)


def read_key_usage(extensions: Mapping[str, Extension]) -> frozenset[int] | None:
    """Return the bits of keyUsage, None without it: then the key is for anything.

    Raises:
        FormatError: it cannot be read.
    """
    extension = extensions.get(OID_KEY_USAGE)
    if extension is None:
        return None
    return der.read_flags(der.read_element(extension.value, tag=Tag.BIT_STRING))


def read_extended_key_usage(extensions: Mapping[str, Extension]) -> frozenset[str] | None:
    """Return the purposes in extKeyUsage, None without it: then the key is for anything.

    Raises:
        FormatError: it cannot be read, or names none.
    """
    extension = extensions.get(OID_EXTENDED_KEY_USAGE)
    if extension is None:
        return None
    purposes = der.read_element(extension.value, tag=Tag.SEQUENCE).children()
    if not purposes:
        raise _malformed("extKeyUsage without a purpose")
    return frozenset(map(der.read_oid, purposes))
