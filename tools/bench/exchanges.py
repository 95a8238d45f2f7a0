"""What a client is asked to do, and the canned origin that answers it.

Imported inside the measured processes too, and therefore standard library only.
"""

from dataclasses import dataclass
from typing import Final

from .works import KIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer, repeated.

    Attributes:
        name: What `--work` calls it.
        body: Request body; empty means GET, else POST.
        answer: Response body, which every client must hand out whole.
    """

    name: str
    answer: bytes
    body: bytes = b""

    @property
    def method(self) -> str:
        """Return the request method."""
        return "POST" if self.body else "GET"


_HELLO: Final = b"Hello, World!"

EXCHANGES: Final = {
    exchange.name: exchange
    for exchange in (
        Exchange(name="get", answer=_HELLO),
        Exchange(name="post1k", answer=_HELLO, body=b"x" * KIB),
        Exchange(name="download1m", answer=b"x" * MIB),
        Exchange(name="upload1m", answer=_HELLO, body=b"x" * MIB),
    )
}
