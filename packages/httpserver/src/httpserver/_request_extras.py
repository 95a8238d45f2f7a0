"""What few requests have, kept apart so that the others do not pay for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy
from yarl import URL

import httpcore_proto
from httpcore_proto import HeadersLike, HttpVersion, RawHeaders

from ._exchange import Exchange
from ._forms import FormValue, Upload

_FORMS_OF_TARGETS: Final = (
    "rel_url={!r}: a path that begins with a slash, an absolute URL or * expected"
)


class Extras:
    """What a request keeps of its cookies, its form, its files and its clone's values.

    Args:
        uploads: The files of the exchange, which a request and its clones share.
    """

    __slots__ = (
        "client_max_fields",
        "client_max_size",
        "cookies",
        "form",
        "form_begun",
        "host",
        "pieces",
        "remote",
        "scheme",
        "uploads",
    )

    def __init__(self, uploads: list[Upload]) -> None:
        self.uploads: list[Upload] = uploads
        self.cookies: Mapping[str, str] | None = None
        self.form: MultiDictProxy[FormValue] | None = None
        #: Whether somebody began to take the body apart.
        self.form_begun: bool = False
        #: Body that was read when reading it was interrupted.
        self.pieces: list[bytes] = []
        # None where the connection tells.
        self.scheme: str | None = None
        self.host: str | None = None
        self.remote: str | None = None
        self.client_max_size: int | None = None
        self.client_max_fields: int | None = None


class ClonedHead:
    """A request head of which some parts are replaced.

    Args:
        original: The head that came over the connection, or a clone of it.
        method: A method in place of its own, or None.
        target: A request target, likewise.
        headers: Header fields, likewise.
    """

    __slots__ = ("_headers", "_original", "method", "target")

    def __init__(
        self,
        original: Head,
        *,
        method: str | None,
        target: str | None,
        headers: HeadersLike | None,
    ) -> None:
        self._original = original
        self.method: str = original.method if method is None else method
        self.target: str = original.target if target is None else target
        self._headers = None if headers is None else CIMultiDictProxy(CIMultiDict(headers))

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields."""
        return self._original.headers if self._headers is None else self._headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The fields as bytes."""
        if self._headers is None:
            return self._original.raw_headers
        return tuple(
            (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in self._headers.items()
        )

    # The rest is about the connection and the body, which are the original's.

    @property
    def http_version(self) -> HttpVersion:
        """The version that the client speaks."""
        return self._original.http_version

    @property
    def keep_alive(self) -> bool:
        """Whether the client lets the connection live on."""
        return self._original.keep_alive

    @property
    def has_expect(self) -> bool:
        """Whether there is an Expect field."""
        return self._original.has_expect

    @property
    def has_content_encoding(self) -> bool:
        """Whether there is a Content-Encoding field."""
        return self._original.has_content_encoding

    @property
    def content_length(self) -> int | None:
        """Announced length of the body in bytes, or None."""
        return self._original.content_length


Head: TypeAlias = httpcore_proto.Request | ClonedHead


class ShutdownEvent:
    """Whether the server ends, and waiting for it."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def is_set(self) -> bool:
        """Whether the server ends."""
        return self._exchange.shutting_down

    async def wait(self) -> None:
        """Return when the server ends; may be cancelled."""
        await self._exchange.wait_shutdown()


def target_for(rel_url: str | URL) -> str:
    """Return `rel_url` as the target of a request, encoded, without a fragment.

    Raises:
        ValueError: It is none of the forms that a request target has.
    """
    if isinstance(rel_url, str):
        # An URL would take what is behind two slashes for a host.
        path = rel_url.lstrip("/")
        slashes = len(rel_url) - len(path)
        if slashes:
            return "/" * (slashes - 1) + URL(f"/{path}").raw_path_qs
        rel_url = URL(rel_url)
    target = str(rel_url.with_fragment(None)) if rel_url.absolute else rel_url.raw_path_qs
    if target[:1] != "/" and not rel_url.absolute and target != "*":
        raise ValueError(_FORMS_OF_TARGETS.format(str(rel_url)))
    return target
