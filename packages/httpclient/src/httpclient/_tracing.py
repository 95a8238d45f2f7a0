"""Tracing: functions of a program that are called along the course of a request.

A `TraceConfig` has a list of handlers for each signal. A session is given some of them,
and freezes them. Each request makes one `Traces`, which has a context for each config.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, overload

from ._trace_params import (
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    TraceRequestChunkSentParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    TraceRequestStartParams,
    TraceResponseChunkReceivedParams,
)

if TYPE_CHECKING:
    from ._session import ClientSession

_Context = TypeVar("_Context")
_Params = TypeVar("_Params")
#: What a signal calls: `async def handler(session, trace_config_ctx, params)`.
TraceHandler: TypeAlias = Callable[["ClientSession", _Context, _Params], Awaitable[object]]
#: Names of the signals.
SignalName: TypeAlias = Literal[
    "on_request_start",
    "on_request_headers_sent",
    "on_request_chunk_sent",
    "on_response_chunk_received",
    "on_request_redirect",
    "on_request_retry",
    "on_request_end",
    "on_request_exception",
    "on_connection_queued_start",
    "on_connection_queued_end",
    "on_connection_create_start",
    "on_connection_create_end",
    "on_connection_reuseconn",
    "on_dns_resolvehost_start",
    "on_dns_resolvehost_end",
    "on_dns_cache_hit",
    "on_dns_cache_miss",
]


class Signal(MutableSequence[TraceHandler[_Context, _Params]], Generic[_Context, _Params]):
    """A list of handlers, which takes changes until it is frozen."""

    __slots__ = ("_frozen", "_handlers")

    def __init__(self) -> None:
        self._handlers: list[TraceHandler[_Context, _Params]] = []
        self._frozen = False

    @property
    def frozen(self) -> bool:
        """Whether it is closed."""
        return self._frozen

    def freeze(self) -> None:
        """Close it: every change raises RuntimeError from now on."""
        self._frozen = True

    async def send(self, session: ClientSession, context: _Context, params: _Params) -> None:
        """Call and await each handler in order; the first exception ends that, and is raised."""
        for handler in self._handlers:
            await handler(session, context, params)

    @overload
    def __getitem__(self, index: int) -> TraceHandler[_Context, _Params]: ...

    @overload
    def __getitem__(self, index: slice) -> list[TraceHandler[_Context, _Params]]: ...

    def __getitem__(
        self, index: int | slice
    ) -> TraceHandler[_Context, _Params] | list[TraceHandler[_Context, _Params]]:
        return self._handlers[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._check_open()
        self._handlers[index] = value

    def __delitem__(self, index: int | slice) -> None:
        self._check_open()
        del self._handlers[index]

    def __len__(self) -> int:
        return len(self._handlers)

    def insert(self, index: int, value: TraceHandler[_Context, _Params]) -> None:
        """Insert a handler in front of the one at `index`.

        Raises:
            RuntimeError: The signal is frozen.
        """
        self._check_open()
        self._handlers.insert(index, value)

    def _check_open(self) -> None:
        if self._frozen:
            raise RuntimeError("cannot modify a frozen Signal: its session is made already")

    def __repr__(self) -> str:
        return f"<Signal frozen={self._frozen} {self._handlers!r}>"


class TraceConfig(Generic[_Context]):
    """Handlers to be called along the course of each request of a session.

    A handler is `async def handler(session, trace_config_ctx, params)`; what it raises ends
    the request. Handlers of one signal are called one after the other, in their order.

        async def on_request_start(session, context, params):
            context.start = time.monotonic()

        async def on_request_end(session, context, params):
            print(params.url, time.monotonic() - context.start)

        trace_config = TraceConfig()
        trace_config.on_request_start.append(on_request_start)
        trace_config.on_request_end.append(on_request_end)
        session = ClientSession(trace_configs=[trace_config])

    Args:
        trace_config_ctx_factory: Makes the context of a request, called with the keyword
            `trace_request_ctx`: what the call gave under that name, else None.

    Attributes:
        on_request_start: A call begins. The fields of the request may be changed. Who
            sees this sees `on_request_end` or `on_request_exception` too.
        on_request_headers_sent: The head of a request was written.
        on_request_chunk_sent: A piece of a body was written.
        on_response_chunk_received: `ClientResponse.read` has the body, in one piece.
        on_request_redirect: A redirect is going to be followed.
        on_request_retry: `Retry` is going to wait and to send again. Not in aiohttp.
        on_request_end: A call has its response.
        on_request_exception: A call ended with an error, or was cancelled.
        on_connection_queued_start: The pool is full, the request waits.
        on_connection_queued_end: It has waited.
        on_connection_create_start: A connection is going to be made.
        on_connection_create_end: It is made.
        on_connection_reuseconn: A connection of the pool is used.
        on_dns_resolvehost_start: A name is going to be looked up.
        on_dns_resolvehost_end: It was looked up.
        on_dns_cache_hit: The addresses of a name are known from before.
        on_dns_cache_miss: They are not.
    """

    __slots__ = (
        "_factory",
        "on_connection_create_end",
        "on_connection_create_start",
        "on_connection_queued_end",
        "on_connection_queued_start",
        "on_connection_reuseconn",
        "on_dns_cache_hit",
        "on_dns_cache_miss",
        "on_dns_resolvehost_end",
        "on_dns_resolvehost_start",
        "on_request_chunk_sent",
        "on_request_end",
        "on_request_exception",
        "on_request_headers_sent",
        "on_request_redirect",
        "on_request_retry",
        "on_request_start",
        "on_response_chunk_received",
    )

    @overload
    def __init__(self: TraceConfig[SimpleNamespace]) -> None: ...

    @overload
    def __init__(self, trace_config_ctx_factory: Callable[..., _Context]) -> None: ...

    def __init__(self, trace_config_ctx_factory: Callable[..., Any] = SimpleNamespace) -> None:
        self._factory = trace_config_ctx_factory
        self.on_request_start: Final[Signal[_Context, TraceRequestStartParams]] = Signal()
        self.on_request_headers_sent: Final[Signal[_Context, TraceRequestHeadersSentParams]] = (
            Signal()
        )
        self.on_request_chunk_sent: Final[Signal[_Context, TraceRequestChunkSentParams]] = Signal()
        self.on_response_chunk_received: Final[
            Signal[_Context, TraceResponseChunkReceivedParams]
        ] = Signal()
        self.on_request_redirect: Final[Signal[_Context, TraceRequestRedirectParams]] = Signal()
        self.on_request_retry: Final[Signal[_Context, TraceRequestRetryParams]] = Signal()
        self.on_request_end: Final[Signal[_Context, TraceRequestEndParams]] = Signal()
        self.on_request_exception: Final[Signal[_Context, TraceRequestExceptionParams]] = Signal()
        self.on_connection_queued_start: Final[
            Signal[_Context, TraceConnectionQueuedStartParams]
        ] = Signal()
        self.on_connection_queued_end: Final[Signal[_Context, TraceConnectionQueuedEndParams]] = (
            Signal()
        )
        self.on_connection_create_start: Final[
            Signal[_Context, TraceConnectionCreateStartParams]
        ] = Signal()
        self.on_connection_create_end: Final[Signal[_Context, TraceConnectionCreateEndParams]] = (
            Signal()
        )
        self.on_connection_reuseconn: Final[Signal[_Context, TraceConnectionReuseconnParams]] = (
            Signal()
        )
        self.on_dns_resolvehost_start: Final[Signal[_Context, TraceDnsResolveHostStartParams]] = (
            Signal()
        )
        self.on_dns_resolvehost_end: Final[Signal[_Context, TraceDnsResolveHostEndParams]] = (
            Signal()
        )
        self.on_dns_cache_hit: Final[Signal[_Context, TraceDnsCacheHitParams]] = Signal()
        self.on_dns_cache_miss: Final[Signal[_Context, TraceDnsCacheMissParams]] = Signal()

    def trace_config_ctx(self, trace_request_ctx: object = None) -> _Context:
        """Make the context of one request.

        Args:
            trace_request_ctx: What the call gave under this name.
        """
        context: _Context = self._factory(trace_request_ctx=trace_request_ctx)
        return context

    def freeze(self) -> None:
        """Close all signals: to add a handler raises RuntimeError from now on."""
        for name in self.__slots__:
            if name != "_factory":
                getattr(self, name).freeze()


class Traces:
    """The traces of one request: each config with its context.

    Args:
        session: Whose request it is.
        contexts: The configs in order, each with the context for this request.
    """

    __slots__ = ("_contexts", "_session")

    def __init__(
        self, session: ClientSession, contexts: Iterable[tuple[TraceConfig[Any], object]]
    ) -> None:
        self._session = session
        self._contexts = tuple(contexts)

    @classmethod
    def start(
        cls,
        session: ClientSession,
        configs: Iterable[TraceConfig[Any]],
        request_ctx: object = None,
    ) -> Traces:
        """Begin with a request: make the contexts. Sends nothing."""
        return cls(session, [(config, config.trace_config_ctx(request_ctx)) for config in configs])

    def wants(self, name: SignalName) -> bool:
        """Whether anybody listens; spares making the parameters where that costs something."""
        return any(getattr(config, name) for config, _ in self._contexts)

    async def send(self, name: SignalName, params: object) -> None:
        """Run the handlers of one signal, config by config, each with its context.

        Args:
            name: The signal.
            params: What it tells, a record of `_trace_params.py`.

        Raises:
            Exception: What the first handler to fail raised; later ones are not called.
        """
        for config, context in self._contexts:
            await getattr(config, name).send(self._session, context, params)
