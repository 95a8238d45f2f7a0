"""The canned response of floor and origin, with the headers that a real server sends."""


def canned_response(body: bytes) -> bytes:
    """Return head and body."""
    head = (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        "Server: canned\r\n"
        "\r\n"
    )
    return head.encode() + body
