"""What a server is asked to do: the one description that load generator, peers and ours share.

Every peer builds its application from the same `Work`, so routes, bodies and answers cannot drift
apart. This module is imported inside the measured processes too and therefore imports nothing but
the standard library.
"""

import json
from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

STREAM_CHUNK: Final = b"x" * KIB
STREAM_CHUNKS: Final = 32
STATIC_NAME: Final = "file.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One request, repeated, and the application that answers it.

    Attributes:
        name: What `--work` calls it.
        handler: Which handler an application registers; several works may share one.
        routes: Path patterns to register, `{name}` standing for one path segment. The last one is
            requested, so a router that scans pays for all of them.
        target: Request target in origin form.
        body: Request body; empty means none.
        answer: The exact response body every peer must send.
    """

    name: str
    handler: str
    routes: tuple[str, ...]
    target: str
    answer: bytes
    method: str = "GET"
    body: bytes = b""
    content_type: str = ""


def _document(size: int) -> bytes:
    """Return a JSON document of exactly `size` bytes with some structure in it.

    Serialised with the defaults of `json.dumps`, so a handler that decodes and encodes it again
    gives equal bytes.
    """
    users = [
        {"id": n, "name": f"user {n}", "tags": ["a", "b"], "active": n % 2 == 0} for n in range(12)
    ]
    filler = size - len(json.dumps({"users": users, "note": ""}))
    return json.dumps({"users": users, "note": "x" * filler}).encode()


def _hello(name: str, routes: tuple[str, ...], target: str) -> Work:
    return Work(name=name, handler="hello", routes=routes, target=target, answer=b"Hello, World!")


def _param(name: str, routes: tuple[str, ...], target: str) -> Work:
    return Work(name=name, handler="param", routes=routes, target=target, answer=b"Hello, anna!")


def _static_routes(count: int) -> tuple[str, ...]:
    return tuple(f"/api/v1/resource{n}" for n in range(count))


def _param_routes(count: int) -> tuple[str, ...]:
    return tuple(f"/api/v1/resource{n}/{{name}}" for n in range(count))


_ECHO: Final = _document(KIB)

_WORKS: Final = (
    _hello("hello", ("/",), "/"),
    Work(
        name="json",
        handler="json",
        routes=("/json",),
        target="/json",
        answer=json.dumps({"message": "Hello, World!"}).encode(),
    ),
    _param("param", ("/{name}",), "/anna"),
    # Half of the routes static and half with a parameter, as a small API has them.
    _param("routes50", _static_routes(25) + _param_routes(25), "/api/v1/resource24/anna"),
    _hello("middlewares", ("/hello",), "/sub/hello"),
    Work(
        name="echo1k",
        handler="echo",
        routes=("/echo",),
        target="/echo",
        method="POST",
        body=_ECHO,
        content_type="application/json",
        answer=_ECHO,
    ),
    Work(
        name="read64k",
        handler="read",
        routes=("/read",),
        target="/read",
        method="POST",
        body=b"x" * (64 * KIB),
        content_type="application/octet-stream",
        answer=b"65536",
    ),
    Work(
        name="stream32",
        handler="stream",
        routes=("/stream",),
        target="/stream",
        answer=STREAM_CHUNK * STREAM_CHUNKS,
    ),
    Work(name="body1m", handler="body", routes=("/body",), target="/body", answer=b"x" * MIB),
    Work(
        name="static64k",
        handler="static",
        routes=("/static",),
        target=f"/static/{STATIC_NAME}",
        answer=b"x" * (64 * KIB),
    ),
)

WORKS: Final = {work.name: work for work in _WORKS}


def find_work(name: str) -> Work:
    """Return the work called `name`.

    Beside the names in `WORKS` this knows `static-N` and `param-N`, which the scaling curves use: N
    routes without or with a parameter.

    Raises:
        ValueError: No work has that name.
    """
    if name in WORKS:
        return WORKS[name]
    kind, _, digits = name.partition("-")
    if digits.isdecimal() and (count := int(digits)) > 0:
        last = f"/api/v1/resource{count - 1}"
        if kind == "static":
            return _hello(name, _static_routes(count), last)
        if kind == "param":
            return _param(name, _param_routes(count), f"{last}/anna")
    raise ValueError(
        f"no work is called {name!r}; there are {', '.join(WORKS)}, static-N and param-N"
    )
