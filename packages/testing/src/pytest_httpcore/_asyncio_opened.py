"""What closes in the loops of pytest-asyncio: a fixture for each scope that a loop can have.

Imported and registered only where pytest-asyncio is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from ._opened import Opened

if TYPE_CHECKING:
    from typing import Literal

    LoopScope = Literal["function", "class", "module", "package", "session"]


def _fixture_in(loop_scope: LoopScope) -> Any:
    async def opened_in_loop() -> AsyncIterator[Opened]:
        opened = Opened(asyncio.get_running_loop)
        yield opened
        await opened.close()

    return pytest_asyncio.fixture(loop_scope=loop_scope, name=f"_http_opened_{loop_scope}")(
        opened_in_loop
    )


_in_function = _fixture_in("function")
_in_class = _fixture_in("class")
_in_module = _fixture_in("module")
_in_package = _fixture_in("package")
_in_session = _fixture_in("session")
