"""Our multipart parser, and our reader on top of it."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from .body_inputs import BOUNDARY, FILE_SIZE, FORM, PIECE_SIZE, file_pieces, form_pieces
from .multipart_readers import file_reader, form_reader
from .sampling import Timed, expecting, main, repeated
from .settings import not_offered

try:
    from httpcore_proto import (
        END_OF_MULTIPART,
        END_OF_PART,
        NEED_DATA,
        MultipartParser,
        Part,
        aio,
        parse_content_disposition,
    )
except ImportError as error:
    not_offered(str(error))


def _file_size(pieces: list[bytes]) -> int:
    parser = MultipartParser(BOUNDARY)
    received = 0
    for piece in pieces:
        parser.receive_data(piece)
        while (event := parser.next_event()) is not NEED_DATA:
            if isinstance(event, bytes):
                received += len(event)
            elif event is END_OF_MULTIPART:
                break
    return received


def _fields(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    parser = MultipartParser(BOUNDARY)
    fields: list[tuple[str, bytes]] = []
    name, values = "", list[bytes]()
    for piece in pieces:
        parser.receive_data(piece)
        while (event := parser.next_event()) is not NEED_DATA:
            if isinstance(event, bytes):
                values.append(event)
            elif isinstance(event, Part):
                _, parameters = parse_content_disposition(event.headers["Content-Disposition"])
                name, values = parameters["name"], []
            elif event is END_OF_PART:
                fields.append((name, b"".join(values)))
            else:
                break
    return fields


PEERS: Final[dict[str, Callable[[], Timed]]] = {
    "file": lambda: (repeated(partial(_file_size, file_pieces())), expecting(FILE_SIZE)),
    "file-reader": lambda: file_reader(aio),
    "file-reader-64k": lambda: file_reader(aio, PIECE_SIZE),
    "form": lambda: (repeated(partial(_fields, form_pieces())), expecting(FORM)),
    "form-reader": lambda: form_reader(aio),
}

if __name__ == "__main__":
    main(*PEERS[sys.argv[1]]())
