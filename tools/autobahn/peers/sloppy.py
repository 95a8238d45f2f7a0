"""A peer that checks nothing, to see that the suite finds faults.

    sloppy.py server PORT [BACKEND]
    sloppy.py client URL COUNT [BACKEND]

It echoes text, binary and continuation frames as they come, whatever their reserved bits, opcode
and octets, answers pings of any size, and echoes any close frame.
"""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE, PING, PONG = 8, 9, 10


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Return so many octets.

    Raises:
        EOFError: The connection ended first.
    """
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def receive_head(sock: socket.socket) -> bytes:
    """Return all up to an empty line."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive_exactly(sock, 1)
    return head


def mask(data: bytes, key: bytes) -> bytes:
    """Mask or unmask."""
    keys = (key * (len(data) // 4 + 1))[: len(data)]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")
    return masked.to_bytes(len(data), "big")


def frames(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Give first octet and payload of each frame, until the connection ends."""
    while True:
        first, second = receive_exactly(sock, 2)
        size = second & 127
        if size > 125:
            size = int.from_bytes(receive_exactly(sock, 2 if size == 126 else 8), "big")
        key = receive_exactly(sock, 4) if second & 128 else bytes(4)
        yield first, mask(receive_exactly(sock, size), key)


def send(sock: socket.socket, first: int, payload: bytes, *, is_client: bool) -> None:
    """Send a frame."""
    size, bit = len(payload), 128 if is_client else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if is_client:
        key = os.urandom(4)
        head, payload = head + key, mask(payload, key)
    sock.sendall(head + payload)


def echo(sock: socket.socket, *, is_client: bool) -> None:
    """Echo frames until the connection ends."""
    # The fuzzer has seen enough, and hangs up; or it sent what no frame can be read from.
    with contextlib.suppress(EOFError, OSError):
        for first, payload in frames(sock):
            opcode = first & 15
            if opcode == PING:
                send(sock, first & 240 | PONG, payload, is_client=is_client)
            elif opcode != PONG:
                send(sock, first, payload, is_client=is_client)
            if opcode == CLOSE:
                break


def answer(sock: socket.socket) -> None:
    """Be a server of one connection."""
    with sock, contextlib.suppress(EOFError):
        lines = receive_head(sock).split(b"\r\n")
        fields = {
            name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)
        }
        accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        echo(sock, is_client=False)


def serve(port: str, backend: str = "") -> None:
    listener = socket.create_server(("127.0.0.1", int(port)))
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def connect(url: str, count: str, backend: str = "") -> None:
    where = urlsplit(url)
    for case in range(1, int(count) + 1):
        with socket.create_connection((where.hostname, where.port)) as sock:
            request = (
                f"GET /runCase?case={case}&agent=target HTTP/1.1\r\nHost: {where.netloc}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
            )
            sock.sendall(request.encode())
            receive_head(sock)
            echo(sock, is_client=True)


if __name__ == "__main__":
    {"server": serve, "client": connect}[sys.argv[1]](*sys.argv[2:])
