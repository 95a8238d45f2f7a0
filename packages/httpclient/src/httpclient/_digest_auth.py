"""Digest authentication (RFC 7616): a middleware.

The mathematics is httpcore_proto's. Here is kept what the server said last, how many
requests were sent under its nonce, and where credentials may go at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from yarl import URL

from httpcore_proto import (
    Challenge,
    DigestChallenge,
    digest_authorization,
    parse_auth_info,
    parse_challenges,
)
from httpcore_proto.aio import Payload

from ._errors import ClientError

if TYPE_CHECKING:
    from ._client_request import ClientRequest
    from ._middlewares import ClientHandlerType
    from ._response import ClientResponse

# Places of a protection space that are looked at; each is compared with each request.
_MAX_SPACES: Final = 64
_SECURE_SCHEMES: Final = frozenset({"https", "wss"})
_SCHEMES: Final = _SECURE_SCHEMES | {"http", "ws"}


class _Origin(NamedTuple):
    """Scheme, as far as it counts, host and port."""

    secure: bool
    host: str | None
    port: int | None


class _Space(NamedTuple):
    """A place where credentials may go: an origin, and a path that ends in a slash."""

    origin: _Origin
    path: str


class _Nonce:
    """A challenge, and how often it was answered."""

    __slots__ = ("challenge", "cnonce", "count")

    def __init__(self, challenge: DigestChallenge) -> None:
        self.challenge = challenge
        # One for each nonce of the server; -sess algorithms ask for that.
        self.cnonce = secrets.token_hex(16)
        self.count = 0


class DigestAuthMiddleware:
    """A middleware that answers challenges of the scheme Digest.

        digest = DigestAuthMiddleware("login", "password")
        session = ClientSession(middlewares=[digest])

    The credentials belong to the origin of the first request that it sees. Requests to
    other origins pass untouched, unless the first origin named their place in the
    `domain` of a challenge; a place on http is not taken from an origin on https.

    A request is sent twice at most: on a 401 with a challenge it is answered and sent
    again, unless its body cannot be had again. Of several challenges the first of the scheme
    Digest that is supported is taken, where aiohttp looks only at the first of all.

    Of the kinds of protection `auth-int` is preferred, which covers the body; for a body
    that is compressed on its way, or can be had only once, `auth` is, where the server
    lets choose.

    Args:
        login: User name, without a colon.
        password: Password.
        preemptive: Whether later requests to the same protection space (what `domain`
            says, or else the origin) are sent with credentials at once.

    Raises:
        ValueError: Login or password is None, has a control character or a lone
            surrogate; or there is a colon in `login`. The text shows neither.
    """

    __slots__ = ("_login", "_nonce", "_origin", "_password", "_preemptive", "_spaces")

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        for name, text in (("login", login), ("password", password)):
            if text is None:
                raise ValueError(f"None is not allowed as {name} value")
            if any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text):
                raise ValueError(f"there is a control character or a lone surrogate in {name}")
        if ":" in login:
            raise ValueError("a login for Digest authentication cannot contain a colon")
        self._login = login
        self._password = password
        self._preemptive = preemptive
        self._origin: _Origin | None = None
        self._spaces: tuple[_Space, ...] = ()
        self._nonce: _Nonce | None = None

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, and again with credentials if the server asks for them.

        Raises:
            ClientError: The server asks for Digest in a way that is malformed or not
                supported; or as for `ClientSession.request`.
        """
        origin = _origin(request.url)
        if self._origin is None:
            self._origin = origin
        inside = _Space(origin, f"{request.url.raw_path}/")
        covered = any(
            inside.origin == space.origin and inside.path.startswith(space.path)
            for space in self._spaces
        )
        if origin != self._origin and not covered:
            return await handler(request)
        nonce = self._nonce if self._preemptive and covered else None
        if nonce is not None:
            await self._authorize(request, nonce)
        response = await handler(request)
        if response.status == 401:
            try:
                challenge = _find_challenge(response)
            except BaseException:
                response.close()
                raise
            if challenge is None:
                return response
            nonce = self._learn(challenge, request.url, origin)
            if _is_gone(request.body):
                return response
            response.release()
            await self._authorize(request, nonce)
            response = await handler(request)
        if nonce is not None and nonce is self._nonce:
            self._look_ahead(nonce.challenge, response)
        return response

    def _learn(self, challenge: DigestChallenge, url: URL, origin: _Origin) -> _Nonce:
        """Keep a challenge for what follows."""
        # Whom the origin has let in does not let in others.
        if origin == self._origin:
            self._spaces = _spaces(challenge, url, origin)
        nonce = self._nonce
        if nonce is None or nonce.challenge.nonce != challenge.nonce:
            nonce = self._nonce = _Nonce(challenge)
        else:
            nonce.challenge = challenge
        return nonce

    def _look_ahead(self, challenge: DigestChallenge, response: ClientResponse) -> None:
        """Take the nonce for the next request, if the server gives one (RFC 7616 3.5)."""
        info = parse_auth_info(response.headers.get("Authentication-Info", ""))
        following = info.get("nextnonce") if info is not None else None
        if following and following != challenge.nonce:
            self._nonce = _Nonce(replace(challenge, nonce=following))

    async def _authorize(self, request: ClientRequest, nonce: _Nonce) -> None:
        challenge, body = nonce.challenge, b""
        if challenge.preferred_qop == "auth-int":
            can_choose = "auth" in challenge.qop
            if can_choose and not _is_known(request):
                challenge = replace(challenge, qop=("auth",))
            else:
                body = await _body(request)
        nonce.count += 1
        # As it is sent: `url` does not know an empty query.
        target = request.compile().destination.target
        if not target.startswith("/"):
            # What a proxy gets in absolute form reaches the origin without its authority.
            target = f"/{target.split('/', 3)[3]}"
        try:
            value = digest_authorization(
                challenge,
                method=request.method,
                uri=target,
                username=self._login,
                password=self._password,
                nc=nonce.count,
                cnonce=nonce.cnonce,
                body=body,
            )
        except ValueError as exc:
            raise ClientError(f"Digest challenge cannot be answered: {exc}") from exc
        request.headers["Authorization"] = value


def _origin(url: URL) -> _Origin:
    return _Origin(url.scheme in _SECURE_SCHEMES, url.raw_host, url.port)


def _spaces(challenge: DigestChallenge, url: URL, origin: _Origin) -> tuple[_Space, ...]:
    """Return the places that a challenge names, or all of the origin."""
    found = []
    for uri in islice(challenge.domain, _MAX_SPACES):
        try:
            place = url.join(URL(uri))
        except ValueError:
            continue
        space = _Space(_origin(place), f"{place.raw_path.rstrip('/')}/")
        if place.scheme in _SCHEMES and place.raw_host and space.origin.secure >= origin.secure:
            found.append(space)
    return tuple(found) or (_Space(origin, "/"),)


def _find_challenge(response: ClientResponse) -> DigestChallenge | None:
    """Return the first Digest challenge that is supported, None if there is no Digest at all.

    Raises:
        ClientError: There are some, but none is supported.
    """
    refused: Mapping[str, str] | None = None
    for challenge in parse_challenges(response.headers.getall("WWW-Authenticate", ())):
        if challenge.scheme == "digest":
            found = DigestChallenge.from_challenge(challenge)
            if found is not None:
                return found
            refused = refused or challenge.parameters
    if not refused:
        return None
    raise ClientError(f"Digest challenge not supported: {_what_is_wrong(refused)}")


def _what_is_wrong(parameters: Mapping[str, str]) -> str:
    for name in ("realm", "nonce"):
        if name not in parameters:
            return f"it has no {name}"
    if not parameters["nonce"]:
        return "its nonce is empty"
    others = {name: value for name, value in parameters.items() if name != "qop"}
    if DigestChallenge.from_challenge(Challenge("digest", None, others)) is None:
        return (
            f"algorithm {parameters['algorithm'][:80]!r} is not one of "
            "MD5, SHA, SHA-256, SHA-512, SHA-512-256, with or without -sess"
        )
    return f"qop {parameters['qop'][:80]!r} has neither auth nor auth-int"


def _is_gone(body: Payload | bytes) -> bool:
    return isinstance(body, Payload) and body.consumed


def _is_known(request: ClientRequest) -> bool:
    """Whether the body as it is sent can be had beforehand, and still be sent."""
    body = request.body
    return not body or (not request.compress and (not isinstance(body, Payload) or body.replayable))


async def _body(request: ClientRequest) -> bytes:
    body = request.body
    if not body:
        return b""
    if request.compress:
        raise ClientError(
            "the server asks for Digest with qop auth-int alone, which does not go with "
            "compress of the request"
        )
    return await body.as_bytes() if isinstance(body, Payload) else body
