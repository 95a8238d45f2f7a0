"""Middlewares that come with the package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeVar

from yarl import URL

from ._exceptions import HTTPPermanentRedirect
from ._http_exception import HTTPMove
from ._request import Request
from ._resources import route_form
from ._response import StreamResponse
from ._router import UrlDispatcher
from ._routes import SystemRoute
from ._types import Handler, Middleware

_MiddlewareT = TypeVar("_MiddlewareT", bound=Middleware)

_SLASHES: Final = re.compile("/{2,}")
# Browsers read a backslash as a slash, encoded ones neither way.
_LEADING_SLASHES: Final = re.compile(r"[/\\]+")


def middleware(function: _MiddlewareT) -> _MiddlewareT:
    """Mark a coroutine function `(request, handler) -> response` as a middleware.

    Says so to people; `Application` takes such functions without it as well.
    """
    return function


def normalize_path_middleware(
    *,
    append_slash: bool = True,
    remove_slash: bool = False,
    merge_slashes: bool = True,
    redirect_class: type[HTTPMove] = HTTPPermanentRedirect,
) -> Middleware:
    """Return a middleware that redirects from a path without route to a similar one that has.

    Tried are, in this order: slashes merged, the one at the end changed, both. The query
    is kept to the letter. A `Location` begins with one slash, so that it never leads to
    another host.

    Args:
        append_slash: Try with a slash at the end.
        remove_slash: Try without the slash at the end; a path that has none is left alone.
        merge_slashes: Try with one slash for several.
        redirect_class: What is raised; 308 unless given, which keeps method and body.

    Raises:
        AssertionError: Slashes are both to be appended and to be removed.
    """
    if append_slash and remove_slash:
        raise AssertionError("cannot both remove and append slash: set one of them to False")

    def changed_end(path: str) -> str | None:
        if append_slash and not path.endswith("/"):
            return f"{path}/"
        if remove_slash and path.endswith("/"):
            return path[:-1]
        return None

    def candidates(path: str) -> Iterator[str | None]:
        merged = _SLASHES.sub("/", path)
        if merge_slashes:
            yield merged
        yield changed_end(path)
        if merge_slashes:
            yield changed_end(merged)

    async def normalize_path(request: Request, handler: Handler) -> StreamResponse:
        if isinstance(request.match_info.route, SystemRoute):
            path = request.rel_url.raw_path
            for candidate in candidates(path):
                if not candidate:
                    continue
                target = _LEADING_SLASHES.sub("/", candidate, count=1)
                if target != path and await _resolves(request, target):
                    _, mark, query = request.raw_path.partition("#")[0].partition("?")
                    raise redirect_class(URL(f"{target}{mark}{query}", encoded=True))
        return await handler(request)

    return normalize_path


async def _resolves(request: Request, path: str) -> bool:
    router = request.app.router
    if isinstance(router, UrlDispatcher) and router.synchronous:
        route, _ = router.find(request.method, route_form(path))
        return not isinstance(route, SystemRoute)
    match_info = await router.resolve(request.clone(rel_url=path))
    return match_info.http_exception is None
