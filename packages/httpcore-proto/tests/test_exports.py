from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import httpcore_proto

SOURCE = Path(httpcore_proto.__file__)
# Aliases and constants cannot carry a docstring.
PLAIN = {
    "END_OF_MULTIPART",
    "END_OF_PART",
    "FRAME_COMPRESSED",
    "FRAME_LAST",
    "FRAME_STREAM",
    "MAX_COOKIES",
    "MAX_COOKIE_ATTRIBUTES",
    "MAX_COOKIE_ATTRIBUTE_SIZE",
    "MAX_COOKIE_SIZE",
    "MultipartEvent",
    "SameSite",
    "Event",
    "HeadersLike",
    "HttpVersion10",
    "HttpVersion11",
    "LLHTTP_VERSION",
    "MAX_ACCEPT_ITEMS",
    "MAX_RANGES",
    "NEED_DATA",
    "NoEvent",
    "PAUSED",
    "RESPONSES",
    "RawHeaders",
    "SERVER_SOFTWARE",
    "__version__",
}


def test_names_are_sorted_and_unique() -> None:
    names = httpcore_proto.__all__
    assert len(set(names)) == len(names)


def test_what_is_imported_is_exported() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert imported == set(httpcore_proto.__all__)


@pytest.mark.parametrize("name", httpcore_proto.__all__)
def test_name_exists_and_is_documented(name: str) -> None:
    item = getattr(httpcore_proto, name)
    if name in PLAIN:
        assert item
    else:
        assert inspect.getdoc(item)


@pytest.mark.parametrize("name", [name for name in httpcore_proto.__all__ if name not in PLAIN])
def test_name_says_where_it_is_from(name: str) -> None:
    item = getattr(httpcore_proto, name)
    where = item.__name__ if inspect.ismodule(item) else item.__module__
    assert where.split(".")[0] == "httpcore_proto"


@pytest.mark.parametrize("item", [httpcore_proto.ServerConnection, httpcore_proto.ClientConnection])
def test_public_methods_are_documented(item: type) -> None:
    for name in dir(item):
        if not name.startswith("_"):
            member = inspect.getattr_static(item, name)
            # A slot's description stands in the class.
            assert inspect.getdoc(getattr(item, name)) or inspect.ismemberdescriptor(member), name


def test_fields_of_states_are_described() -> None:
    doc = inspect.getdoc(httpcore_proto.ServerConnection.__mro__[2])
    assert doc is not None
    for name in ("our_state", "their_state", "keep_alive"):
        assert f"{name}:" in doc


def test_versions() -> None:
    assert httpcore_proto.__version__.count(".") == 2
    assert httpcore_proto.LLHTTP_VERSION.startswith("9.")
    assert httpcore_proto.__version__ in httpcore_proto.SERVER_SOFTWARE
    assert httpcore_proto.SERVER_SOFTWARE.startswith("Python/3.")
    assert httpcore_proto.HttpVersion10 < httpcore_proto.HttpVersion11
    assert httpcore_proto.RESPONSES[404][0] == "Not Found"
