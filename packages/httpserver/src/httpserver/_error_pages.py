"""What the server answers by itself when a handler fails."""

from __future__ import annotations

import html
import traceback
from typing import Final

from httpcore_proto import choose_media_type

from ._request import BaseRequest
from ._response import Response

_OFFERS: Final = ("text/plain", "text/html")
_TITLE: Final = "500: Internal Server Error"


def internal_error(request: BaseRequest, exc: BaseException | None, *, debug: bool) -> Response:
    """Return the answer to a request whose handler raised.

    Text, or HTML if the client likes that better; with the traceback in debug mode only,
    and escaped in HTML.
    """
    accept = ", ".join(request.headers.getall("Accept", ()))
    details = ""
    if debug and exc is not None:
        details = "".join(traceback.format_exception(exc))
    if choose_media_type(accept, _OFFERS) != "text/html":
        return Response(status=500, text=f"{_TITLE}\n\n{details}" if details else _TITLE)
    shown = f"<pre>{html.escape(details)}</pre>" if details else ""
    page = f"<!DOCTYPE html><title>{_TITLE}</title><h1>{_TITLE}</h1>{shown}\n"
    return Response(status=500, text=page, content_type="text/html")
