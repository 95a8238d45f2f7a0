"""Peers: the parsers of the packages multipart and werkzeug, and aiohttp's reader."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import aiohttp
from multipart import MultipartSegment, PushMultipartParser
from werkzeug.sansio.multipart import Data, Epilogue, Field, MultipartDecoder, NeedData

from .body_inputs import BOUNDARY, FILE_SIZE, FORM, PIECE_SIZE, file_pieces, form_pieces
from .multipart_readers import file_reader, form_reader
from .sampling import Timed, expecting, main, repeated


def _file_size_multipart(pieces: list[bytes]) -> int:
    received = 0
    with PushMultipartParser(BOUNDARY) as parser:
        for piece in pieces:
            for event in parser.parse(piece):
                if isinstance(event, bytes):
                    received += len(event)
    return received


def _fields_multipart(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    fields: list[tuple[str, bytes]] = []
    name, values = "", list[bytes]()
    with PushMultipartParser(BOUNDARY) as parser:
        for piece in pieces:
            for event in parser.parse(piece):
                if isinstance(event, MultipartSegment):
                    name, values = event.name, []
                elif event is None:
                    fields.append((name, b"".join(values)))
                else:
                    values.append(event)
    return fields


def _file_size_werkzeug(pieces: list[bytes]) -> int:
    decoder = MultipartDecoder(BOUNDARY.encode())
    received = 0
    for piece in [*pieces, None]:
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, Data):
                received += len(event.data)
    return received


def _fields_werkzeug(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    decoder = MultipartDecoder(BOUNDARY.encode())
    fields: list[tuple[str, bytes]] = []
    name, values = "", list[bytes]()
    for piece in [*pieces, None]:
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, Data):
                values.append(event.data)
                if not event.more_data:
                    fields.append((name, b"".join(values)))
            elif isinstance(event, Field):
                name, values = event.name, []
    return fields


def _file(read: Callable[[list[bytes]], int]) -> Timed:
    return repeated(partial(read, file_pieces())), expecting(FILE_SIZE)


def _form(read: Callable[[list[bytes]], list[tuple[str, bytes]]]) -> Timed:
    return repeated(partial(read, form_pieces())), expecting(FORM)


PEERS: Final[dict[str, Callable[[], Timed]]] = {
    "file-multipart": lambda: _file(_file_size_multipart),
    "file-werkzeug": lambda: _file(_file_size_werkzeug),
    "file-aiohttp": lambda: file_reader(aiohttp),
    "file-aiohttp-64k": lambda: file_reader(aiohttp, PIECE_SIZE),
    "form-multipart": lambda: _form(_fields_multipart),
    "form-werkzeug": lambda: _form(_fields_werkzeug),
    "form-aiohttp": lambda: form_reader(aiohttp),
}

if __name__ == "__main__":
    main(*PEERS[sys.argv[1]]())
