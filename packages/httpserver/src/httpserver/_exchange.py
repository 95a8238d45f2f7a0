"""What requests and responses need of the connection that carries them. Types only."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from multidict import CIMultiDictProxy

from httpcore_proto import HeadersLike, HttpVersion, Limits
from httpcore_proto.aio import Link, Receiver, Runtime, StreamReader

if TYPE_CHECKING:
    from ._response import StreamResponse
    from ._websocket_response import WebSocketResponse


class OtherProtocol(Receiver, Protocol):
    """What speaks on a link that HTTP has given away."""

    def start(self, data: bytes, eof: bool) -> None:
        """Begin.

        Args:
            data: What the client sent behind its request.
            eof: Whether it sends nothing more.
        """

    async def close(self, *, code: int) -> object:
        """End as the protocol wants it, and wait for that, within its bounds."""


class Exchange(Protocol):
    """One request and its response, from the request's side of the program."""

    @property
    def link(self) -> Link:
        """The link that the request came over."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection lives on, as far as is known."""

    @property
    def limits(self) -> Limits:
        """Bounds on heads, which hold for the heads of parts as well."""

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body to be read at once; 0 for no limit."""

    @property
    def client_max_fields(self) -> int:
        """Most fields of a form; 0 for no limit."""

    @property
    def shutting_down(self) -> bool:
        """Whether the server ends; what streams without end should end, too."""

    async def wait_shutdown(self) -> None:
        """Wait until the server ends."""

    async def wait_disconnected(self) -> None:
        """Wait until the client is gone."""

    @property
    def sends_body(self) -> bool:
        """Whether the response has a body on the wire; that to HEAD has none, for one."""

    async def send_continue(self) -> None:
        """Tell a client that waits for it to send the body."""

    async def start_response(self, response: StreamResponse) -> None:
        """Send the head."""

    def put_body(self, data: bytes) -> bool:
        """Write a piece of body; whether the client is slow, so that `drain` must follow."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""

    async def write_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Write a part of a file as body, by sendfile where link and body allow it.

        Args:
            file: A regular file; its position does not matter, and changes.
            offset: First byte.
            count: How many bytes; the file has them.
        """

    async def finish_response(self, trailers: HeadersLike = ()) -> None:
        """Write the end, with trailer fields if the body is in chunks."""

    @property
    def runtime(self) -> Runtime:
        """What the link belongs to; entered."""

    async def switch(self, response: WebSocketResponse, to: OtherProtocol) -> None:
        """Send a head with status 101 and give the link away.

        Raises:
            OSError: The client is gone.
            LocalProtocolError: The request offers no such thing, or its body is not received,
                or a field is not fit to be sent.
        """

    def switch_ended(self, *, cancels: bool) -> None:
        """Called when the link that was given away is done for, once.

        Args:
            cancels: Whether the handler is cancelled, if it wants that when its client
                goes away.
        """


class Preparable(Protocol):
    """A request, as far as responses know it."""

    @property
    def exchange(self) -> Exchange:
        """The exchange that it began."""

    @property
    def method(self) -> str:
        """Its method."""

    @property
    def version(self) -> HttpVersion:
        """The version of HTTP that the client speaks."""

    @property
    def content(self) -> StreamReader:
        """Its body."""

    async def read(self) -> bytes:
        """Read the body, within bounds."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Its fields."""
