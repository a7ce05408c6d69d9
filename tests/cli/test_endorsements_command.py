"""`sealtune endorsements`: fetched from a local server, listed, and carried over an air gap."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import sealtune as package
from broker.mock_vendors import serve_intel
from broker.vendor_services import Says, VendorServices
from cli.said import Said, Sealtune
from sealtune.core.clock import format_time
from sealtune.testing.mock_intel import SGX_QUOTE, MockIntel, MockQuote

TD_QUOTE = MockQuote()
SUBJECT = "intel-set/TDX/00806f050000/platform"
WHAT = "Intel TDX set, FMSPC 00806f050000 (platform CA)"


@pytest.fixture(scope="module")
def present() -> datetime:
    """The machine's time, which commands use."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def intel(present: datetime) -> MockIntel:
    return MockIntel(now=present)


@pytest.fixture
def services(intel: MockIntel) -> Iterator[VendorServices]:
    with VendorServices() as running:
        for quote in (TD_QUOTE, SGX_QUOTE):
            serve_intel(running, intel, quote, is_pccs=True)
        yield running


@pytest.fixture
def quote(tmp_path: Path, intel: MockIntel) -> Path:
    path = tmp_path / "quote.bin"
    path.write_bytes(intel.quote(TD_QUOTE))
    return path


@pytest.fixture(autouse=True)
def mock_root(monkeypatch: pytest.MonkeyPatch, intel: MockIntel) -> None:
    """The one stand-in: no vendor's signature is at hand for what is served here."""
    monkeypatch.setattr(package, "vendor_anchors", intel.anchors)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "endorsements"


def fetch(
    sealtune_: Sealtune, services: VendorServices, cache: Path, *evidence: Path, plain: bool = False
) -> Said:
    mirror = ("--pccs", services.url, "--insecure-http")
    form = () if plain else ("--json",)
    return sealtune_("endorsements", "fetch", *evidence, "--cache", cache, *mirror, *form)


def test_what_evidence_needs_is_fetched_once(
    sealtune_: Sealtune,
    services: VendorServices,
    cache: Path,
    quote: Path,
    intel: MockIntel,
    tmp_path: Path,
) -> None:
    enclave = tmp_path / "evidence.json"
    enclave.write_text(json.dumps(intel.evidence(SGX_QUOTE).to_dict()))
    made = fetch(sealtune_, services, cache, quote, enclave).json
    assert [row["subject"] for row in made["fetched"]] == [SUBJECT, SUBJECT.replace("TDX", "SGX")]
    assert made["postponed"] == []
    asked = len(services.asked)
    assert fetch(sealtune_, services, cache, quote, enclave).json["fetched"] == []
    # Nothing is due, so nothing is renewed either.
    assert fetch(sealtune_, services, cache).json["fetched"] == []
    assert len(services.asked) == asked


def test_what_was_fetched_verifies_the_evidence(
    sealtune_: Sealtune,
    services: VendorServices,
    cache: Path,
    quote: Path,
    present: datetime,
    intel: MockIntel,
) -> None:
    verify = (
        "attest",
        "verify",
        quote,
        "--at",
        format_time(present),
        "--insecure-root",
        intel.root,
    )
    assert sealtune_(*verify, "--json").json["code"] == "endorsement-missing"
    assert fetch(sealtune_, services, cache, quote).status == 0
    said = sealtune_(*verify, "--endorsements", cache, "--json")
    assert said.status == 0, said.json["reason"]


def test_people_read_a_table(
    sealtune_: Sealtune, services: VendorServices, cache: Path, quote: Path
) -> None:
    said = fetch(sealtune_, services, cache, quote, plain=True)
    assert (said.status, said.err) == (0, "")
    assert "fetched 1 endorsement" in said.out
    assert WHAT in said.out


def test_the_list_says_since_when_something_is_stale(
    sealtune_: Sealtune,
    services: VendorServices,
    cache: Path,
    quote: Path,
    present: datetime,
) -> None:
    assert fetch(sealtune_, services, cache, quote).status == 0
    end = present + timedelta(days=28) - timedelta(seconds=1)
    states = {
        present - timedelta(days=3): ("early", "not valid before"),
        present: ("valid", "valid"),
        present + timedelta(days=22): ("due", "valid, renew soon"),
        end + timedelta(seconds=1): ("stale", f"STALE since {format_time(end)}"),
    }
    for moment, (state, shown) in states.items():
        at = ("endorsements", "list", "--cache", cache, "--at", format_time(moment))
        (row,) = sealtune_(*at, "--json").json["endorsements"]
        assert (row["state"], row["ends"], row["subject"]) == (state, format_time(end), SUBJECT)
        assert shown in sealtune_(*at).out
    now = sealtune_("endorsements", "list", "--cache", cache, "--json").json
    assert now["endorsements"][0]["state"] == "valid"
    assert now["damaged"] == []


def test_a_damaged_file_is_listed_as_such(
    sealtune_: Sealtune, services: VendorServices, cache: Path, quote: Path
) -> None:
    assert fetch(sealtune_, services, cache, quote).status == 0
    (path,) = cache.glob("*.json")
    path.write_bytes(path.read_bytes()[:-100])
    listed = sealtune_("endorsements", "list", "--cache", cache, "--json").json
    assert listed["endorsements"] == []
    assert listed["damaged"][0][0] == str(path)
    assert "damaged, not used" in sealtune_("endorsements", "list", "--cache", cache).out
    # The next fetch mends it.
    assert len(fetch(sealtune_, services, cache, quote).json["fetched"]) == 1


def test_a_folder_that_is_not_there_is_said_to_be_missing(
    sealtune_: Sealtune, tmp_path: Path
) -> None:
    said = sealtune_("endorsements", "list", "--cache", tmp_path / "typo", "--json")
    assert (said.status, said.error["code"]) == (9, "file-missing")


@pytest.mark.parametrize(
    ("said", "code", "status"),
    [
        (Says(status=404), "fetch-failed", 8),
        (Says(status=429, headers={"Retry-After": "3600"}), "fetch-throttled", 8),
        (Says(body=b"<html>"), "endorsement-malformed", 4),
    ],
    ids=["404", "429", "html"],
)
def test_a_service_s_fault_has_its_code_and_leaves_nothing(
    sealtune_: Sealtune,
    services: VendorServices,
    cache: Path,
    quote: Path,
    said: Says,
    code: str,
    status: int,
) -> None:
    path = "/tdx/certification/v4/tcb?fmspc=00806f050000"
    services.routes[path] = (
        said if said.status != 200 else Says(body=said.body, headers={"TCB-Info-Issuer-Chain": "x"})
    )
    failed = fetch(sealtune_, services, cache, quote)
    assert (failed.status, failed.error["code"]) == (status, code)
    assert services.url in failed.error["message"]
    assert not list(cache.glob("*.json"))


def test_a_mistyped_file_is_found_before_anybody_is_asked(
    sealtune_: Sealtune, services: VendorServices, cache: Path, quote: Path, tmp_path: Path
) -> None:
    said = fetch(sealtune_, services, cache, quote, tmp_path / "typo.bin")
    assert (said.status, said.error["code"]) == (9, "file-missing")
    assert services.asked == []


def test_plain_http_needs_its_switch(
    sealtune_: Sealtune, services: VendorServices, cache: Path, quote: Path
) -> None:
    mirror = ("--pccs", services.url)
    said = sealtune_("endorsements", "fetch", quote, "--cache", cache, *mirror, "--json")
    assert (said.status, said.error["code"]) == (3, "config-invalid")
    assert services.asked == []


def test_a_mirror_for_each_service_is_named(
    sealtune_: Sealtune, services: VendorServices, cache: Path, keys: Path
) -> None:
    made = package.endorsement_services(
        kds="https://k.example/", pccs=["https://p.example//"], rim=None, ocsp=None, thim=True
    )
    assert (made.kds, made.pccs) == ("https://k.example", ("https://p.example",))
    assert made.rim == "https://rim.attestation.nvidia.com"
    assert made.ocsp == "https://ocsp.ndis.nvidia.com"
    assert made.thim == "http://169.254.169.254"


# -- the air gap -----------------------------------------------------------------------------------


@pytest.fixture
def bundle(
    keys: Path, sealtune_: Sealtune, services: VendorServices, cache: Path, quote: Path
) -> Path:
    assert fetch(sealtune_, services, cache, quote).status == 0
    path = keys / "endorsements.json"
    export = ("endorsements", "export", "--cache", cache, "--key", keys / "owner.key", "-o", path)
    made = sealtune_(*export, "--json").json
    assert [row["subject"] for row in made["endorsements"]] == [SUBJECT]
    assert made["left_out"] == []
    return path


def bring(sealtune_: Sealtune, bundle: Path, far: Path, *, key: str = "owner.pub") -> Said:
    trusted = ("--trusted-key", bundle.parent / key)
    return sealtune_("endorsements", "import", bundle, "--cache", far, *trusted, "--json")


def test_what_was_exported_is_imported_and_says_who_vouches(
    sealtune_: Sealtune, keys: Path, bundle: Path, cache: Path
) -> None:
    far = keys / "far" / "endorsements"
    made = bring(sealtune_, bundle, far).json
    assert [row["subject"] for row in made["written"]] == [SUBJECT]
    owner = package.load_public_identity(keys / "owner.pub")
    assert made["signing_key"] == owner.signing.text
    near, there = (
        sealtune_("endorsements", "list", "--cache", folder, "--json").json["endorsements"]
        for folder in (cache, far)
    )
    assert near == there
    again = ("endorsements", "import", bundle, "--cache", far, "--trusted-key", keys / "owner.pub")
    assert "took 1 endorsement" in sealtune_(*again).out


def test_a_bundle_of_somebody_else_is_refused(
    sealtune_: Sealtune, keys: Path, bundle: Path
) -> None:
    said = bring(sealtune_, bundle, keys / "far", key="clinic.pub")
    assert (said.status, said.error["code"]) == (5, "signature-missing")
    assert not (keys / "far").exists()


def test_a_changed_bundle_is_refused(sealtune_: Sealtune, keys: Path, bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[200] ^= 4
    bundle.write_bytes(bytes(data))
    said = bring(sealtune_, bundle, keys / "far")
    assert said.status in (4, 5)
    assert not (keys / "far").exists()


def test_a_trusted_key_must_be_named(sealtune_: Sealtune, bundle: Path, tmp_path: Path) -> None:
    said = sealtune_("endorsements", "import", bundle, "--cache", tmp_path / "far", "--json")
    assert (said.status, said.error["family"]) == (2, "usage")


def test_an_existing_bundle_is_not_overwritten(
    sealtune_: Sealtune, keys: Path, bundle: Path, cache: Path
) -> None:
    before = bundle.read_bytes()
    export = ("endorsements", "export", "--cache", cache, "--key", keys / "owner.key", "-o", bundle)
    said = sealtune_(*export, "--json")
    assert (said.status, said.error["code"]) == (9, "file-exists")
    assert bundle.read_bytes() == before


def test_an_empty_cache_is_not_exported(sealtune_: Sealtune, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export = ("--cache", tmp_path / "empty", "--key", keys / "owner.key", "-o", keys / "out.json")
    said = sealtune_("endorsements", "export", *export, "--json")
    assert (said.status, said.error["code"]) == (5, "endorsement-missing")
    assert not (keys / "out.json").exists()


def test_a_newer_document_is_kept(
    sealtune_: Sealtune,
    services: VendorServices,
    keys: Path,
    bundle: Path,
    intel: MockIntel,
    quote: Path,
    present: datetime,
) -> None:
    far = keys / "far"
    newer = intel.crl("Intel SGX PCK Platform CA", since=present - timedelta(hours=1))
    serve_intel(services, intel, TD_QUOTE, is_pccs=True, pck_crl=newer)
    assert len(fetch(sealtune_, services, far, quote).json["fetched"]) == 1
    imported = bring(sealtune_, bundle, far).json
    assert imported["written"] == []
    assert [row["subject"] for row in imported["kept"]] == [SUBJECT]
    copied = keys / "copied"
    shutil.copytree(far, copied)
    assert sealtune_("endorsements", "list", "--cache", copied).status == 0
