"""Our client, on uvloop, on asyncio's own loop or on trio."""

import importlib.util

from .client_load import main
from .session_client import session_client
from .settings import not_offered

if __name__ == "__main__":
    if importlib.util.find_spec("httpclient") is None:
        not_offered("httpclient is not installed")
    import httpclient

    if not hasattr(httpclient, "ClientSession"):
        not_offered("httpclient has no ClientSession yet")
    main(session_client(httpclient))
