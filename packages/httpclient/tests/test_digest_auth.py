"""The middleware that answers Digest challenges, against a server that checks them."""

from __future__ import annotations

from typing import Any, Self

import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient import DigestAuthMiddleware
from httpclient._url import destination
from httpcore_proto import DigestChallenge, digest_ha1, parse_credentials, verify_digest
from httpcore_proto.aio import AsyncIterablePayload, BytesPayload, Payload

LOGIN, PASSWORD = "Mufasa", 'Circle \\"of" Life\N{LATIN SMALL LETTER E WITH ACUTE}'


class Request:
    """As much of a `ClientRequest` as is looked at."""

    def __init__(
        self,
        url: str = "http://h/dir/index.html?a=%7e",
        method: str = "GET",
        body: Payload | bytes = b"",
        compress: str | None = None,
    ) -> None:
        self.method = method
        self.destination = destination(url)
        self.url = self.destination.url
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.body = body
        self.compress = compress

    def compile(self) -> Self:
        return self


class Response:
    """As much of a `ClientResponse` as is looked at."""

    def __init__(self, status: int, headers: Any = ()) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self.fate = "open"

    def release(self) -> None:
        self.fate = "released"

    def close(self) -> None:
        self.fate = "closed"


class Server:
    """Checks credentials against its challenge, as httpcore_proto would on a server.

    Attributes:
        challenges: Values of WWW-Authenticate.
        sent: What came: Authorization, or None.
        responses: What went back.
        info: Authentication-Info of what goes well.
    """

    def __init__(self, *challenges: str) -> None:
        self.challenges = challenges
        self.sent: list[str | None] = []
        self.responses: list[Response] = []
        self.info: str | None = None

    async def __call__(self, request: Any) -> Any:
        if isinstance(request.body, AsyncIterablePayload):
            await request.body.write(Sink())
        value = request.headers.get("Authorization")
        self.sent.append(value)
        if value is not None and await self.accepts(request, value):
            headers = {} if self.info is None else {"Authentication-Info": self.info}
            response = Response(200, headers)
        else:
            response = Response(
                401, [("WWW-Authenticate", challenge) for challenge in self.challenges]
            )
        self.responses.append(response)
        return response

    async def accepts(self, request: Any, value: str) -> bool:
        """Whether the credentials are right."""
        credentials = parse_credentials(value)
        assert credentials is not None
        for text in self.challenges:
            parsed = parse_credentials(text)
            challenge = parsed and DigestChallenge.from_challenge(parsed)
            if challenge is None:
                continue
            body = request.body
            algorithm = challenge.algorithm
            ha1 = digest_ha1(
                username=LOGIN, realm=challenge.realm, password=PASSWORD, algorithm=algorithm
            )
            if verify_digest(
                challenge,
                credentials,
                method=request.method,
                uri=request.destination.target,
                username=LOGIN,
                ha1=ha1,
                body=await body.as_bytes() if isinstance(body, Payload) else body,
            ):
                return True
        return False

    def parameters(self, index: int = -1) -> dict[str, str]:
        """Return the parameters of what came."""
        value = self.sent[index]
        assert value is not None
        credentials = parse_credentials(value)
        assert credentials is not None
        return dict(credentials.parameters)


class Sink:
    async def write(self, chunk: bytes) -> None:
        """Drop it."""


async def send(digest: DigestAuthMiddleware, server: Server, *args: Any, **kwargs: Any) -> int:
    """Send a request through the middleware, and return the status."""
    response: Any = await digest(Request(*args, **kwargs), server)  # type: ignore[arg-type]
    assert response.fate == "open"
    return int(response.status)


@pytest.fixture
def digest() -> DigestAuthMiddleware:
    """Return the middleware with the right credentials."""
    return DigestAuthMiddleware(LOGIN, PASSWORD)


@pytest.mark.parametrize("qop", ["", ', qop="auth"', ', qop="auth-int"', ', qop="auth,auth-int"'])
@pytest.mark.parametrize(
    "algorithm",
    [
        "",
        *[
            f", algorithm={name}{suffix}"
            for name in ("MD5", "SHA", "SHA-256", "sha256", "SHA-512", "SHA512")
            for suffix in ("", "-sess", "-SESS")
        ],
    ],
)
async def test_challenge_is_answered(
    digest: DigestAuthMiddleware, qop: str, algorithm: str
) -> None:
    server = Server(f'Digest realm="r@h", nonce="n", opaque="o"{algorithm}{qop}')
    assert await send(digest, server, method="PUT", body=BytesPayload(b"body")) == 200
    assert server.sent[0] is None
    assert [response.fate for response in server.responses] == ["released", "open"]
    sent = server.parameters()
    assert sent["algorithm"] == (algorithm.partition("=")[2] or "MD5")
    expected = "auth-int" if "int" in qop else "auth" if qop else None
    assert sent.get("qop") == expected


@pytest.mark.parametrize("target", ["/", "/a?", "/a?b=%7e%2f", "/a//b/../c", "/a?b=c+d%20e"])
async def test_target_is_covered_to_the_letter(digest: DigestAuthMiddleware, target: str) -> None:
    """The URL of a request does not show a query that is empty; the server sees the mark."""
    server = Server('Digest realm="r", nonce="n", qop="auth"')
    assert await send(digest, server, f"http://h{target}#fragment") == 200
    assert server.parameters()["uri"] == target


async def test_later_requests_have_credentials_at_once(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="", nonce="n", qop="auth"')
    for _ in range(3):
        assert await send(digest, server) == 200
    assert [value is None for value in server.sent] == [True, False, False, False]
    assert [server.parameters(i)["nc"] for i in (1, 2, 3)] == ["00000001", "00000002", "00000003"]
    server.challenges = ('Digest realm="", nonce="m", qop="auth", stale=true',)
    assert await send(digest, server) == 200
    assert len(server.sent) == 6
    assert server.parameters()["nc"] == "00000001"
    assert server.parameters()["cnonce"] != server.parameters(4)["cnonce"]


async def test_later_requests_may_ask_first() -> None:
    digest = DigestAuthMiddleware(LOGIN, PASSWORD, preemptive=False)
    server = Server('Digest realm="r", nonce="n", qop="auth"')
    for _ in range(2):
        assert await send(digest, server) == 200
    assert [value is None for value in server.sent] == [True, False, True, False]
    assert server.parameters()["nc"] == "00000002"


async def test_wrong_password_is_tried_once() -> None:
    digest = DigestAuthMiddleware(LOGIN, "wrong")
    server = Server('Digest realm="r", nonce="n", qop="auth"')
    assert await send(digest, server) == 401
    assert len(server.sent) == 2
    assert await send(digest, server) == 401
    assert len(server.sent) == 4


@pytest.mark.parametrize(
    "challenges",
    [
        (),
        ('Basic realm="r"',),
        ("Digest",),
        ("Bearer abc=",),
        ("Digest realm",),
        ('Digest realm="r', 'DIGESTX realm="r", nonce="n"'),
    ],
)
async def test_no_digest_no_answer(
    digest: DigestAuthMiddleware, challenges: tuple[str, ...]
) -> None:
    server = Server(*challenges)
    assert await send(digest, server) == 401
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    "challenges",
    [
        ('Basic realm="r", dIGEST realm="r", nonce="n"',),
        ('Basic realm="r"', 'Digest realm="r", nonce="n"'),
        ('Digest realm="r", nonce="n", algorithm=NEW', 'Digest realm="r", nonce="n"'),
    ],
)
async def test_digest_is_found_among_others(
    digest: DigestAuthMiddleware, challenges: tuple[str, ...]
) -> None:
    """aiohttp reads the first challenge only, and so misses a Digest behind a Basic."""
    server = Server(*challenges, 'Digest realm="r", nonce="n"')
    assert await send(digest, server) == 200


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ('nonce="n"', "no realm"),
        ('realm="r"', "no nonce"),
        ('realm="r", nonce=""', "nonce is empty"),
        ('realm="r", nonce="n", algorithm=MD6', "algorithm 'MD6'"),
        ('realm="r", nonce="n", qop="auth-conf"', "qop 'auth-conf'"),
    ],
)
async def test_unusable_challenge(
    digest: DigestAuthMiddleware, parameters: str, message: str
) -> None:
    server = Server(f"Digest {parameters}")
    with pytest.raises(httpclient.ClientError, match=message):
        await send(digest, server)
    assert server.responses[0].fate == "closed"
    assert len(server.sent) == 1


async def test_backslash_and_quote_do_not_break_out(digest: DigestAuthMiddleware) -> None:
    """A backslash at the end of the realm ended the quotes in aiohttp's header."""
    server = Server(r'Digest realm="a\\", nonce="\"n\\\", x=\"", opaque="o\\", qop="auth"')
    assert await send(digest, server) == 200
    sent = server.parameters()
    assert (sent["realm"], sent["nonce"], sent["opaque"]) == ("a\\", '"n\\", x="', "o\\")
    assert "x" not in sent


@pytest.mark.parametrize(
    "other", ["http://evil/", "https://h/", "http://h:81/", "http://h.evil/", "http://h./"]
)
async def test_other_origins_get_nothing(digest: DigestAuthMiddleware, other: str) -> None:
    """aiohttp once answered the challenge of any server that a redirect led to."""
    server = Server('Digest realm="r", nonce="n"')
    assert await send(digest, server) == 200
    evil = Server('Digest realm="r", nonce="n"')
    assert await send(digest, evil, other) == 401
    assert evil.sent == [None]
    assert await send(digest, server) == 200
    assert len(server.sent) == 3


async def test_origin_is_that_of_the_first_request(digest: DigestAuthMiddleware) -> None:
    first = Server()
    assert await send(digest, first, "http://first/") == 401
    server = Server('Digest realm="r", nonce="n"')
    assert await send(digest, server) == 401
    assert server.sent == [None]


async def test_websocket_urls_are_of_the_same_origin(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n"')
    assert await send(digest, server, "http://h/") == 200
    request = Request("http://h/x")
    request.url = URL("ws://h:80/x")
    assert (await digest(request, server)).status == 200  # type: ignore[arg-type]
    assert len(server.sent) == 3
    request.url = URL("wss://h/x")
    request.headers.clear()
    assert (await digest(request, server)).status == 401  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://h/a", True),
        ("http://h/a/", True),
        ("http://h/a/b?c", True),
        ("http://h/ab", False),
        ("http://h/", False),
        ("http://b/x/y", True),
        ("http://b/", False),
        ("https://c:444/", True),
        ("http://c:444/", False),
        ("http://d/", False),
    ],
)
async def test_protection_space(digest: DigestAuthMiddleware, url: str, inside: bool) -> None:
    server = Server(
        'Digest realm="r", nonce="n", domain="/a http://b/x/ //[ ftp://d/ https://c:444"'
    )
    assert await send(digest, server, "http://h/dir/x") == 200
    assert await send(digest, server, url) == (200 if inside or "//h/" in url else 401)
    assert (server.sent[2] is not None) is inside


@pytest.mark.parametrize("domain", ["", "  ", "ftp://x/", "//[", "mailto:x", "http://h/"])
async def test_without_a_usable_domain_the_space_is_the_origin(domain: str) -> None:
    digest = DigestAuthMiddleware(LOGIN, PASSWORD)
    server = Server(f'Digest realm="r", nonce="n", domain="{domain}"')
    assert await send(digest, server, "https://h/dir/x") == 200
    assert await send(digest, server, "https://h/") == 200
    assert len(server.sent) == 3
    assert await send(digest, server, "http://h/") == 401


async def test_space_of_https_is_https(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", domain="http://b/ https://b/ /"')
    assert await send(digest, server, "https://h/") == 200
    assert await send(digest, server, "http://b/") == 401
    assert server.sent[2] is None
    assert await send(digest, server, "https://b/") == 200


async def test_only_the_origin_widens_its_space(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", domain="/ http://b/"')
    assert await send(digest, server) == 200
    guest = Server('Digest realm="r", nonce="m", domain="http://evil/"')
    assert await send(digest, guest, "http://b/") == 200
    evil = Server('Digest realm="r", nonce="e"')
    assert await send(digest, evil, "http://evil/") == 401
    assert evil.sent == [None]
    # The guest was in the origin's space, and still is.
    assert await send(digest, guest, "http://b/") == 200


async def test_endless_domain_is_cut(digest: DigestAuthMiddleware) -> None:
    places = " ".join(f"http://b{number}/" for number in range(1000))
    server = Server(f'Digest realm="r", nonce="n", domain="{places}"')
    assert await send(digest, server) == 200
    assert await send(digest, server, "http://b63/") == 200
    assert await send(digest, server, "http://b64/") == 401


async def pieces() -> Any:
    """Yield a body."""
    yield b"bo"
    yield b"dy"


async def test_body_that_is_gone_is_not_sent_again(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", qop="auth"')
    body = AsyncIterablePayload(pieces())
    assert await send(digest, server, method="PUT", body=body) == 401
    assert len(server.sent) == 1
    assert await send(digest, Server(*server.challenges)) == 200


async def test_body_to_be_had_once_goes_with_auth(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", qop="auth,auth-int"')
    assert await send(digest, server) == 200
    assert server.parameters()["qop"] == "auth-int"
    response: Any = await digest(
        Request(method="PUT", body=AsyncIterablePayload(pieces())),  # type: ignore[arg-type]
        server_that_takes_all := Recorder(),  # type: ignore[arg-type]
    )
    assert response.status == 200
    assert "qop=auth," in server_that_takes_all.value


async def test_body_to_be_had_once_is_kept_for_auth_int(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", qop="auth-int"')
    assert await send(digest, server) == 200
    body = AsyncIterablePayload(pieces())
    assert await send(digest, server, method="PUT", body=body) == 200
    assert await body.as_bytes() == b"body"


async def test_coded_body_goes_with_auth(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", qop="auth-int,auth"')
    body = BytesPayload(b"x")
    assert await send(digest, server, method="PUT", body=body, compress="gzip") == 200
    assert server.parameters()["qop"] == "auth"
    other = Server('Digest realm="r", nonce="m", qop="auth-int"')
    assert await send(digest, other, method="PUT", compress="gzip") == 200
    with pytest.raises(httpclient.ClientError, match="compress"):
        await send(digest, other, method="PUT", body=body, compress="gzip")


async def test_bytes_may_be_the_body(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", qop="auth-int"')
    assert await send(digest, server, method="PUT", body=b"body") == 200


class Recorder:
    """Answers everything with 200, and keeps the last credentials."""

    value = ""

    async def __call__(self, request: Any) -> Any:
        self.value = request.headers["Authorization"]
        return Response(200)


async def test_next_nonce_is_used(digest: DigestAuthMiddleware) -> None:
    server = Server('Digest realm="r", nonce="n", qop="auth"')
    server.info = 'nextnonce="m"'
    assert await send(digest, server) == 200
    server.challenges = ('Digest realm="r", nonce="m", qop="auth"',)
    server.info = "nextnonce=m"
    assert await send(digest, server) == 200
    assert server.parameters()["nc"] == "00000001"
    server.info = 'qop="auth", rspauth'
    assert await send(digest, server) == 200
    assert server.parameters()["nc"] == "00000002"
    server.info = 'nextnonce=""'
    assert await send(digest, server) == 200
    assert await send(digest, server) == 200
    assert len(server.sent) == 6


async def test_what_cannot_be_written_is_an_error_of_the_client(
    digest: DigestAuthMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> str:
        raise ValueError("why")

    monkeypatch.setattr("httpclient._digest_auth.digest_authorization", refuse)
    server = Server('Digest realm="r", nonce="n"')
    with pytest.raises(httpclient.ClientError, match="why"):
        await send(digest, server)


async def test_answer_without_challenge_passes(digest: DigestAuthMiddleware) -> None:
    async def answer(request: Any) -> Any:
        assert "Authorization" not in request.headers
        return Response(200)

    response: Any = await digest(Request(), answer)  # type: ignore[arg-type]
    assert (response.status, response.fate) == (200, "open")


async def test_error_behind_it_passes(digest: DigestAuthMiddleware) -> None:
    async def fail(request: Any) -> Any:
        raise httpclient.ServerDisconnectedError

    with pytest.raises(httpclient.ServerDisconnectedError):
        await digest(Request(), fail)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("login", "password", "message"),
    [
        (None, "secret", "login"),
        ("me", None, "password"),
        ("m:e", "secret", "colon"),
        ("me\n", "secret", "login"),
        ("me", "secret\x00", "password"),
        ("me", "secret\ud800", "password"),
    ],
)
def test_unfit_credentials(login: Any, password: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        DigestAuthMiddleware(login, password)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("piece", ['"', "\\", ",", ";", " ", "Digest ", "a=b,", "Digest realm=,"])
async def test_long_challenge_takes_no_long_time(digest: DigestAuthMiddleware, piece: str) -> None:
    server = Server(f'Digest realm="r", nonce="n", x="{piece * 100_000}', piece * 100_000)
    try:
        status = await send(digest, server)
    except httpclient.ClientError:
        status = 401
    assert status == 401
