"""The chain of middlewares."""

from __future__ import annotations

from typing import Any

import pytest

from httpclient._middlewares import build_chain


async def test_first_is_outermost() -> None:
    seen: list[str] = []

    async def send(request: Any) -> Any:
        seen.append("send")
        return [request]

    def named(name: str) -> Any:
        async def middleware(req: Any, go_on: Any) -> Any:
            seen.append(f"{name} before")
            response = await go_on(f"{req} {name}")
            seen.append(f"{name} after")
            return [*response, name]

        return middleware

    chain: Any = build_chain(send, (named("a"), named("b")))
    assert await chain("request") == ["request a b", "b", "a"]
    assert seen == ["a before", "b before", "send", "b after", "a after"]


async def test_handler_may_be_called_never_or_several_times() -> None:
    calls: list[object] = []

    async def send(request: Any) -> Any:
        calls.append(request)
        return len(calls)

    async def twice(request: Any, handler: Any) -> Any:
        await handler(request)
        return await handler(request)

    async def synthesise(request: Any, handler: Any) -> Any:
        return "made up"

    assert await build_chain(send, [twice])("r") == 2  # type: ignore[arg-type,comparison-overlap]
    chain: Any = build_chain(send, [twice, synthesise])
    assert await chain("r") == "made up"
    assert len(calls) == 2


def test_no_middleware_is_the_handler_itself() -> None:
    async def send(request: Any) -> Any:
        raise AssertionError

    assert build_chain(send, ()) is send


def test_what_cannot_be_called_is_refused_at_once() -> None:
    async def send(request: Any) -> Any:
        raise AssertionError

    with pytest.raises(TypeError, match="callable"):
        build_chain(send, [None])  # type: ignore[list-item]
