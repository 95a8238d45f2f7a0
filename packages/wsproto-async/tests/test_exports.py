from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

import pytest

import wsproto_async
from wsproto_async import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSCloseCode,
    WSMessage,
    WSMessageTextBytes,
    WSMessageTypeError,
    WSMsgType,
    WSState,
)

SOURCE = Path(wsproto_async.__file__)
# Aliases and constants cannot carry a docstring.
PLAIN = {
    "DEFAULT_MAX_FRAGMENTS",
    "DEFAULT_MAX_MSG_SIZE",
    "DEFAULT_MAX_QUEUE",
    "DEFAULT_OPEN_TIMEOUT",
    "Handler",
    "Octets",
    "SlowPolicy",
    "WSEvent",
    "WSMessageNoDecodeText",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WS_VERSIONS",
    "__version__",
}


def test_names_are_unique() -> None:
    names = wsproto_async.__all__
    assert len(set(names)) == len(names)


def test_what_is_imported_is_exported() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert imported == set(wsproto_async.__all__)


@pytest.mark.parametrize("name", wsproto_async.__all__)
def test_name_exists_and_is_documented(name: str) -> None:
    item = getattr(wsproto_async, name)
    if name in PLAIN:
        assert item
    else:
        assert inspect.getdoc(item)
        assert item.__module__.split(".")[0] == "wsproto_async"


@pytest.mark.parametrize(
    "kind",
    [item for item in vars(wsproto_async).values() if inspect.isclass(item)],
    ids=lambda kind: kind.__name__,
)
def test_public_methods_are_documented(kind: type) -> None:
    for name, member in vars(kind).items():
        if not name.startswith("_") and not inspect.ismemberdescriptor(member):
            assert inspect.getdoc(member) or not callable(member), name


# The protocol, without a wait in it; the others drive it.
SANS_IO = [
    "_compression",
    "_connection",
    "_deflate",
    "_errors",
    "_frames",
    "_handshake",
    "_messages",
    "_sending",
    "_states",
]


@pytest.mark.parametrize("module", SANS_IO)
def test_protocol_knows_no_input_or_output(module: str) -> None:
    tree = ast.parse(SOURCE.with_name(f"{module}.py").read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
    ours = {name for name in imported if name.startswith(".")}
    assert ours <= {f".{name}" for name in SANS_IO}
    assert {name.partition(".")[0] for name in imported - ours} <= {
        *sys.stdlib_module_names,
        "httpcore_proto",
        "multidict",
    } - {"asyncio", "selectors", "socket", "ssl"}
    assert "httpcore_proto.aio" not in imported


def test_types_of_messages() -> None:
    numbers = {"CONTINUATION": 0, "TEXT": 1, "BINARY": 2, "CLOSE": 8, "PING": 9, "PONG": 10}
    numbers |= {"CLOSING": 0x100, "CLOSED": 0x101, "ERROR": 0x102}
    assert {kind.name: kind.value for kind in WSMsgType} == numbers
    for name in numbers:
        if name != "CONTINUATION":
            assert WSMsgType[name.lower()] is WSMsgType[name]
    assert not hasattr(WSMsgType, "continuation")


def test_close_codes() -> None:
    assert {code.name: code.value for code in WSCloseCode} == {
        "OK": 1000,
        "GOING_AWAY": 1001,
        "PROTOCOL_ERROR": 1002,
        "UNSUPPORTED_DATA": 1003,
        "ABNORMAL_CLOSURE": 1006,
        "INVALID_TEXT": 1007,
        "POLICY_VIOLATION": 1008,
        "MESSAGE_TOO_BIG": 1009,
        "MANDATORY_EXTENSION": 1010,
        "INTERNAL_ERROR": 1011,
        "SERVICE_RESTART": 1012,
        "TRY_AGAIN_LATER": 1013,
        "BAD_GATEWAY": 1014,
    }


def test_messages() -> None:
    assert WS_CLOSED_MESSAGE == (WSMsgType.CLOSED, None, None)
    assert WS_CLOSING_MESSAGE == (WSMsgType.CLOSING, None, None)
    assert WSMessage(WSMsgType.TEXT, "[1]", "").json() == [1]
    assert WSMessage(WSMsgType.TEXT, "1", "").json(loads=lambda text: text * 2) == "11"
    assert WSMessageTextBytes(WSMsgType.TEXT, b"[1]", "").json() == [1]
    assert WSMessageTextBytes(WSMsgType.TEXT, b"1", "").json(loads=len) == 1
    assert issubclass(WSMessageTypeError, TypeError)


def test_states_show_their_name() -> None:
    assert repr(WSState.FRAGMENTED) == "FRAGMENTED"
