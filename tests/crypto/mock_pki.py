"""A little authority for the tests of certificates, CRLs and OCSP; ECDSA, so that it is quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sealtune.crypto.ecdsa import P256Key, P384Key
from sealtune.crypto.extensions import Extension
from sealtune.crypto.x509 import Certificate, parse_certificate
from sealtune.crypto.x509_builder import (
    AuthorityKey,
    CertificateFields,
    authority_extensions,
    build_certificate,
    key_usage_extension,
)


def name(common_name: str) -> tuple[tuple[str, str], ...]:
    return (("2.5.4.10", "INSECURE test"), ("2.5.4.3", common_name))


@dataclass(frozen=True)
class Authority:
    """A key and the certificate of its owner."""

    common_name: str
    key: AuthorityKey
    certificate: Certificate

    def issue(
        self,
        common_name: str,
        *,
        now: datetime,
        spki: bytes,
        extensions: Mapping[str, Extension],
        serial: int = 7,
        days: int = 30,
        algorithm: object = None,
    ) -> Certificate:
        fields = CertificateFields(
            serial=serial,
            issuer=name(self.common_name),
            subject=name(common_name),
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=days),
            spki=spki,
            extensions=extensions,
        )
        return parse_certificate(
            build_certificate(fields, key=self.key, algorithm=algorithm)  # type: ignore[arg-type]
        )

    def authority(
        self,
        common_name: str,
        *,
        now: datetime,
        path_length: int | None = None,
        key: AuthorityKey | None = None,
        days: int = 30,
    ) -> Authority:
        key = key or P256Key.generate()
        certificate = self.issue(
            common_name,
            now=now,
            spki=key.spki,
            extensions=authority_extensions(path_length=path_length),
            days=days,
        )
        return Authority(common_name, key, certificate)

    def leaf(self, common_name: str, *, now: datetime, **changes: object) -> Certificate:
        fields: dict[str, object] = {
            "spki": P256Key.generate().spki,
            "extensions": key_usage_extension(0),
            **changes,
        }
        return self.issue(common_name, now=now, **fields)  # type: ignore[arg-type]


def root(
    *, now: datetime, key: AuthorityKey | None = None, path_length: int | None = None
) -> Authority:
    key = key or P384Key.generate()
    signer = Authority("root", key, None)  # type: ignore[arg-type]
    return signer.authority("root", now=now, key=key, path_length=path_length)
