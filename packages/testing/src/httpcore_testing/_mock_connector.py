"""A connector that answers from rules: no socket, and the real machines on both sides.

Each connection that a client makes is a link in memory to a connection of `httpserver`, whose
handler looks the request up in the rules. What goes over it are the bytes of HTTP/1.1, so
that what a client sends is parsed, and what it gets is framed, as anywhere.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Unpack
from unittest import mock as unittest_mock

import anyio
from yarl import URL

import httpclient
from httpclient import ConnectionKey, TCPConnector
from httpserver import BaseRequest, HTTPException, ServerRunner, StreamResponse

from ._hidden_server import HiddenServer
from ._mock_call import Call, read_form
from ._mock_link import MockLink
from ._mock_report import UnmatchedRequestError, report
from ._mock_rule import Rule, RuleOptions, URLMatch
from ._mock_url import URLPattern, origin_pattern

_FACT: Final = "httpcore_testing.mock"
# Seconds that replies have to end after they were cancelled.
_GRACE: Final = 1.0
# What code under test makes sessions with.
_CONNECTORS: Final = (
    httpclient.TCPConnector,
    httpclient.UnixConnector,
    httpclient.NamedPipeConnector,
)


class MockConnector(TCPConnector):
    """Answers the requests of a `ClientSession` from rules, without a socket.

        async with MockConnector() as mock, ClientSession(connector=mock) as session:
            mock.get("https://api.test/users/{id}").reply(json={"name": "Ann"})
            ...

    A request goes to the first rule, in the order in which they were added, that matches and
    is not used up. If there is none, `UnmatchedRequestError` is raised at the caller, and
    once more by `check`, which also raises if a rule was not used as often as it should.
    Leaving `async with` without an exception calls `check`.

    https is answered, too, without TLS, and proxies are passed over. Cancelling a request
    cancels its reply.

    Args:
        **options: As for `TCPConnector`; of use for limits, and where requests pass through.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: The requests that came, in order, with those that no rule matches.
        self.calls: list[Call] = []
        self._rules: list[Rule] = []
        self._failures: list[BaseException] = []
        self._open_origins: list[URLPattern] = []
        self._server = HiddenServer(
            self._answer, grace=_GRACE, request_factory=BaseRequest, client_max_size=0
        )
        self._links: set[MockLink] = set()

    # Rules.

    def add(
        self,
        method: str,
        url: URLMatch,
        **options: Unpack[RuleOptions],
    ) -> Rule:
        """Add a rule, which matches a request if all of this does.

        Args:
            method: The method; `*` for any.
            url: An absolute URL; or a pattern of one, in which `*` stands for any text and
                `{name}` for a segment of the path (see `Call.values`); or a compiled pattern
                that matches all of the URL; or a function of the URL. A `yarl.URL` is taken
                literally. `*` alone is any URL.
            **options: All optional:

                params: The parameters of the query, in whatever order, in addition to those in
                    `url`; `ANY` for any query. Unless given, a URL or pattern matches only its
                    own query, and anything else whatever query it likes.
                headers: Header fields, each with its value, a compiled pattern that is searched
                    for, `ANY` if it only has to be there, or None if it must not be there.
                body: The body; or a function of it, which returns whether it matches.
                json: The body, as JSON; parts of it may be `ANY`.
                form: All fields of a form, urlencoded or multipart, in whatever order; files as
                    bytes.
                times: How many requests it answers; as many as it has replies unless given. None
                    for any number, and at least one. The last reply is used for the rest.
                optional: Whether it need not be used.

        Returns:
            The rule, to tell it how to reply.

        Raises:
            TypeError: `url` is none of these.
            ValueError: `url` has no scheme and host, or `times` is below 1.
        """
        rule = Rule(method, url, **options)
        self._rules.append(rule)
        return rule

    def get(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for GET; see `add`, as for all that follow."""
        return self.add("GET", url, **options)

    def head(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for HEAD."""
        return self.add("HEAD", url, **options)

    def options(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for OPTIONS."""
        return self.add("OPTIONS", url, **options)

    def post(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for POST."""
        return self.add("POST", url, **options)

    def put(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for PUT."""
        return self.add("PUT", url, **options)

    def patch(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for PATCH."""
        return self.add("PATCH", url, **options)

    def delete(self, url: URLMatch, **options: Unpack[RuleOptions]) -> Rule:
        """Add a rule for DELETE."""
        return self.add("DELETE", url, **options)

    @property
    def rules(self) -> list[Rule]:
        """The rules, in the order in which they are asked."""
        return list(self._rules)

    def pass_through(self, *origins: str) -> None:
        """Let requests to some origins go to the network.

        Args:
            *origins: Hosts, hosts with a port, or scheme, host and port of a URL; `*` stands for
                any text: `"127.0.0.1"`, `"*.internal:8080"`, `"http://localhost:*"`.

        Raises:
            ValueError: One is none of these.
        """
        self._open_origins += map(origin_pattern, origins)

    def check(self) -> None:
        """Raise an error if a request or a rule is left over, or a reply has failed.

        Raises:
            AssertionError: It tells each of them.
        """
        if text := report(self._failures, self._rules):
            raise AssertionError(text) from next(iter(self._failures), None)

    @contextlib.contextmanager
    def everywhere(self) -> Iterator[None]:
        """Answer sessions, too, that the code under test makes with connectors of its own.

        Within this context all TCP and Unix connectors of the program, and named pipes, lead
        here; connections that they had before go where they went.
        """

        def diverted(dial: Any) -> Any:
            async def _dial(
                connector: Any, key: ConnectionKey, connection: Any, traces: Any
            ) -> None:
                if self._passes(key):
                    await dial(connector, key, connection, traces)
                else:
                    await self._join(key, connection)

            return _dial

        with contextlib.ExitStack() as stack:
            for kind in _CONNECTORS:
                new = diverted(kind._dial)
                stack.enter_context(unittest_mock.patch.object(kind, "_dial", new))
            yield

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc, traceback)
        if exc_type is None:
            self.check()

    # As a connector.

    async def _dial(self, key: ConnectionKey, connection: Any, traces: Any) -> None:
        if self._passes(key):
            await super()._dial(key, connection, traces)
        else:
            await self._join(key, connection)

    async def _shut_down(self) -> None:
        for link in list(self._links):
            link.abort()
            await link.wait_closed()
        await self._server.close()
        await super()._shut_down()

    # Inside.

    def _passes(self, key: ConnectionKey) -> bool:
        url = _origin_of(key)
        return any(pattern.matches_origin(url) for pattern in self._open_origins)

    async def _join(self, key: ConnectionKey, connection: Any) -> None:
        """Connect a client's connection to one of the server's."""
        runner = await self._started()
        link = MockLink(connection, key, runner.server.spawn, self._links.discard)
        self._links.add(link)
        facts = {
            _FACT: link,
            "sockname": ("127.0.0.1", key.port),
            "peername": ("127.0.0.1", 49152 + len(self._links) % 16384),
        }
        link.join(runner.make_receiver(), facts)

    async def _started(self) -> ServerRunner:
        self.now()  # binds to the event loop
        if self._is_elsewhere():
            self._refuse_elsewhere()
        return await self._server.started()

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        """Answer a request; the handler of the server."""
        link: MockLink = request.get_extra_info(_FACT)
        try:
            if request.has_expect:
                await request.exchange.send_continue()
            call = await _call_of(request, link.key)
            self.calls.append(call)
            for rule in self._rules:
                if not rule.is_used_up and rule.matches(call):
                    return await rule.take(call).give(request, link)
            raise UnmatchedRequestError(call, self._rules)
        except HTTPException:
            raise
        except Exception as exc:
            if isinstance(exc, OSError) and request.exchange.link.closing:
                raise
            self._failures.append(exc)
            await link.fail(exc)


async def _call_of(request: BaseRequest, key: ConnectionKey) -> Call:
    body = await request.read()
    target = request.raw_path
    # To a proxy, a client names the whole URL.
    is_whole = re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://", target) is not None
    origin = _origin_of(key)
    return Call(
        method=request.method,
        url=URL(target) if is_whole else URL(f"{origin}{target}" if target[0] == "/" else origin),
        headers=request.headers,
        body=body,
        form=await read_form(request, body) if body else None,
        time=anyio.current_time(),
    )


def _origin_of(key: ConnectionKey) -> URL:
    return URL.build(scheme="https" if key.is_ssl else "http", host=key.host, port=key.port)
