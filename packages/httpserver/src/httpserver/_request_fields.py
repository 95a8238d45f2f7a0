"""What the header fields of a request say, parsed when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from multidict import CIMultiDictProxy

from httpcore_proto import (
    ContentType,
    ETag,
    parse_content_type,
    parse_etags,
    parse_forwarded,
    parse_http_date,
    parse_range_slice,
    split_cookie_header,
    unquote_cookie,
)


class RequestFields:
    """The part of a request that knows nothing but its header fields."""

    __slots__ = ()

    @property
    @abstractmethod
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields; names compare without case."""

    @property
    def content_type(self) -> str:
        """Media type in lower case; `application/octet-stream` if none or malformed."""
        return self._content_type.media_type

    @property
    def charset(self) -> str | None:
        """The charset parameter of Content-Type as the client wrote it, or None."""
        return self._content_type.charset

    @property
    def forwarded(self) -> tuple[Mapping[str, str], ...]:
        """What proxies say of themselves (RFC 7239), the one nearest to the client first.

        Read-only mappings with names in lower case; an element counts up to what is
        malformed in it. Nothing of it is proven: a client can write what it likes, and
        nothing else in a request is taken from here (`clone` is how a middleware that
        trusts its proxy does it).
        """
        return parse_forwarded(self.headers.getall("Forwarded", ()))

    @property
    def http_range(self) -> slice:
        """The range that is asked for (RFC 9110 section 14.2), in bytes.

        `slice(0, 10, 1)` for `bytes=0-9`, `slice(-5, None, 1)` for `bytes=-5`, and
        `slice(None, None, 1)` if there is no Range field.

        Raises:
            ValueError: The field is malformed, has several ranges or another unit than
                bytes. RFC 9110 lets a server ignore it then.
        """
        return parse_range_slice(self._joined("Range") or "")

    @property
    def if_modified_since(self) -> datetime | None:
        """If-Modified-Since in UTC; None if absent or no date (RFC 9110 section 13.1.3)."""
        return self._date("If-Modified-Since")

    @property
    def if_unmodified_since(self) -> datetime | None:
        """If-Unmodified-Since in UTC; None if absent or no date (RFC 9110 section 13.1.4)."""
        return self._date("If-Unmodified-Since")

    @property
    def if_range(self) -> datetime | None:
        """The date in If-Range, in UTC (RFC 9110 section 13.1.5).

        None if absent or no date; `httpcore_proto.parse_if_range` knows entity tags, too.
        """
        return self._date("If-Range")

    @property
    def if_match(self) -> tuple[ETag, ...] | None:
        """The tags in If-Match up to the first that is none; None without the field.

        `(ETag("*"),)` for `*` (RFC 9110 section 13.1.1).
        """
        return self._tags("If-Match")

    @property
    def if_none_match(self) -> tuple[ETag, ...] | None:
        """The tags in If-None-Match, as in `if_match` (RFC 9110 section 13.1.2)."""
        return self._tags("If-None-Match")

    def _parse_cookies(self) -> Mapping[str, str]:
        # HTTP/1.1 has one line of them, HTTP/2 may have several.
        header = self._joined("Cookie", "; ")
        pairs = split_cookie_header(header) if header is not None else ()
        return MappingProxyType({name: unquote_cookie(coded) for name, coded in pairs})

    @property
    def _content_type(self) -> ContentType:
        return parse_content_type(self.headers.get("Content-Type", ""))

    def _joined(self, name: str, separator: str = ", ") -> str | None:
        values = self.headers.getall(name, None)
        return None if values is None else separator.join(values)

    def _date(self, name: str) -> datetime | None:
        value = self.headers.get(name)
        return None if value is None else parse_http_date(value)

    def _tags(self, name: str) -> tuple[ETag, ...] | None:
        value = self._joined(name)
        return None if value is None else parse_etags(value)
