"""What the bench of bodies parses, and what has to come out. Made from a seed: always the same."""

import random
import zlib
from collections.abc import Sequence
from typing import Any, Final

# What one read of a socket brings, at most.
PIECE_SIZE: Final = 2**16
# Low-water mark of a body stream, and the most that one step decodes: the default of aiohttp and
# of ours.
STREAM_LIMIT: Final = 2**18

BOUNDARY: Final = "----formboundary7MA4YWxkTrZu0gWk"
MULTIPART_HEADERS: Final = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
FILE_SIZE: Final = 64 * 2**20
GUNZIPPED_SIZE: Final = 8 * 2**20
_FIELD_COUNT: Final = 100
_EVENT_COUNT: Final = 10_000

# Name and value of each field of the form.
FORM: Final = [
    (f"field_{number}", f"value {number} of a form, short".encode())
    for number in range(_FIELD_COUNT)
]

COOKIE: Final = (
    "sessionid=0123456789abcdef0123456789abcdef; csrftoken=Jx8Wq0ZlYkT3mVb6NcR1; theme=dark; "
    'lang=en-GB; _ga=GA1.2.1234567890.1760000000; cart="3 items"; '
    "consent=a%3D1%26b%3D0; last_seen=1760000000"
)
COOKIES: Final = [
    ("sessionid", "0123456789abcdef0123456789abcdef"),
    ("csrftoken", "Jx8Wq0ZlYkT3mVb6NcR1"),
    ("theme", "dark"),
    ("lang", "en-GB"),
    ("_ga", "GA1.2.1234567890.1760000000"),
    ("cart", "3 items"),
    ("consent", "a%3D1%26b%3D0"),
    ("last_seen", "1760000000"),
]

SET_COOKIES: Final = (
    (
        "sessionid=0123456789abcdef0123456789abcdef; Domain=example.com; Path=/; Max-Age=3600; "
        "Secure; HttpOnly; SameSite=Lax"
    ),
    (
        "remember=a1b2c3d4e5f6; Domain=example.com; Path=/account; "
        "Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure; HttpOnly; SameSite=Strict"
    ),
)
# Name, value, domain, path, secure, httponly, samesite.
SET_COOKIE_FACTS: Final = [
    ("sessionid", "0123456789abcdef0123456789abcdef", "example.com", "/", True, True, "Lax"),
    ("remember", "a1b2c3d4e5f6", "example.com", "/account", True, True, "Strict"),
]

# Type, id and data of each server-sent event.
EVENTS: Final = [
    ("update", str(number), f'{{"id": {number}, "price": {number * 7 % 1000}, "symbol": "ABC"}}')
    for number in range(_EVENT_COUNT)
]


def file_pieces() -> list[bytes]:
    """Return a form with one file of `FILE_SIZE` bytes that look random, as compressed ones do."""
    block = random.Random(1).randbytes(PIECE_SIZE)
    # The file repeats one block, so almost all pieces are equal, and become one object: it stays
    # in the processor's cache, where what was just read from a socket is too.
    pieces = _pieces(
        b"".join(
            [
                f"--{BOUNDARY}\r\n".encode(),
                b'Content-Disposition: form-data; name="upload"; filename="photo.jpg"\r\n',
                b"Content-Type: image/jpeg\r\n\r\n",
                block * (FILE_SIZE // PIECE_SIZE),
                f"\r\n--{BOUNDARY}--\r\n".encode(),
            ]
        )
    )
    same: dict[bytes, bytes] = {}
    return [same.setdefault(piece, piece) for piece in pieces]


def form_pieces() -> list[bytes]:
    """Return `FORM` as a body."""
    fields = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + value
        + b"\r\n"
        for name, value in FORM
    ]
    return _pieces(b"".join(fields) + f"--{BOUNDARY}--\r\n".encode())


def gzipped_pieces() -> list[bytes]:
    """Return `GUNZIPPED_SIZE` bytes of text, coded with gzip at zlib's own level."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(2_000)]
    text = " ".join(chance.choices(words, k=GUNZIPPED_SIZE // 2)).encode()[:GUNZIPPED_SIZE]
    coder = zlib.compressobj(wbits=zlib.MAX_WBITS + 16)
    return _pieces(coder.compress(text) + coder.flush())


def event_pieces() -> list[bytes]:
    """Return `EVENTS` as an event stream."""
    blocks = [f"event: {kind}\nid: {id_}\ndata: {data}\n\n" for kind, id_, data in EVENTS]
    return _pieces("".join(blocks).encode())


def _pieces(body: bytes) -> list[bytes]:
    return [body[start : start + PIECE_SIZE] for start in range(0, len(body), PIECE_SIZE)]


# How results are brought into the form in which they are expected. Any: the results are of the
# peers' own types.


def shown_morsels(morsels: Sequence[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Return names and values of cookies."""
    return [(name, morsel.value) for name, morsel in morsels]


def shown_set_morsels(morsels: Sequence[tuple[str, Any]]) -> list[tuple[Any, ...]]:
    """Return cookies as in `SET_COOKIE_FACTS`."""
    attributes = ("domain", "path", "secure", "httponly", "samesite")
    return [
        (name, morsel.value, *(morsel[attribute] for attribute in attributes))
        for name, morsel in morsels
    ]


def shown_events(events: Sequence[Any]) -> list[tuple[str, str, str]]:
    """Return events as in `EVENTS`."""
    return [(event.event, event.id, event.data) for event in events]
