"""An HTTP server and a web framework, for asyncio, uvloop and trio.

The names are those of `aiohttp.web`: `import httpserver as web`.
"""

from __future__ import annotations

from ._application import Application
from ._errors import PayloadAccessError, RequestPayloadError
from ._exceptions import (
    HTTPBadRequest,
    HTTPClientError,
    HTTPError,
    HTTPException,
    HTTPExpectationFailed,
    HTTPInternalServerError,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPRequestEntityTooLarge,
    HTTPServerError,
)
from ._request import BaseRequest, Request
from ._resources import DynamicResource, PlainResource, Resource, Route, UrlMappingMatchInfo
from ._response import Response, StreamResponse, json_response
from ._routedef import RouteDef, delete, get, head, options, patch, post, put, route
from ._router import UrlDispatcher
from ._run import run_app
from ._runner import AppRunner
from ._server import Server
from ._sites import TCPSite
from ._types import Handler, Middleware
from ._version import __version__

__all__ = [
    "AppRunner",
    "Application",
    "BaseRequest",
    "DynamicResource",
    "HTTPBadRequest",
    "HTTPClientError",
    "HTTPError",
    "HTTPException",
    "HTTPExpectationFailed",
    "HTTPInternalServerError",
    "HTTPMethodNotAllowed",
    "HTTPNotFound",
    "HTTPRequestEntityTooLarge",
    "HTTPServerError",
    "Handler",
    "Middleware",
    "PayloadAccessError",
    "PlainResource",
    "Request",
    "RequestPayloadError",
    "Resource",
    "Response",
    "Route",
    "RouteDef",
    "Server",
    "StreamResponse",
    "TCPSite",
    "UrlDispatcher",
    "UrlMappingMatchInfo",
    "__version__",
    "delete",
    "get",
    "head",
    "json_response",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "run_app",
]
