"""Cassettes: what a server answered is recorded once, and played from then on.

Theory of operation. A cassette is a connector. Each connection that it makes is a link in
memory to a real server of this program, whose handler plays what is recorded, or, while it
records, passes the request on by a session of its own and keeps what came. So the program
under test goes the same way in both cases, and gets the answer in the same shape.

What goes wrong in the handler is to be raised where the program waits for its answer, and
not to look like something that a server or the network did. So the handler leaves it at the
link (`CassetteLink`), which raises it there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias, get_args

from multidict import CIMultiDict

from httpclient import (
    BaseConnector,
    ClientSession,
    ClientTimeout,
    ConnectionKey,
    DummyCookieJar,
    TCPConnector,
)
from httpcore_proto import LocalProtocolError
from httpcore_proto.aio import StreamReader
from httpserver import BaseRequest, StreamResponse

from ._cassette_exchange import (
    CassetteError,
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
    field_of,
    settle_request,
    settle_response,
    too_large,
    without_fields,
)
from ._cassette_file import read_cassette, write_cassette
from ._cassette_link import CassetteLink
from ._cassette_match import Matcher, Tape
from ._cassette_reply import RecordedReply
from ._hidden_server import LIMITS, HiddenServer
from ._redaction import Redaction, Redactor

#: Whether a cassette records: once if there is no file yet, never, or everything anew.
CassetteMode: TypeAlias = Literal["once", "none", "all"]
#: Sees what is about to be recorded; returns it, something in its place, or None to leave it out.
BeforeRecord: TypeAlias = Callable[[RecordedExchange], RecordedExchange | None]

# They change with every release of a client and with every answer, and would make two
# recordings of the same thing differ.
_IGNORED: Final = ("Accept-Encoding", "Date", "User-Agent")
_REDACTION: Final = Redaction()
# What the session that passes a request on writes by itself.
_OWN_FIELDS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "transfer-encoding"}
)
_AUTO_FIELDS: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
# 16 MiB: what is more has no place in a repository of source code.
_MAX_BODY: Final = 2**24
# Seconds for what is still under way when the cassette is closed: nobody waits for it.
_SHUTDOWN_TIMEOUT: Final = 0.5


class Cassette(BaseConnector):
    """A connector for `ClientSession` that records what servers answer, and plays it.

    Requests are recorded in the order in which they arrive here; equal ones are answered in
    the order of recording. The file is written when the cassette, or the session that owns
    it, is closed, all at once; not if a request failed while recording. Secrets do not get
    into it (`Redaction`). Neither do content codings: bodies are recorded, and seen by the
    program, decoded, without Content-Encoding; and a body that comes without end cannot be
    recorded. WebSockets are refused.

    Used with `async with`, it raises at the end what a program swallowed (`check`).

    Args:
        path: The file; JSON.
        mode: "once" records if there is no file, and plays if there is; "none" only plays;
            "all" records everything anew.
        match_on: What has to be equal for a request to get a recorded answer, of method, url,
            origin, path, query, body, and "header:NAME". Compared without secrets.
        allow_repeats: Whether the last of equal recorded requests may be played again.
        redact: What not to record; None to record everything.
        ignore_headers: Fields that are neither recorded nor, of responses, seen by the
            program. By default Accept-Encoding, Date and User-Agent, which differ from one
            recording to the next.
        before_record: Sees each exchange before secrets are taken out of it. What it changes
            of a request counts when it is looked for.
        max_body: Most bytes of a body that is recorded, decoded.
        connector: What real connections are made by; a `TCPConnector` unless given. Closed
            with the cassette.

    Raises:
        CassetteError: The file is damaged or of a newer format, or it is not there and `mode`
            is "none".
        OSError: The file cannot be read.
        ValueError: `mode` or `match_on` is none that there is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: CassetteMode = "once",
        match_on: Iterable[str] = ("method", "url", "body"),
        allow_repeats: bool = False,
        redact: Redaction | None = _REDACTION,
        ignore_headers: Iterable[str] = _IGNORED,
        before_record: BeforeRecord | None = None,
        max_body: int = _MAX_BODY,
        connector: BaseConnector | None = None,
    ) -> None:
        if mode not in get_args(CassetteMode):
            raise ValueError(f"mode must be one of {get_args(CassetteMode)}, not {mode!r}")
        self._path = os.fspath(path)
        self._ignored = frozenset(name.lower() for name in ignore_headers)
        matcher = Matcher(match_on, self._ignored)
        exists = os.path.exists(self._path)
        self._recording = mode == "all" or (mode == "once" and not exists)
        if not self._recording and not exists:
            raise CassetteError(
                f'{self._path} is not there, and mode="none" only plays; to record it: '
                'mode="once", in pytest --http-record=once'
            )
        exchanges = [] if self._recording else read_cassette(self._path)
        self._tape = Tape(exchanges, matcher, allow_repeats=allow_repeats)
        self._redactor = Redactor(redact)
        self._before_record = before_record
        self._max_body = max_body
        self._slots: list[RecordedExchange | None] = []
        self._failures: list[Exception] = []
        self._real = connector
        self._session: ClientSession | None = None
        self._server = HiddenServer(self._answer, grace=_SHUTDOWN_TIMEOUT, auto_decompress=False)
        self._used = False
        self._lines: dict[Any, CassetteLink] = {}
        super().__init__(limit=0)

    @property
    def path(self) -> str:
        """The file, as it was given."""
        return self._path

    @property
    def recording(self) -> bool:
        """Whether it records; else it plays."""
        return self._recording

    @property
    def unplayed(self) -> list[RecordedExchange]:
        """What is recorded and was not asked for."""
        return self._tape.unplayed

    def check(self) -> None:
        """Raise the first error that a request ended with because of the cassette.

        Whoever closes the session calls it, so that a program that swallowed the error
        does not pass. Errors of the network while recording do not count.

        Raises:
            CassetteError: There was one; a `CassetteMissError` is an AssertionError as well.
        """
        for failure in self._failures:
            if isinstance(failure, CassetteError):
                raise failure

    def save(self) -> None:
        """Write the file, if it records and nothing has failed; closing does it, too.

        Raises:
            OSError: It cannot be written.
        """
        if self._recording and not self._failures:
            done = [slot for slot in self._slots if slot is not None]
            write_cassette(self._path, map(self._redactor.scrub, done))

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
        if exc is None:
            self.check()

    # The connector.

    async def _dial(self, key: ConnectionKey, connection: Any, traces: Any) -> None:
        self._used = True
        runner = await self._server.started()
        self._lines = {made: line for made, line in self._lines.items() if not line.idle}
        line = CassetteLink(key)
        receiver = runner.make_receiver()
        self._lines[receiver] = line
        address = {"peername": (key.host, key.port)}
        runner.server.runtime.join(connection, receiver, client_facts=address)
        line.link = connection.link
        connection.link_made(line)

    async def _shut_down(self) -> None:
        used, self._used = self._used, False
        session, self._session = self._session, None
        try:
            if used:
                self.save()
        finally:
            await self._server.close()
            if session is not None:
                await session.close()

    # The server.

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        line = self._lines.get(request.exchange)
        if line is None:
            raise ConnectionResetError("the client is gone")
        slot = len(self._slots)
        self._slots.append(None)
        line.busy = True
        try:
            if request.has_expect:
                await request.exchange.send_continue()
            # What ends this early is the client's doing.
            body = await _read(request.content, self._max_body)
            try:
                method, response = await self._find_answer(line.key, request, body, slot)
            except Exception as exc:
                failure = exc
            else:
                reply = RecordedReply(method, response)
                try:
                    await reply.prepare(request)
                    return reply
                except LocalProtocolError as exc:
                    failure = CassetteError(
                        f"{request.method} {request.raw_path}: what is recorded in {self._path} "
                        f"cannot be sent ({exc}); correct it, or record it anew"
                    )
                    failure.__cause__ = exc
            self._failures.append(failure)
            line.fail(failure)
            # Anything that is sent could be taken for an answer.
            await request.disconnected()
            raise ConnectionResetError("the client is gone")
        finally:
            line.busy = False

    async def _find_answer(
        self, key: ConnectionKey, request: BaseRequest, body: bytes | None, slot: int
    ) -> tuple[str, RecordedResponse]:
        """Play or record: return the method and what to answer."""
        url = _url_of(key, request.raw_path)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            raise CassetteError(f"{url}: a cassette records no WebSockets")
        if body is None:
            what = f"{request.method} {url}: the body of the request"
            raise too_large(what, self._max_body)
        headers = tuple(request.headers.items())
        own = {"host"} if request.headers.get("Host") == url.split("/")[2] else set()
        sent = RecordedRequest(request.method, url, without_fields(headers, own), body)
        settled = settle_request(sent, self._ignored, self._max_body)
        if not self._recording:
            looked_for = self._redactor.request(settled)
            return sent.method, self._tape.find(looked_for, self._path).response
        received = await self._pass_on(key, sent)
        response = settle_response(received, sent, self._ignored, self._max_body)
        self._record(RecordedExchange(settled, response), slot)
        return sent.method, response

    def _record(self, exchange: RecordedExchange, slot: int) -> None:
        kept = exchange if self._before_record is None else self._before_record(exchange)
        if kept is not None:
            self._slots[slot] = RecordedExchange(
                self._redactor.request(kept.request), self._redactor.response(kept.response)
            )

    async def _pass_on(self, key: ConnectionKey, sent: RecordedRequest) -> RecordedResponse:
        """Ask the real server."""
        if self._session is None:
            self._session = ClientSession(
                connector=self._real or TCPConnector(limit=0),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_AUTO_FIELDS,
                max_line_size=LIMITS.max_line_size,
                max_field_size=LIMITS.max_field_size,
                max_headers=LIMITS.max_headers,
                # The session of the program under test has its own.
                timeout=ClientTimeout(total=None, sock_connect=None),
            )
        options: dict[str, Any] = {}
        if key.proxy is not None:
            options = {"proxy": key.proxy.url, "proxy_headers": CIMultiDict(key.proxy.headers)}
        headers = CIMultiDict(without_fields(sent.headers, _OWN_FIELDS))
        host = field_of(sent.headers, "host")
        if host is not None:
            headers["Host"] = host
        async with self._session.request(
            sent.method,
            sent.url,
            headers=headers,
            data=sent.body or None,
            allow_redirects=False,
            ssl=key.ssl,
            server_hostname=key.server_hostname,
            **options,
        ) as response:
            body = await _read(response.content, self._max_body)
            if body is None:
                what = f"{sent.method} {sent.url}: the body of the response"
                raise too_large(what, self._max_body)
            return RecordedResponse(
                response.status,
                response.reason,
                tuple(response.headers.items()),
                body,
                tuple(response.trailers.items()),
            )


async def _read(content: StreamReader, limit: int) -> bytes | None:
    """Return a whole body; None if it is over a limit, when all of it was received."""
    pieces, size = [], 0
    while piece := await content.readany():
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
    return b"".join(pieces) if size <= limit else None


def _url_of(key: ConnectionKey, target: str) -> str:
    """Return the URL of a request; its target may have the form that proxies want."""
    scheme, port = ("https", 443) if key.is_ssl else ("http", 80)
    if not target.startswith("/"):
        _, slash, path = target.partition("://")[2].partition("/")
        target = f"/{path}" if slash else target
    host = f"[{key.host}]" if ":" in key.host else key.host
    return f"{scheme}://{host}{'' if key.port == port else f':{key.port}'}{target}"
