"""Patterns of URLs: `https://*.example.com:*/users/{id}/*`."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from yarl import URL

from ._mock_call import Call
from ._mock_conditions import Condition, asked_got

_PORTS: Final = {"http": 80, "https": 443}
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z*][A-Za-z0-9+.\-]*)://"
    r"(?P<host>\[[^\]/?#]*\]|[^:/?#]*)(?::(?P<port>[0-9]+|\*))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_WILDCARD: Final = re.compile(r"\*|\{([A-Za-z_][A-Za-z0-9_]*)\}")
# What yarl leaves as it is in a path.
_SAFE_IN_PATH: Final = "/!$&'()+,;=:@%~"


class URLPattern:
    """What the origin and the path of a URL have to be. The query is none of its business.

    `*` stands for any text within scheme, host, port or path, `{name}` for one segment of the
    path or a part of it, not empty. A host that is `*` alone leaves the port open, too; else a
    pattern without a port asks for that of the scheme.

    Args:
        url: The pattern. A `yarl.URL` is taken literally.

    Raises:
        ValueError: It has no scheme and host.
    """

    def __init__(self, url: str | URL) -> None:
        self.text: str = str(url)
        self.query: list[tuple[str, str]] = []
        if isinstance(url, URL) or _WILDCARD.search(url) is None:
            self._take_url(URL(url))
        else:
            self._take_pattern(url)

    def _take_url(self, url: URL) -> None:
        if not url.raw_host:
            raise ValueError(
                f"url: {self.text!r} has no scheme and host; write 'https://host/path'"
            )
        scheme = _SCHEMES.get(url.scheme, url.scheme)
        self._origin = _Origin(scheme, url.raw_host, str(url.explicit_port or ""), literal=True)
        self._path = re.compile(re.escape(url.raw_path))
        self._path_text = url.raw_path
        self.query = list(url.query.items())

    def _take_pattern(self, text: str) -> None:
        match = _PARTS.fullmatch(text)
        if match is None:
            raise ValueError(
                f"url: {text!r} is no pattern of a URL; write '*://*/path' for any scheme and host"
            )
        scheme = match["scheme"].lower()
        scheme = _SCHEMES.get(scheme, scheme)
        host = match["host"].lower().strip("[]")
        port = match["port"] or ("*" if host == "*" else "")
        self._origin = _Origin(scheme, host, port)
        self._path_text = match["path"] or "/"
        self._path = _path_regex(self._path_text)
        if match["query"]:
            self.query = list(URL(f"http://h/?{match['query']}").query.items())

    @property
    def conditions(self) -> list[Condition]:
        """The conditions, one for each part of a URL."""
        return [
            Condition(2, lambda call: self._origin.scheme_differs(call.url)),
            Condition(8, lambda call: self._origin.host_differs(call.url)),
            Condition(4, lambda call: self._origin.port_differs(call.url)),
            Condition(8, self._path_differs),
        ]

    def _path_differs(self, call: Call) -> str | None:
        path = call.url.raw_path
        return None if self._path.fullmatch(path) else asked_got("path", self._path_text, path)

    def values(self, url: URL) -> dict[str, str]:
        """Return what the names in the path stand for, in a URL that matches."""
        match = self._path.fullmatch(url.raw_path)
        return {} if match is None else {n: unquote(v) for n, v in match.groupdict().items()}

    def matches_origin(self, url: URL) -> bool:
        """Whether scheme, host and port are as they have to be."""
        return self._origin.matches(url)


class _Origin:
    def __init__(self, scheme: str, host: str, port: str, *, literal: bool = False) -> None:
        self._scheme, self._host, self._port = scheme, host, port
        host_text = re.escape(host)
        self._host_regex = re.compile(host_text if literal else host_text.replace(r"\*", ".*"))

    def scheme_differs(self, url: URL) -> str | None:
        if self._scheme in ("*", url.scheme):
            return None
        return asked_got("scheme", self._scheme, url.scheme)

    def host_differs(self, url: URL) -> str | None:
        host = url.raw_host or ""
        return None if self._host_regex.fullmatch(host) else asked_got("host", self._host, host)

    def port_differs(self, url: URL) -> str | None:
        # Without one it is that of the scheme, which is another condition.
        asked = self._port or str(_PORTS.get(url.scheme, ""))
        got = str(url.port)
        return None if asked in ("*", got) else asked_got("port", asked, got)

    def matches(self, url: URL) -> bool:
        return not (self.scheme_differs(url) or self.host_differs(url) or self.port_differs(url))


def origin_pattern(text: str) -> URLPattern:
    """Return the pattern of an origin: a host, a host with a port, or a URL without a path.

    Raises:
        ValueError: It is none of these.
    """
    host, _, port = text.rpartition(":") if text[-1:] != "]" else (text, "", "")
    if "://" not in text and not host:
        host, port = port, "*"
    pattern = text if "://" in text else f"*://{host}:{port or '*'}"
    if re.fullmatch(r"[^/]+://[^:/?#][^/?#]*(?:/\*?)?", pattern) is None:
        raise ValueError(f"{text!r} is no host and no origin, such as 'http://127.0.0.1:*'")
    return URLPattern(pattern)


def _path_regex(text: str) -> re.Pattern[str]:
    regex, end = "", 0
    for match in _WILDCARD.finditer(text):
        regex += re.escape(quote(text[end : match.start()], safe=_SAFE_IN_PATH))
        regex += f"(?P<{match[1]}>[^/]+)" if match[1] else ".*"
        end = match.end()
    try:
        return re.compile(regex + re.escape(quote(text[end:], safe=_SAFE_IN_PATH)))
    except re.error as exc:
        raise ValueError(f"url: a name is used twice in {text!r}") from exc
