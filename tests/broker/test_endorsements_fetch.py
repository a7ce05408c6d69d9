"""The fetcher against a real local server: patient where it helps, and never fooled by a fault."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from broker.vendor_services import Says, VendorServices
from sealtune.broker.endorsements.fetch import (
    Fetcher,
    HttpAnswer,
    Manners,
    NotThereError,
    Question,
)
from sealtune.core.clock import SystemClock
from sealtune.errors import Code, ConfigError, SealtuneError, TransportError
from sealtune.testing.clock import VirtualClock

LIMIT = 100


class Pauses:
    """Sleeps by moving the clock, and keeps how long."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


@pytest.fixture
def services() -> Iterator[VendorServices]:
    with VendorServices() as running:
        yield running


@pytest.fixture
def clock(now: datetime) -> VirtualClock:
    return VirtualClock(now)


@pytest.fixture
def pauses(clock: VirtualClock) -> Pauses:
    return Pauses(clock)


@pytest.fixture
def ask(services: VendorServices, clock: VirtualClock, pauses: Pauses) -> Callable[..., HttpAnswer]:
    """Asks the local server for a path, with virtual time."""
    fetcher = Fetcher(
        clock=clock,
        manners=Manners(attempts=3, sleep=pauses, jitter=lambda: 1.0, interval_s=0.0),
        authorities=None,
        insecure_http=True,
    )

    def call(path: str, *, limit: int = LIMIT, body: bytes | None = None) -> HttpAnswer:
        return fetcher.ask(Question(url=services.url + path, limit=limit, body=body))

    return call


def refusal(call: Callable[[], object]) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        call()
    return caught.value


def test_an_answer_comes_with_its_headers(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/x?a=1&b=%20"] = Says(body=b"ok", headers={"TCB-Info": "chain"})
    answer = ask("/x?a=1&b=%20")
    assert (answer.body, answer.headers["tcb-info"]) == (b"ok", "chain")
    assert services.asked[0].method == "GET"
    assert services.asked[0].headers["accept-encoding"] == "identity"


def test_a_body_is_posted(services: VendorServices, ask: Callable[..., HttpAnswer]) -> None:
    services.routes["/ocsp"] = Says(body=b"ok")
    assert ask("/ocsp", body=b"request").body == b"ok"
    assert (services.asked[0].method, services.asked[0].body) == ("POST", b"request")


def test_an_empty_path_asks_for_the_root(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/"] = Says(body=b"ok")
    assert ask("").body == b"ok"


def test_what_is_not_known_is_asked_for_once(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    error = refusal(lambda: ask("/missing"))
    assert isinstance(error, NotThereError)
    assert error.code is Code.FETCH_FAILED
    assert f"{services.url}/missing" in error.message
    assert len(services.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    services: VendorServices, ask: Callable[..., HttpAnswer], status: int
) -> None:
    services.routes["/x"] = Says(status=status, headers={"Location": f"{services.url}/y"})
    services.routes["/y"] = Says(body=b"other")
    error = refusal(lambda: ask("/x"))
    assert (error.code, services.paths) == (Code.FETCH_FAILED, ["/x"])
    assert "not followed" in error.message


@pytest.mark.parametrize("status", [204, 400, 401, 403, 500])
def test_another_status_is_final(
    services: VendorServices, ask: Callable[..., HttpAnswer], status: int
) -> None:
    services.routes["/x"] = Says(status=status)
    error = refusal(lambda: ask("/x"))
    assert error.code is Code.FETCH_FAILED
    assert str(status) in error.message
    assert len(services.asked) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_service_that_is_down_is_asked_again(
    services: VendorServices, ask: Callable[..., HttpAnswer], pauses: Pauses, status: int
) -> None:
    services.routes["/x"] = [Says(status=status), Says(status=status), Says(body=b"ok")]
    assert ask("/x").body == b"ok"
    assert pauses.slept == [0.5, 1.0]


def test_a_service_that_stays_down_is_given_up(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/x"] = Says(status=503)
    error = refusal(lambda: ask("/x"))
    assert (error.code, len(services.asked)) == (Code.FETCH_FAILED, 3)
    assert "3 times" in error.message


def test_a_throttled_request_waits_as_long_as_it_is_told(
    services: VendorServices, ask: Callable[..., HttpAnswer], pauses: Pauses
) -> None:
    services.routes["/x"] = [
        Says(status=429, headers={"Retry-After": "7"}),
        Says(body=b"ok"),
    ]
    assert ask("/x").body == b"ok"
    assert pauses.slept == [7.0]


def test_a_date_to_wait_for_is_understood(
    services: VendorServices, ask: Callable[..., HttpAnswer], pauses: Pauses, now: datetime
) -> None:
    date = (now + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    services.routes["/x"] = [
        Says(status=503, headers={"Retry-After": date}),
        Says(body=b"ok"),
    ]
    assert ask("/x").body == b"ok"
    assert pauses.slept == [9.0]


@pytest.mark.parametrize(
    "text",
    ["soon", "-1", "1e9", "²", "Mon, 01 Jan 2001 00:00:00 GMT", "Mon, 01 Jan 2001 00:00:00 -0000"],
    ids=["word", "negative", "float", "superscript", "past", "past-without-zone"],
)
def test_a_pause_that_makes_no_sense_is_the_usual_one(
    services: VendorServices, ask: Callable[..., HttpAnswer], pauses: Pauses, text: str
) -> None:
    retry = {"Retry-After": text.encode().decode("latin-1")}
    services.routes["/x"] = [Says(status=429, headers=retry), Says(body=b"ok")]
    assert ask("/x").body == b"ok"
    assert pauses.slept == [0.5]


def test_a_service_that_asks_for_an_hour_is_not_waited_for(
    services: VendorServices, ask: Callable[..., HttpAnswer], pauses: Pauses
) -> None:
    services.routes["/x"] = Says(status=429, headers={"Retry-After": "3600"})
    error = refusal(lambda: ask("/x"))
    assert error.code is Code.FETCH_THROTTLED
    assert "3600 s" in error.message
    assert (len(services.asked), pauses.slept) == (1, [])


def test_a_service_that_throttles_to_the_end_says_so(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/x"] = Says(status=429)
    error = refusal(lambda: ask("/x"))
    assert isinstance(error, TransportError)
    assert (error.code, len(services.asked)) == (Code.FETCH_THROTTLED, 3)


def test_a_cut_answer_is_asked_for_again_and_never_returned(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/x"] = [Says(body=b"whole", cut=2), Says(body=b"whole")]
    assert ask("/x").body == b"whole"
    services.routes["/x"] = Says(body=b"whole", cut=2)
    error = refusal(lambda: ask("/x"))
    assert error.code is Code.FETCH_FAILED
    assert "2 bytes are missing" in error.message


@pytest.mark.parametrize("announce", [True, False])
def test_an_oversized_answer_is_refused(
    services: VendorServices, ask: Callable[..., HttpAnswer], announce: bool
) -> None:
    services.routes["/x"] = Says(body=bytes(LIMIT + 1), announce=announce)
    error = refusal(lambda: ask("/x"))
    assert error.code is Code.FETCH_FAILED
    assert f"larger than {LIMIT}" in error.message
    assert len(services.asked) == 1
    services.routes["/x"] = Says(body=bytes(LIMIT), announce=announce)
    assert len(ask("/x").body) == LIMIT


def test_an_answer_that_announces_too_much_is_not_waited_for(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/x"] = Says(body=bytes(LIMIT + 1), cut=LIMIT + 1)
    assert f"larger than {LIMIT}" in refusal(lambda: ask("/x")).message
    assert len(services.asked) == 1


def test_a_compressed_answer_is_refused(
    services: VendorServices, ask: Callable[..., HttpAnswer]
) -> None:
    services.routes["/x"] = Says(body=b"ok", headers={"Content-Encoding": "gzip"})
    assert refusal(lambda: ask("/x")).code is Code.FETCH_FAILED


@pytest.mark.parametrize(
    "slow", [Says(body=b"ok", delay=1.0), Says(body=b"ok" * 40, drip=0.02)], ids=["late", "drops"]
)
def test_a_slow_service_is_not_waited_for(services: VendorServices, slow: Says) -> None:
    fetcher = Fetcher(
        clock=SystemClock(),
        manners=Manners(attempts=1, timeout_s=0.3),
        authorities=None,
        insecure_http=True,
    )
    services.routes["/x"] = slow
    error = refusal(lambda: fetcher.ask(Question(url=services.url + "/x", limit=LIMIT)))
    assert error.code is Code.FETCH_FAILED
    assert "asked once" in error.message


def test_a_connection_that_nobody_answers_is_tried_again(
    services: VendorServices, ask: Callable[..., HttpAnswer], pauses: Pauses, clock: VirtualClock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fetcher = Fetcher(
        clock=clock,
        manners=Manners(attempts=3, sleep=pauses, jitter=lambda: 0.0, interval_s=0),
        authorities=None,
        insecure_http=True,
    )
    error = refusal(lambda: fetcher.ask(Question(url=f"http://127.0.0.1:{port}/", limit=1)))
    assert error.code is Code.FETCH_FAILED
    assert pauses.slept == [0.25, 0.5]


def test_one_host_is_asked_at_intervals(
    services: VendorServices, clock: VirtualClock, pauses: Pauses
) -> None:
    fetcher = Fetcher(
        clock=clock,
        manners=Manners(sleep=pauses, interval_s=2.0),
        authorities=None,
        insecure_http=True,
    )
    services.routes["/x"] = Says(body=b"ok")
    question = Question(url=services.url + "/x", limit=LIMIT)
    fetcher.ask(question)
    clock.advance(0.5)
    fetcher.ask(question)
    assert pauses.slept == [1.5]
    clock.advance(5)
    fetcher.ask(question)
    assert pauses.slept == [1.5]


def test_threads_that_ask_at_once_take_turns(services: VendorServices, clock: VirtualClock) -> None:
    slept: list[float] = []
    fetcher = Fetcher(
        clock=clock,  # stands still: each slot is counted from the same moment
        manners=Manners(sleep=slept.append, interval_s=1.0),
        authorities=None,
        insecure_http=True,
    )
    services.routes["/x"] = Says(body=b"ok")
    question = Question(url=services.url + "/x", limit=LIMIT)
    threads = [threading.Thread(target=fetcher.ask, args=(question,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(slept) == [1.0, 2.0, 3.0]


ADDRESSES = {
    "plain-http": "http://kdsintf.amd.com/x",
    "plain-http-to-an-address": "http://192.0.2.1/x",
    "file": "file:///etc/passwd",
    "no-host": "https:///x",
    "credentials": "https://user:secret@kds.example/x",
    "fragment": "https://kds.example/x#y",
    "port": "https://kds.example:99999/x",
    "port-zero": "https://kds.example:0/x",
    "newline": "https://kds.example/x y",
    "not-ascii": "https://kds.example/ü",
    "long": "https://kds.example/" + "x" * 2048,
    "brackets": "https://[::1/x",
}


@pytest.mark.parametrize("url", ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_that_is_not_permitted_is_not_asked(clock: VirtualClock, url: str) -> None:
    fetcher = Fetcher(clock=clock, manners=Manners(), authorities=None, insecure_http=True)
    with pytest.raises(ConfigError) as caught:
        fetcher.ask(Question(url=url, limit=1))
    assert caught.value.code is Code.CONFIG_INVALID
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_loopback_needs_leave_for_plain_http(clock: VirtualClock, host: str) -> None:
    fetcher = Fetcher(clock=clock, manners=Manners(), authorities=None, insecure_http=False)
    with pytest.raises(ConfigError):
        fetcher.ask(Question(url=f"http://{host}:1/x", limit=1))


def test_the_metadata_service_is_plain_by_design(clock: VirtualClock) -> None:
    fetcher = Fetcher(clock=clock, manners=Manners(), authorities=None, insecure_http=False)
    assert fetcher._permitted("http://169.254.169.254/metadata/x").hostname == "169.254.169.254"


def test_a_proxy_of_the_environment_is_not_used(
    services: VendorServices, ask: Callable[..., HttpAnswer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    services.routes["/x"] = Says(body=b"ok")
    assert ask("/x").body == b"ok"


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, private = folder / "cert.pem", folder / "key.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mirror")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    day = timedelta(days=1)
    present = datetime.now(UTC)  # the TLS library reads the machine's clock
    built = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(present - day)
        .not_valid_after(present + day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(built.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


@pytest.fixture
def tls_services(tls_files: tuple[Path, Path]) -> Iterator[VendorServices]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls_files)
    with VendorServices(tls=context) as running:
        running.routes["/x"] = Says(body=b"ok")
        yield running


def test_a_mirror_with_a_certificate_of_its_own_is_trusted_by_naming_it(
    tls_services: VendorServices, tls_files: tuple[Path, Path]
) -> None:
    fetcher = Fetcher(
        clock=SystemClock(), manners=Manners(), authorities=tls_files[0], insecure_http=False
    )
    assert fetcher.ask(Question(url=tls_services.url + "/x", limit=LIMIT)).body == b"ok"


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    tls_services: VendorServices,
) -> None:
    fetcher = Fetcher(clock=SystemClock(), manners=Manners(), authorities=None, insecure_http=False)
    error = refusal(lambda: fetcher.ask(Question(url=tls_services.url + "/x", limit=LIMIT)))
    assert error.code is Code.FETCH_FAILED
    assert "TLS certificate" in error.message
    assert tls_services.asked == []


def test_a_certificate_of_another_name_is_refused(
    tls_services: VendorServices, tls_files: tuple[Path, Path]
) -> None:
    fetcher = Fetcher(
        clock=SystemClock(), manners=Manners(), authorities=tls_files[0], insecure_http=False
    )
    url = tls_services.url.replace("127.0.0.1", "localhost")
    error = refusal(lambda: fetcher.ask(Question(url=url + "/x", limit=LIMIT)))
    assert "TLS certificate" in error.message


def test_authorities_that_are_none_are_refused(tmp_path: Path, clock: VirtualClock) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigError) as caught:
            Fetcher(
                clock=clock, manners=Manners(), authorities=tmp_path / name, insecure_http=False
            )
        assert caught.value.code is Code.CONFIG_INVALID
