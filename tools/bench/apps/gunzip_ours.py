"""Our decoder of content codings, by steps of two sizes."""

import sys
from functools import partial

from .body_inputs import GUNZIPPED_SIZE, gzipped_pieces
from .sampling import expecting, main, repeated
from .settings import not_offered

try:
    from httpcore_proto import ContentDecoder
except ImportError as error:
    not_offered(str(error))


def _decoded_size(pieces: list[bytes], step: int) -> int:
    decoder = ContentDecoder("gzip")
    size = 0
    for piece in pieces:
        decoder.feed(piece)
        while not decoder.needs_input:
            size += len(decoder.read(step))
    decoder.feed_eof()
    while data := decoder.read(step):
        size += len(data)
    return size


if __name__ == "__main__":
    main(
        repeated(partial(_decoded_size, gzipped_pieces(), int(sys.argv[1]))),
        expecting(GUNZIPPED_SIZE),
    )
