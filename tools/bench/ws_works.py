"""What a WebSocket peer is asked to do: send a message, and get it back.

Imported inside the measured processes too, and therefore standard library only.
"""

from dataclasses import dataclass
from typing import Final

from .works import KIB

# What is measured is how fast masking is, not how random its key.
_KEY: Final = b"\x12\x34\x56\x78"
_BINARY: Final = 0x82
_ALPHABET: Final = bytes(range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoWork:
    """One binary message, sent and echoed again and again.

    Attributes:
        name: What `--work` calls it.
        size: Octets of the message.
    """

    name: str
    size: int

    @property
    def message(self) -> bytes:
        """Return the message."""
        return (_ALPHABET * (self.size // len(_ALPHABET) + 1))[: self.size]

    @property
    def frame(self) -> bytes:
        """Return its frame, as a server sends it."""
        return self._head(0) + self.message

    @property
    def masked_frame(self) -> bytes:
        """Return its frame, as a client sends it."""
        octets = int.from_bytes(self.message, "big")
        keys = (_KEY * (self.size // len(_KEY) + 1))[: self.size]
        masked = octets ^ int.from_bytes(keys, "big")
        return self._head(0x80) + _KEY + masked.to_bytes(self.size, "big")

    def _head(self, mask_bit: int) -> bytes:
        if self.size < 126:
            return bytes([_BINARY, mask_bit | self.size])
        if self.size < 65536:
            return bytes([_BINARY, mask_bit | 126]) + self.size.to_bytes(2, "big")
        return bytes([_BINARY, mask_bit | 127]) + self.size.to_bytes(8, "big")


ECHO_WORKS: Final = {
    work.name: work
    for work in (EchoWork(name="echo16", size=16), EchoWork(name="echo64k", size=64 * KIB))
}
