"""What may be set of a WebSocket that `connect` and `serve` make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

from httpcore_proto.aio import Runtime

from ._connection import WebSocketConnection
from ._deflate import Deflate
from ._sending import Role
from ._web_socket import WebSocket


class WebSocketOptions(TypedDict, total=False):
    """Options of `WebSocketConnection` and `WebSocket`, with their meaning and defaults."""

    max_msg_size: int
    max_fragments: int
    decode_text: bool
    compress_level: int
    autoping: bool
    autoclose: bool
    heartbeat: float | None
    timeout_close: float | None
    receive_timeout: float | None
    max_queue: int


_OF_MACHINE: Final = frozenset({"max_msg_size", "max_fragments", "decode_text", "compress_level"})
_ALL: Final = frozenset(WebSocketOptions.__annotations__)


def check_options(role: Role, options: Mapping[str, Any]) -> None:
    """Refuse what is no option, before anything is opened.

    Raises:
        TypeError: An option is unknown.
        ValueError: The value of one is none that it may have.
    """
    unknown = sorted(options.keys() - _ALL)
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r}, known are {', '.join(sorted(_ALL))}")
    make_machine(role, None, options)


def make_machine(
    role: Role, deflate: Deflate | None, options: Mapping[str, Any]
) -> WebSocketConnection:
    """Return the machine that the options describe."""
    chosen = {name: value for name, value in options.items() if name in _OF_MACHINE}
    return WebSocketConnection(role, deflate=deflate, **chosen)


def make_web_socket(
    kind: Callable[..., WebSocket],
    machine: WebSocketConnection,
    runtime: Runtime,
    protocol: str | None,
    options: Mapping[str, Any],
) -> WebSocket:
    """Return the WebSocket that the options describe."""
    chosen = {name: value for name, value in options.items() if name not in _OF_MACHINE}
    return kind(machine, runtime=runtime, protocol=protocol, **chosen)
