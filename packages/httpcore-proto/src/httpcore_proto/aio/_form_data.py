"""Forms to be sent: urlencoded, or multipart/form-data (RFC 7578) if there are files."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from .._abnf import check_text
from ._multipart_writer import MultipartWriter
from ._payload import Payload, PayloadLookupError, get_payload
from ._payload_files import file_of
from ._payload_types import BytesPayload, name_of


class _Field(NamedTuple):
    name: str
    value: Any
    content_type: str | None
    filename: str | None


class FormData:
    """A form; `form()` is its body.

    It is urlencoded as long as all fields are plain, multipart/form-data otherwise. Fields
    keep their order.

    Args:
        fields: A mapping (a multidict keeps repeated names), or a list or tuple of what
            `add_fields` takes; anything else is taken for one field.
        quote_fields: In multipart, whether names and file names that are not ASCII are
            percent-encoded; else they go out as UTF-8, in quotes.
        charset: Charset of text; UTF-8 unless given.
        default_to_multipart: Whether to use multipart for plain fields too.

    Raises:
        TypeError: A field is not what `add_fields` takes.
        ValueError: As for `add_field`.
    """

    def __init__(
        self,
        fields: Iterable[Any] | Mapping[str, Any] = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._fields: list[_Field] = []
        self._quote_fields = quote_fields
        self._charset = charset
        self._is_multipart = default_to_multipart
        self._writer: MultipartWriter | None = None
        self.add_fields(*(fields if isinstance(fields, (list, tuple)) else (fields,)))

    @property
    def is_multipart(self) -> bool:
        """Whether the body will be multipart/form-data."""
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: Any,
        *,
        content_type: str | None = None,
        filename: str | None = None,
    ) -> None:
        """Add a field.

        The form becomes multipart by a content type, a file name, or a value that is a
        file, path, payload or asynchronous iterable. Bytes alone are a plain field.

        Args:
            name: Name of the field.
            value: Text; bytes; a file or path; or what the payload registry knows. In an
                urlencoded form also a number, or a list for so many fields of that name.
            content_type: Media type of the part.
            filename: File name of the part. That of a file or path is its own, or else
                the name of the field.

        Raises:
            TypeError: A name, file name or content type is not a `str`.
            ValueError: There is a control character in one of them.
        """
        file = file_of(value)
        if file is not None and filename is None:
            filename = name_of(file) or name
        for what, text in (
            ("name", name),
            ("filename", filename or ""),
            ("content_type", content_type or ""),
        ):
            if not isinstance(text, str):
                raise TypeError(f"{what} of a form field must be str, not {type(text).__name__}")
            check_text(text, f"{what} of a form field")
        if (
            filename is not None
            or content_type is not None
            or isinstance(value, (Payload, AsyncIterable))
        ):
            self._is_multipart = True
        self._fields.append(_Field(name, value, content_type, filename))

    def add_fields(self, *fields: Any) -> None:
        """Add several fields.

        Args:
            fields: Each a pair of name and value as list or tuple, a mapping of such, or
                a file or path, whose own name is that of the field (`unknown` if it has
                none).

        Raises:
            TypeError: It is none of these.
            ValueError: As for `add_field`.
        """
        for field in fields:
            if (file := file_of(field)) is not None:
                self.add_field(name_of(file) or "unknown", field)
            elif isinstance(field, Mapping):
                for name, value in field.items():
                    self.add_field(name, value)
            elif isinstance(field, (list, tuple)) and len(field) == 2:
                self.add_field(*field)
            else:
                raise TypeError(
                    "a form consists of pairs of name and value, mappings and files, not of "
                    + type(field).__name__
                )

    def __call__(self) -> Payload:
        """Return the body.

        Of a multipart form this is one and the same writer each time, with the fields
        that were added meanwhile.

        Raises:
            TypeError: There is no payload for a value.
            ValueError: A content type is not fit to be sent.
        """
        return self._multipart() if self._is_multipart else self._urlencoded()

    def _urlencoded(self) -> Payload:
        charset = self._charset or "utf-8"
        content_type = "application/x-www-form-urlencoded"
        if charset.lower() != "utf-8":
            content_type += f"; charset={charset}"
        pairs = [(field.name, field.value) for field in self._fields]
        return BytesPayload(
            urlencode(pairs, doseq=True, encoding=charset).encode("ascii"),
            content_type=content_type,
        )

    def _multipart(self) -> MultipartWriter:
        writer = self._writer
        if writer is None:
            writer = self._writer = MultipartWriter("form-data")
        # A payload that was made is never made again: what it reads from may be used up.
        for field in self._fields[len(writer) :]:
            try:
                part = get_payload(
                    field.value, content_type=field.content_type, encoding=self._charset
                )
            except PayloadLookupError as exc:
                raise TypeError(
                    f"form field {field.name!r}: cannot send {type(field.value).__name__}"
                ) from exc
            if field.content_type is not None:
                part.headers["Content-Type"] = field.content_type
            params = {"name": field.name}
            if field.filename is not None:
                params["filename"] = field.filename
            part.set_content_disposition("form-data", quote_fields=self._quote_fields, **params)
            part.headers.popall("Content-Length", None)
            writer.append_payload(part)
        return writer
