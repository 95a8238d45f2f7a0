"""The fixtures under the names that pytest-aiohttp gives them, for tests that move over.

Not loaded by itself: `pytest_plugins = ["pytest_httpcore.aiohttp_names"]` in the topmost
conftest.py, or `-p pytest_httpcore.aiohttp_names`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from httpcore_testing import HTTPClientFixture, HTTPRawServerFixture, HTTPServerFixture


@pytest.fixture
def aiohttp_client(http_client: HTTPClientFixture) -> HTTPClientFixture:
    """`http_client` by the name of pytest-aiohttp."""
    return http_client


@pytest.fixture
def aiohttp_server(http_server: HTTPServerFixture) -> HTTPServerFixture:
    """`http_server` by the name of pytest-aiohttp."""
    return http_server


@pytest.fixture
def aiohttp_raw_server(http_raw_server: HTTPRawServerFixture) -> HTTPRawServerFixture:
    """`http_raw_server` by the name of pytest-aiohttp."""
    return http_raw_server


@pytest.fixture
def aiohttp_unused_port(free_port: Callable[[], int]) -> Callable[[], int]:
    """`free_port` by the name of pytest-aiohttp."""
    return free_port
