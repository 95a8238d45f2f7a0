"""Peer: aiohttp's client."""

import aiohttp

from .client_load import main
from .session_client import session_client

if __name__ == "__main__":
    main(session_client(aiohttp))
