"""Peer: a WebSocket of aiohttp's client."""

import aiohttp

from .ws_load import main
from .ws_session_client import session_client

if __name__ == "__main__":
    main(session_client(aiohttp))
