"""Cases in `golden/*/*.md`: bytes with visible line ends, and the events they give.

A heading names the case, and the rule or the attack it is about. The first fence is the
input: the line breaks of the file do not count, `\\r`, `\\n`, `\\t`, `\\\\` and `\\xHH` stand
for octets. Words behind `http` in the fence are options: `eof` (the peer closes behind
the input), `partial` (the input is no whole message), `switch` (the server accepts the
upgrade or tunnel), `method=HEAD` (what the response answers), `upgrade` (the request
offered it), `unasked` (there was none), and limits by name. The second fence is the log.

The server of these tests answers each complete request with 404 and goes on as long as
the connection does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    HttpVersion10,
    InformationalResponse,
    Limits,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
)

GOLDEN = Path(__file__).with_name("golden")
CASE = re.compile(r"^## (.+)\n\n```http ?(.*)\n([^`]*?)```\n\n```log\n([^`]*?)```$", re.MULTILINE)
ESCAPE = re.compile(rb"\\(r|n|t|\\|x[0-9a-f]{2})")
OCTETS = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}

# The rows of the list of known attacks that bytes from a peer can show.
ATTACKS = [
    *(f"FR-{number:02}" for number in (*range(1, 23), 24, 25, 26, 30, 33)),
    *(f"RS-{number:02}" for number in (1, 2, 4, 5, 6, 7, 12)),
    "DO-05",
    "DO-08",
]


class Case(NamedTuple):
    name: str
    is_request: bool
    options: dict[str, str]
    data: bytes
    log: list[str]


def octets(text: str) -> bytes:
    def replace(match: re.Match[bytes]) -> bytes:
        found = match[1]
        return bytes.fromhex(found[1:].decode()) if found[:1] == b"x" else OCTETS[found]

    return ESCAPE.sub(replace, text.replace("\n", "").encode())


def visible(data: bytes) -> str:
    return "".join(
        chr(octet) if 0x20 <= octet < 0x7F and octet not in b"\\`" else f"\\x{octet:02x}"
        for octet in data
    )


def read_cases(folder: str) -> list[Case]:
    cases = []
    for path in sorted((GOLDEN / folder).glob("*.md")):
        text = path.read_text(encoding="utf-8")
        found = CASE.findall(text)
        assert len(found) == text.count("\n## "), path
        for heading, words, data, log in found:
            options = dict((*word.split("=", 1), "")[:2] for word in words.split())
            name = f"{folder} {path.stem}: {heading}"
            lines = log.splitlines()
            cases.append(Case(name, folder == "request", options, octets(data), lines))
    return cases


REQUESTS = read_cases("request")
RESPONSES = read_cases("response")


def limits_of(case: Case) -> Limits:
    return Limits(**{key: int(value) for key, value in case.options.items() if value.isdigit()})


class Log:
    """Events as lines; pieces of body that belong together are joined."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._body = b""
        self._chunk_ends: list[int] = []

    def add(self, event: Event) -> None:
        if isinstance(event, Data):
            self._chunk_ends += (len(self._body) + end for end in event.chunk_ends)
            self._body += event.data
        elif isinstance(event, Request):
            expects = " expects-continue" if event.expects_continue else ""
            target = visible(event.raw_target)
            self._head(f"request {event.method} {target}{_flags(event)}{expects}", event)
        elif isinstance(event, Response | InformationalResponse):
            kind = "response" if isinstance(event, Response) else "interim"
            reason = visible(event.reason.encode("utf-8", "surrogateescape"))
            self._head(f"{kind} {event.status} {reason}{_flags(event)}", event)
        elif isinstance(event, EndOfMessage):
            self.line("end")
            for name, value in event.trailers.items():
                self.line(f"  {name}: {value}")

    def line(self, text: str) -> None:
        if self._body or self._chunk_ends:
            ends = ",".join(map(str, self._chunk_ends))
            self.lines.append(f"data {visible(self._body)}{ends and ' ends='}{ends}")
            self._body, self._chunk_ends = b"", []
        self.lines.append(text)

    def _head(self, text: str, head: Request | Response | InformationalResponse) -> None:
        self.line(text)
        for name, value in head.raw_headers:
            self.line(f"  {visible(name)}: {visible(value)}".rstrip())


def _flags(head: Request | Response | InformationalResponse) -> str:
    flags = " 1.0" if head.http_version == HttpVersion10 else ""
    if not head.keep_alive:
        flags += " close"
    if head.chunked:
        flags += " chunked"
    if head.content_length is not None:
        flags += f" length={head.content_length}"
    if head.upgrade:
        flags += " upgrade"
    return flags


class Exchange:
    """One connection of the peer that a case describes."""

    connection: ServerConnection | ClientConnection

    def __init__(self) -> None:
        self.log = Log()

    def run(self, pieces: Iterable[bytes], *, eof: bool = False) -> list[str]:
        try:
            for piece in pieces:
                self.connection.receive_data(piece)
                self.advance()
            if eof:
                self.connection.receive_eof()
                self.advance()
        except RemoteProtocolError as exc:
            self.log.line(f"error {type(exc).__name__} {exc.rule} {exc.status_hint}")
            self.check_failed(exc)
        else:
            self.log.line(self.standing())
        return self.log.lines

    def advance(self) -> None:
        while True:
            event = self.connection.next_event()
            if event is NEED_DATA or (event is PAUSED and not self.paused()):
                return
            if event is not PAUSED:
                self.log.add(event)
                if isinstance(event, ConnectionClosed):
                    return

    def paused(self) -> bool:
        """Tell whether there may be more to come behind the pause."""
        return False

    def check_failed(self, exc: RemoteProtocolError) -> None:
        assert self.connection.their_state is State.ERROR
        assert not self.connection.reusable
        with pytest.raises(RemoteProtocolError) as again:
            self.connection.next_event()
        assert again.value is exc

    def standing(self) -> str:
        connection = self.connection
        state, trailing = connection.their_state, visible(connection.trailing_data[0])
        if state is State.DONE:
            return "reusable" if connection.reusable else f"not reusable {trailing}".rstrip()
        if state is State.SWITCHED:
            return f"switched {trailing}".rstrip()
        return {State.MUST_CLOSE: "must close", State.CLOSED: "closed"}.get(state, "need data")


class Serving(Exchange):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.connection = self.server = ServerConnection(limits_of(case))
        self.switch = "switch" in case.options
        self.connects = b"CONNECT" in case.data

    def paused(self) -> bool:
        server = self.server
        if server.our_state is not State.SEND_HEAD:
            return False
        if not self.switch:
            server.send_message(Response(status=404))
        elif self.connects:
            server.send_message(Response(status=200))
        else:
            server.send(InformationalResponse(status=101))
        if server.reusable:
            server.start_next_cycle()
        return True


class Fetching(Exchange):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.connection = client = ClientConnection(limits_of(case))
        if "unasked" in case.options:
            return
        upgrade = {"Connection": "upgrade", "Upgrade": "x"} if "upgrade" in case.options else {}
        method = case.options.get("method", "GET")
        target = "a:1" if method == "CONNECT" else "/"
        client.send_message(Request(method=method, target=target, headers=upgrade))


def run(case: Case, pieces: Iterable[bytes], *, eof: bool = False) -> list[str]:
    side = Serving if case.is_request else Fetching
    return side(case).run(pieces, eof=eof)


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


every_case = named(REQUESTS + RESPONSES)


def test_names_are_unique() -> None:
    names = [case.name for case in REQUESTS + RESPONSES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("attack", ATTACKS)
def test_known_attack_has_a_case(attack: str) -> None:
    assert any(attack in case.name for case in REQUESTS + RESPONSES)


@every_case
def test_whole(case: Case) -> None:
    assert run(case, [case.data], eof="eof" in case.options) == case.log


@every_case
def test_one_byte_at_a_time(case: Case) -> None:
    pieces = (case.data[at : at + 1] for at in range(len(case.data)))
    assert run(case, pieces, eof="eof" in case.options) == case.log


@every_case
def test_every_single_split(case: Case) -> None:
    data, eof = case.data, "eof" in case.options
    for at in range(1, len(data)):
        assert run(case, [data[:at], data[at:]], eof=eof) == case.log, at


NEXT_REQUEST = b"GET / HTTP/1.1\r\nHost: n\r\n\r\n"
NEXT_REQUEST_LOG = ["request GET /", "  Host: n", "end", "need data"]
NEXT_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@named([case for case in REQUESTS + RESPONSES if not case.options.keys() & {"eof", "partial"}])
def test_next_message_glued_on(case: Case) -> None:
    last = case.log[-1]
    glued = NEXT_REQUEST if case.is_request else NEXT_RESPONSE
    if last == "need data":
        tail = NEXT_REQUEST_LOG
    elif last == "reusable":
        # To a request that the client never sent.
        tail = [f"not reusable {visible(glued)}"]
    elif last.startswith(("switched", "not reusable")):
        tail = [f"{last}{'' if ' ' in last[4:] else ' '}{visible(glued)}"]
    else:
        tail = [last]
    assert run(case, [case.data + glued]) == case.log[:-1] + tail


@every_case
def test_end_of_input_anywhere_is_noticed(case: Case) -> None:
    for at in range(len(case.data)):
        log = run(case, [case.data[:at]], eof=True)
        kinds = [line.split()[0] for line in log]
        if kinds[-1] == "error":
            rule = log[-1].split()[2]
            assert log[-1] == case.log[-1] or rule == "no-response" or "truncated" in rule
        elif kinds[-1] == "closed" or case.is_request:
            assert kinds.count("request") == kinds.count("end")
        else:
            # A body up to the end of the connection, or nothing missing.
            assert kinds[-1] in {"not", "must", "switched"}
            assert kinds.count("response") == kinds.count("end") or kinds[-1] == "switched"
