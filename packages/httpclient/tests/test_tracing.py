"""Trace configs, their signals, and the traces of one request."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient import TraceConfig
from httpclient._tracing import SignalName, Traces

SESSION: Any = object()
URL_ = URL("http://h/")

# Signal -> class of its parameters and its fields; aiohttp's, but for the retry.
SIGNALS: dict[str, tuple[type, tuple[str, ...]]] = {
    "on_request_start": (httpclient.TraceRequestStartParams, ("method", "url", "headers")),
    "on_request_headers_sent": (
        httpclient.TraceRequestHeadersSentParams,
        ("method", "url", "headers"),
    ),
    "on_request_chunk_sent": (httpclient.TraceRequestChunkSentParams, ("method", "url", "chunk")),
    "on_response_chunk_received": (
        httpclient.TraceResponseChunkReceivedParams,
        ("method", "url", "chunk"),
    ),
    "on_request_redirect": (
        httpclient.TraceRequestRedirectParams,
        ("method", "url", "headers", "response"),
    ),
    "on_request_retry": (
        httpclient.TraceRequestRetryParams,
        ("method", "url", "headers", "attempt", "delay", "reason"),
    ),
    "on_request_end": (
        httpclient.TraceRequestEndParams,
        ("method", "url", "headers", "response"),
    ),
    "on_request_exception": (
        httpclient.TraceRequestExceptionParams,
        ("method", "url", "headers", "exception"),
    ),
    "on_connection_queued_start": (httpclient.TraceConnectionQueuedStartParams, ()),
    "on_connection_queued_end": (httpclient.TraceConnectionQueuedEndParams, ()),
    "on_connection_create_start": (httpclient.TraceConnectionCreateStartParams, ()),
    "on_connection_create_end": (httpclient.TraceConnectionCreateEndParams, ()),
    "on_connection_reuseconn": (httpclient.TraceConnectionReuseconnParams, ()),
    "on_dns_resolvehost_start": (httpclient.TraceDnsResolveHostStartParams, ("host",)),
    "on_dns_resolvehost_end": (httpclient.TraceDnsResolveHostEndParams, ("host",)),
    "on_dns_cache_hit": (httpclient.TraceDnsCacheHitParams, ("host",)),
    "on_dns_cache_miss": (httpclient.TraceDnsCacheMissParams, ("host",)),
}


def test_all_signals_have_a_list_and_parameters() -> None:
    config = TraceConfig()
    names = [name for name in TraceConfig.__slots__ if name.startswith("on_")]
    assert set(names) == set(SIGNALS) == set(get_args(SignalName))
    assert all(isinstance(getattr(config, name), httpclient.Signal) for name in names)


@pytest.mark.parametrize("name", SIGNALS)
def test_parameters_are_positional_and_frozen(name: str) -> None:
    params_class, fields = SIGNALS[name]
    values = tuple(range(len(fields)))
    params = params_class(*values)
    assert tuple(getattr(params, field) for field in fields) == values
    assert dataclasses.astuple(params) == values
    assert not hasattr(params, "__dict__")
    for field in fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(params, field, None)


async def handler(session: Any, context: Any, params: Any) -> None:
    """Do nothing."""


async def other(session: Any, context: Any, params: Any) -> None:
    """Do nothing either."""


def test_signal_is_a_list_until_it_is_frozen() -> None:
    config = TraceConfig()
    signal = config.on_request_start
    assert not signal
    signal.append(handler)
    signal.insert(0, other)
    assert (list(signal), signal[0], signal[-1:]) == ([other, handler], other, [handler])
    signal[0] = handler
    del signal[1]
    assert list(signal) == [handler]
    assert not signal.frozen
    assert "frozen=False" in repr(signal)
    config.freeze()
    assert signal.frozen
    for change in (
        lambda: signal.append(other),
        lambda: signal.insert(0, other),
        lambda: signal.remove(handler),
        lambda: signal.__setitem__(0, other),
        lambda: signal.clear(),
    ):
        with pytest.raises(RuntimeError, match="frozen"):
            change()
    assert list(signal) == [handler]


def test_freeze_reaches_every_signal() -> None:
    config = TraceConfig()
    config.freeze()
    config.freeze()
    assert all(getattr(config, name).frozen for name in SIGNALS)


def test_context_is_made_from_what_the_call_gave() -> None:
    config = TraceConfig()
    assert config.trace_config_ctx() == SimpleNamespace(trace_request_ctx=None)
    assert config.trace_config_ctx({"a": 1}) == SimpleNamespace(trace_request_ctx={"a": 1})
    assert TraceConfig(trace_config_ctx_factory=dict).trace_config_ctx(2) == {
        "trace_request_ctx": 2
    }


async def test_documented_pattern_keeps_a_context_for_each_request() -> None:
    seen: list[object] = []

    async def on_start(session: Any, context: SimpleNamespace, params: Any) -> None:
        context.start = params.method

    async def on_end(session: Any, context: SimpleNamespace, params: Any) -> None:
        seen.append((session is SESSION, context.start, context.trace_request_ctx, params.response))

    config = TraceConfig()
    config.on_request_start.append(on_start)
    config.on_request_end.append(on_end)
    first = Traces.start(SESSION, [config], "first")
    second = Traces.start(SESSION, [config])
    for traces, method in ((first, "GET"), (second, "PUT")):
        await traces.send(
            "on_request_start", httpclient.TraceRequestStartParams(method, URL_, CIMultiDict())
        )
    answer: Any = "response"
    for traces in (first, second):
        await traces.send(
            "on_request_end",
            httpclient.TraceRequestEndParams("GET", URL_, CIMultiDict(), answer),
        )
    assert seen == [(True, "GET", "first", "response"), (True, "PUT", None, "response")]


async def test_handlers_run_in_order_and_the_first_error_ends_them() -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        async def on(session: Any, context: Any, params: Any) -> None:
            seen.append(f"{name} {params.host}")
            if name == "c":
                raise ValueError(name)

        return on

    configs = [TraceConfig(), TraceConfig(), TraceConfig()]
    for config, names in zip(configs, ["ab", "cd", "e"], strict=True):
        for name in names:
            config.on_dns_cache_hit.append(note(name))
    traces = Traces.start(SESSION, configs)
    with pytest.raises(ValueError, match="c"):
        await traces.send("on_dns_cache_hit", httpclient.TraceDnsCacheHitParams("h"))
    assert seen == ["a h", "b h", "c h"]


def test_traces_know_whether_anybody_listens() -> None:
    silent, listening = TraceConfig(), TraceConfig()
    listening.on_request_chunk_sent.append(handler)
    assert not Traces.start(SESSION, [silent]).wants("on_request_chunk_sent")
    traces = Traces.start(SESSION, [silent, listening])
    assert traces.wants("on_request_chunk_sent")
    assert not traces.wants("on_request_end")


TYPED = """
from types import SimpleNamespace
from httpclient import *

class Own:
    def __init__(self, trace_request_ctx: object) -> None: ...

async def start(s: ClientSession, c: SimpleNamespace, p: TraceRequestStartParams) -> None: ...
async def end(s: ClientSession, c: SimpleNamespace, p: TraceRequestEndParams) -> None: ...
async def own(s: ClientSession, c: Own, p: TraceRequestEndParams) -> None: ...
async def short(s: ClientSession, c: SimpleNamespace) -> None: ...
def sync(s: ClientSession, c: SimpleNamespace, p: TraceRequestEndParams) -> None: ...

config = TraceConfig()
config.on_request_start.append(start)
config.on_request_end.append(end)
other = TraceConfig(Own)
other.on_request_end.append(own)
other.trace_config_ctx()
config.on_request_start.append(end)  # E
config.on_request_end.append(own)  # E
config.on_request_end.append(short)  # E
config.on_request_end.append(sync)  # E
other.on_request_end.append(end)  # E
"""


def test_handler_of_another_signature_is_refused_by_the_type_checker(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "-c", TYPED],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,  # neither the settings nor the cache of the project
    )
    wrong = {int(number) for number in re.findall(r"^<string>:([0-9]+)", run.stdout, re.M)}
    expected = {number for number, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# E")}
    assert wrong == expected, run.stdout
