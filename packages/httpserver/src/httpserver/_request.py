"""A request as handlers see it: everything is decoded when it is asked for."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast, overload

from multidict import MultiDict, MultiDictProxy
from yarl import URL

from httpcore_proto import ChainMapProxy, HeadersLike
from httpcore_proto.aio import EMPTY_PAYLOAD, MultipartReader, StreamReader

from ._exceptions import HTTPRequestEntityTooLarge
from ._exchange import Exchange
from ._forms import (
    METHODS_WITH_FORM,
    FormValue,
    close_uploads,
    codec_of,
    read_multipart,
    read_urlencoded,
)
from ._keys import AppKey, RequestKey, warn_of_str_key
from ._match_info import UrlMappingMatchInfo
from ._request_extras import ClonedHead, Extras, Head, ShutdownEvent, target_for
from ._request_head import RequestHead

if TYPE_CHECKING:
    from ._abc import AbstractMatchInfo, AbstractRoute
    from ._application import Application

_T = TypeVar("_T")
_D = TypeVar("_D")

_NO_FORM: Final[MultiDictProxy[FormValue]] = MultiDictProxy(MultiDict())
# Keys that were warned of; a program that makes keys up is told of the first ones only.
_warned_keys: Final[set[str]] = set()
_MAX_WARNED_KEYS: Final = 1024


class BaseRequest(RequestHead, MutableMapping[str | RequestKey[Any], Any]):
    """One request on one connection.

    Not made by users. Also a mapping, for whatever middlewares and handlers want to
    tell each other: its keys are `RequestKey`s, which tell types, or `str` (a hidden
    `NotAppKeyWarning` for each). Equality is identity.
    """

    __slots__ = ("_body", "_match_info", "_storage", "content", "has_expect")

    def __init__(self, event: Head, content: StreamReader, exchange: Exchange) -> None:
        self._event = event
        self.exchange = exchange
        #: The body as a stream; empty for a request without one.
        self.content: StreamReader = content
        self._path = self._url = None
        self._body: bytes | None = None
        self._storage: dict[str | RequestKey[Any], Any] | None = None
        self.extras = None
        self._match_info: UrlMappingMatchInfo | None = None
        #: Whether there is an `Expect` field to be answered.
        self.has_expect: bool = event.has_expect

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body that is read at once, decoded; 0 for no limit."""
        extras = self.extras
        if extras is not None and extras.client_max_size is not None:
            return extras.client_max_size
        return self.exchange.client_max_size

    @property
    def client_max_fields(self) -> int:
        """Most fields of a form; 0 for no limit."""
        extras = self.extras
        if extras is not None and extras.client_max_fields is not None:
            return extras.client_max_fields
        return self.exchange.client_max_fields

    @property
    def body_exists(self) -> bool:
        """Whether a body was announced."""
        return self.content is not EMPTY_PAYLOAD

    @property
    def can_read_body(self) -> bool:
        """Whether there is body left to read."""
        return not self.content.at_eof()

    @property
    def content_length(self) -> int | None:
        """Announced length of the body in bytes, or None."""
        return self._event.content_length

    @property
    def cookies(self) -> Mapping[str, str]:
        """The client's cookies by name, decoded; read-only. Of equal names the last."""
        extras = self._want_extras()
        if extras.cookies is None:
            extras.cookies = self._parse_cookies()
        return extras.cookies

    @property
    def shutdown(self) -> ShutdownEvent:
        """Tells when the server ends; what streams without end should end then, too."""
        return ShutdownEvent(self.exchange)

    async def disconnected(self) -> None:
        """Return when the client is gone; at once if it is. May be cancelled."""
        await self.exchange.wait_disconnected()

    def clone(
        self,
        *,
        method: str | None = None,
        rel_url: str | URL | None = None,
        headers: HeadersLike | None = None,
        scheme: str | None = None,
        host: str | None = None,
        remote: str | None = None,
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
    ) -> Self:
        """Return a copy with other values, for a middleware to hand on.

        Body and connection are the same, items (`request["user"]`) are copied. Nothing of
        it shows in the original.

        Args:
            method: Method.
            rel_url: Path and query; or an absolute URL, whose host `host` then tells.
            headers: All header fields.
            scheme: `"http"` or `"https"`.
            host: Host, and port if it is not the scheme's own.
            remote: The client's address.
            client_max_size: Most bytes of a body; 0 for no limit.
            client_max_fields: Most fields of a form; 0 for no limit.

        Raises:
            RuntimeError: The body was read, of which the copy would have nothing.
            ValueError: `rel_url` is neither a path that begins with a slash nor absolute.
        """
        extras = self._want_extras()
        if self._body is not None or extras.form_begun or extras.pieces:
            raise RuntimeError("a request whose body was read cannot be cloned")
        clone = copy.copy(self)
        if method is not None or rel_url is not None or headers is not None:
            target = None if rel_url is None else target_for(rel_url)
            clone._event = ClonedHead(self._event, method=method, target=target, headers=headers)
        if rel_url is not None:
            clone._path = clone._url = None
        if self._storage is not None:
            clone._storage = self._storage.copy()
        new = clone.extras = Extras(extras.uploads)
        new.scheme = extras.scheme if scheme is None else scheme
        new.host = extras.host if host is None else host
        new.remote = extras.remote if remote is None else remote
        new.client_max_size = extras.client_max_size if client_max_size is None else client_max_size
        new.client_max_fields = (
            extras.client_max_fields if client_max_fields is None else client_max_fields
        )
        return clone

    def _want_extras(self) -> Extras:
        extras = self.extras
        if extras is None:
            extras = self.extras = Extras([])
        return extras

    async def read(self) -> bytes:
        """Return the whole body, content codings undone; again returns the same bytes.

        May be cancelled and called again. Direct reads from `content` are neither limited
        nor kept.

        Raises:
            HTTPRequestEntityTooLarge: It has more than `client_max_size` bytes.
            RequestPayloadError: It is malformed or cut.
            ContentEncodingError: It does not fit its Content-Encoding.
            OSError: The client is gone.
        """
        if self._body is None:
            content, event, limit = self.content, self._event, self.client_max_size
            announced = event.content_length
            if (
                limit
                and announced is not None
                and announced > limit
                # Else it is decoded bytes that count.
                and not event.has_content_encoding
            ):
                raise HTTPRequestEntityTooLarge(limit, announced)
            pieces = [] if self.extras is None else self.extras.pieces
            size = sum(map(len, pieces))
            try:
                while not limit or size <= limit:
                    piece = await content.readany()
                    if not piece:
                        break
                    pieces.append(piece)
                    size += len(piece)
                else:
                    raise HTTPRequestEntityTooLarge(limit, size)
            except BaseException:
                # Whoever reads again shall not take the rest for the whole.
                self._want_extras().pieces = pieces
                raise
            self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._body

    async def text(self) -> str:
        """Return the body decoded by its charset, UTF-8 unless told otherwise.

        Raises:
            HTTPUnsupportedMediaType: The charset is unknown.
            UnicodeDecodeError: The body is not in it.
        """
        codec = codec_of(self.charset)
        return (await self.read()).decode(codec)

    async def json(self, *, loads: Callable[[str], Any] = json.loads) -> Any:
        """Return the body parsed as JSON; its content type is not looked at.

        Raises:
            ValueError: It is no JSON, or nested too deeply (or what `loads` raises).
        """
        text = await self.text()
        try:
            return loads(text)
        except RecursionError as exc:
            raise ValueError("JSON is nested too deeply") from exc

    async def multipart(self) -> MultipartReader:
        """Return a reader of the parts of a multipart body.

        What a part's `read` returns is limited by `client_max_size`, their number by
        `client_max_fields`, their heads as that of a request; the whole is not limited.
        A second call returns a new reader, for what is left of the body.

        Raises:
            MultipartError: The body is not multipart, or has no boundary.
        """
        self._want_extras().form_begun = True
        limits = self.exchange.limits
        return MultipartReader(
            self.headers,
            self.content,
            client_max_size=self.client_max_size,
            max_field_size=limits.max_field_size,
            max_headers=limits.max_headers,
            max_parts=self.client_max_fields or sys.maxsize,
            max_size_error_cls=HTTPRequestEntityTooLarge,
        )

    async def post(self) -> MultiDictProxy[FormValue]:
        """Return the fields of a form; again returns the same.

        The methods POST, PUT, PATCH, TRACE and DELETE have forms, the content types
        `application/x-www-form-urlencoded` and `multipart/form-data` are ones; anything
        else is empty. Files (`FileField`) are closed when the handler is done.

        Raises:
            HTTPRequestEntityTooLarge: All values together have more than
                `client_max_size` bytes, or there are more than `client_max_fields`.
            HTTPUnsupportedMediaType: An unknown charset.
            HTTPBadRequest: A urlencoded form is not in its charset.
            MultipartError: A multipart form is malformed, or a part of it has no name, is
                multipart itself, or is not in its charset. It is a `ValueError`.
            LineTooLong: The head of a part is over a limit.
            RequestPayloadError, ContentEncodingError, OSError: As for `read`.
            RuntimeError: Reading the form was interrupted before, or `multipart` was
                called: part of the body is gone.
        """
        if self.method not in METHODS_WITH_FORM:
            return _NO_FORM
        extras = self._want_extras()
        if extras.form is None:
            content_type = self.content_type
            if content_type == "application/x-www-form-urlencoded":
                extras.form = await read_urlencoded(self)
            elif content_type == "multipart/form-data":
                if extras.form_begun:
                    raise RuntimeError("part of the form was read before, and is gone")
                extras.form_begun = True
                try:
                    extras.form = await read_multipart(self, extras.uploads)
                except BaseException:
                    await self.release_files()
                    raise
            else:
                return _NO_FORM
        return extras.form

    async def release_files(self) -> None:
        """Close the files of the form. The server does so when the handler is done."""
        if self.extras is not None:
            await close_uploads(self.extras.uploads)

    async def release(self) -> None:
        """Read the rest of the body and drop it."""
        while await self.content.readany():
            pass

    @overload
    def __getitem__(self, key: RequestKey[_T]) -> _T: ...

    @overload
    def __getitem__(self, key: str) -> Any: ...

    def __getitem__(self, key: str | RequestKey[_T]) -> Any:
        if self._storage is None:
            raise KeyError(key)
        return self._storage[key]

    @overload
    def __setitem__(self, key: RequestKey[_T], value: _T) -> None: ...

    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...

    def __setitem__(self, key: str | RequestKey[_T], value: Any) -> None:
        if (
            isinstance(key, str)
            and key not in _warned_keys
            and len(_warned_keys) < _MAX_WARNED_KEYS
        ):
            _warned_keys.add(key)
            warn_of_str_key(key, RequestKey)
        if self._storage is None:
            self._storage = {}
        self._storage[key] = value

    @overload  # type: ignore[override]  # narrower: the value's type comes from the key
    def get(self, key: RequestKey[_T], default: None = None, /) -> _T | None: ...

    @overload
    def get(self, key: RequestKey[_T], default: _D, /) -> _T | _D: ...

    @overload
    def get(self, key: str, default: Any = None, /) -> Any: ...

    def get(self, key: str | RequestKey[_T], default: Any = None, /) -> Any:
        """Return the value of `key`, or `default`."""
        return default if self._storage is None else self._storage.get(key, default)

    def __delitem__(self, key: str | RequestKey[_T]) -> None:
        if self._storage is None:
            raise KeyError(key)
        del self._storage[key]

    def __iter__(self) -> Iterator[str | RequestKey[Any]]:
        return iter(self._storage or ())

    def __len__(self) -> int:
        return len(self._storage or ())

    def __bool__(self) -> bool:
        # A mapping without items is false; a request never is.
        return True

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.raw_path!r}>"


class Request(BaseRequest):
    """A request that an application has routed."""

    __slots__ = ("_app", "_route", "_values")

    _app: Application
    _route: AbstractRoute
    _values: Mapping[str, str]

    def routed(self, app: Application, route: AbstractRoute, values: Mapping[str, str]) -> None:
        """Called by the application with what it found."""
        self._app = app
        self._route = route
        self._values = values

    def resolved(self, app: Application, match_info: AbstractMatchInfo) -> None:
        """Called by the application with what its router found."""
        self._app = app
        self._match_info = cast("UrlMappingMatchInfo", match_info)
        if isinstance(match_info, UrlMappingMatchInfo):
            self._route = match_info.route
            match_info.current_app = app

    def enter(self, app: Application) -> Application:
        """Called on the way to another application; returns the one before."""
        outer, self._app = self._app, app
        if isinstance(self._match_info, UrlMappingMatchInfo):
            self._match_info.current_app = app
        return outer

    @property
    def match_info(self) -> UrlMappingMatchInfo:
        """The matched route, and the values of its path's parameters, decoded.

        What a router of the program's own found is of its own type.
        """
        match_info = self._match_info
        if match_info is None:
            match_info = UrlMappingMatchInfo(self._values, self._route, self._app)
            self._match_info = match_info
        return match_info

    @property
    def handler_cancellation(self) -> bool | None:
        """Whether the handler is cancelled when the client goes away; None if nobody said."""
        return self._route.handler_cancellation

    @property
    def app(self) -> Application:
        """The application whose middleware or handler runs."""
        return self._app

    @property
    def config_dict(self) -> ChainMapProxy[str | AppKey[Any], Any]:
        """Items of `app`, and of the applications around it where it has none; read-only."""
        apps = self.match_info.apps
        return ChainMapProxy(apps[apps.index(self._app) :: -1])
