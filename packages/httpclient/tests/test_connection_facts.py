"""What `-v` tells about connections."""

from __future__ import annotations

from typing import Any

import pytest

from httpclient import (
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionReuseconnParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
)
from httpclient._connection_facts import ConnectionFacts, _name_of, redacted
from httpclient._tracing import Traces


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "[redacted]"),
        ("proxy-authorization", "[redacted]"),
        ("COOKIE", "[redacted]"),
        ("Set-Cookie", "[redacted]"),
        ("Accept", "x"),
    ],
)
def test_credentials_are_not_told(name: str, value: str) -> None:
    assert redacted(name, "x") == value


async def test_steps_of_a_connection_are_told_apart() -> None:
    now = [0.0]
    lines: list[str] = []
    facts = ConnectionFacts(lines.append, lambda: now[0])
    session: Any = None
    traces = Traces.start(session, [facts.trace_config()])
    for step, (name, params) in enumerate(
        [
            ("on_connection_create_start", TraceConnectionCreateStartParams()),
            ("on_dns_resolvehost_start", TraceDnsResolveHostStartParams("a\x1b.test")),
            ("on_dns_resolvehost_end", TraceDnsResolveHostEndParams("a\x1b.test")),
            ("on_connection_create_end", TraceConnectionCreateEndParams()),
            ("on_connection_reuseconn", TraceConnectionReuseconnParams()),
            ("on_connection_create_start", TraceConnectionCreateStartParams()),
            ("on_connection_create_end", TraceConnectionCreateEndParams()),
        ]
    ):
        now[0] = step * 0.01
        await traces.send(name, params)  # type: ignore[arg-type]
    facts.end(5)
    assert lines == [
        "* DNS: a\\x1b.test looked up in 10.0 ms",
        "* connected in 20.0 ms, 30.0 ms with DNS and TLS",
        "* connection used again",
        "* connected in 10.0 ms",
        "* 5 bytes of body, 60.0 ms in all",
    ]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        (((("organizationName", "Org"),), (("commonName", "a.test"),)), "a.test"),
        (((("organizationName", "Org"),), (("countryName", "X"),)), "Org, X"),
        ((), "nameless"),
    ],
)
def test_certificates_have_names(subject: Any, name: str) -> None:
    assert _name_of(subject) == name
