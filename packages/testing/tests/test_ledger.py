"""The ledger: rows of the behaviours that must hold which this package decides.

A test's docstring begins with the id of its row.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import httpserver as web
from httpclient import ClientResponse, ClientSession
from httpcore_testing import RawTestServer, TestClient, TestServer, make_mocked_request

OWNED = ["S053", "S116", "S121", "S137", "S142", "S175"]

COUNT = web.AppKey("count", list[int])


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.query_string} {request.headers.get('X')}")


def application() -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", hello)
    return app


async def test_port_of_a_closed_server_is_free_at_once() -> None:
    """S053: the side that closes first keeps the connection in TIME_WAIT; here the server."""

    async def last_words(request: web.Request) -> web.Response:
        response = web.Response(text="bye")
        response.force_close()
        return response

    port: int | None = None
    for _ in range(2):
        app = web.Application()
        app.router.add_get("/", last_words)
        async with TestClient(TestServer(app, port=port)) as client:
            assert port in (None, client.port)
            port = client.port
            async with client.get("/") as response:
                assert await response.text() == "bye"


@pytest.mark.parametrize("transport", ["socket", "memory"])
async def test_example_of_the_docs(transport: Any) -> None:
    """S116: an application that keeps state between two requests of a client."""

    async def count(request: web.Request) -> web.Response:
        counter = request.app[COUNT]
        counter[0] += 1
        return web.Response(text=f"{counter[0]}: {await request.text()}")

    app = web.Application()
    app[COUNT] = [0]
    app.router.add_get("/", count)
    app.router.add_post("/", count)

    async with TestServer(app) as server:
        assert server.started
    assert server.closed

    async with TestClient(TestServer(app), transport=transport) as client:
        response = await client.get("/")
        assert (response.status, await response.text()) == (200, "1: ")
        response = await client.post("/", data=b"value")
        assert await response.text() == "2: value"


async def test_plugin_brings_fixtures(http_client: Any, http_server: Any) -> None:
    """S121: found by its entry point, like this suite's own."""
    names = [point.value for point in metadata.entry_points(group="pytest11")]
    assert "pytest_httpcore" in names

    server = await http_server(application())
    assert isinstance(server, TestServer)
    client = await http_client(server)
    assert isinstance(client, TestClient)
    async with client.get("/?a") as response:
        assert await response.text() == "GET a None"


@pytest.mark.parametrize("cls", [TestClient, TestServer, RawTestServer])
def test_classes_are_none_of_pytests(cls: Any) -> None:
    """S137: pytest warns of what is called Test and has a constructor; warnings are errors here.

    So it does not even load this module if one of them is taken for tests.
    """
    assert cls.__test__ is False


async def test_request_of_a_client_is_that_of_a_session() -> None:
    """S142: a coroutine, and an asynchronous context manager, with the same keywords."""
    async with TestClient(application()) as client:
        response = await client.request("PUT", "/", params={"a": "b"}, headers={"X": "1"})
        assert isinstance(response, ClientResponse)
        assert await response.text() == "PUT a=b 1"
        async with client.request("PUT", "/", params={"a": "b"}, headers={"X": "1"}) as response:
            assert isinstance(response, ClientResponse)
            assert await response.text() == "PUT a=b 1"
        with pytest.raises(TypeError, match="unheard"):
            await client.request("GET", "/", unheard=1)  # type: ignore[call-arg]

    ours = list(inspect.signature(TestClient.request).parameters.values())
    sessions = list(inspect.signature(ClientSession.request).parameters.values())
    assert ours[1].name == sessions[1].name == "method"
    assert ours[-1].annotation == sessions[-1].annotation


def test_app_of_a_mocked_request_takes_items() -> None:
    """S175: and method, path and headers are as asked."""
    request = make_mocked_request("POST", "/a?b=c", {"X-Token": "t"})
    request.app[COUNT] = [1]

    assert request.app[COUNT] == [1]
    assert (request.method, request.path, request.path_qs) == ("POST", "/a", "/a?b=c")
    assert dict(request.headers) == {"X-Token": "t"}


def test_every_row_is_decided() -> None:
    tests = [
        node
        for node in ast.parse(Path(__file__).read_text("utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    docs = [ast.get_docstring(test) or "" for test in tests]

    assert sorted(match[0] for doc in docs if (match := re.match("S[0-9]{3}", doc))) == OWNED
