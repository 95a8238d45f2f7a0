from __future__ import annotations

import copy
import inspect
import pickle

import pytest

import httpcore_proto
from httpcore_proto import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    ContentEncodingError,
    ContentLengthError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    LocalProtocolError,
    MultipartError,
    PayloadEncodingError,
    ProtocolError,
    RemoteProtocolError,
    TransferEncodingError,
    UnexpectedData,
)

TREE: dict[type[Exception], type[Exception]] = {
    ProtocolError: Exception,
    LocalProtocolError: ProtocolError,
    RemoteProtocolError: ProtocolError,
    BadHttpMessage: RemoteProtocolError,
    LineTooLong: BadHttpMessage,
    InvalidHeader: BadHttpMessage,
    BadStatusLine: BadHttpMessage,
    BadHttpMethod: BadStatusLine,
    InvalidURLError: BadHttpMessage,
    PayloadEncodingError: BadHttpMessage,
    TransferEncodingError: PayloadEncodingError,
    ContentLengthError: PayloadEncodingError,
    ContentEncodingError: PayloadEncodingError,
    MultipartError: PayloadEncodingError,
    UnexpectedData: RemoteProtocolError,
}
REMOTE = [error for error in TREE if issubclass(error, RemoteProtocolError)]


@pytest.mark.parametrize(("error", "base"), TREE.items())
def test_tree(error: type[Exception], base: type[Exception]) -> None:
    assert error.__bases__[0] is base


def test_tree_is_complete() -> None:
    public = vars(httpcore_proto).values()
    assert set(TREE) == {
        item
        for item in public
        if inspect.isclass(item) and issubclass(item, Exception) and not issubclass(item, Warning)
    }


def test_what_we_did_wrong_is_a_value_error() -> None:
    assert issubclass(LocalProtocolError, ValueError)
    assert not issubclass(RemoteProtocolError, ValueError)


def test_multipart_errors_are_value_errors_as_in_aiohttp() -> None:
    assert [error for error in REMOTE if issubclass(error, ValueError)] == [MultipartError]


def test_facts_have_defaults() -> None:
    exc = RemoteProtocolError("no")
    assert exc.message == str(exc) == "no"
    assert (exc.rule, exc.status_hint) == ("protocol", 400)
    assert (exc.offset, exc.limit, exc.value, exc.allowed) == (None, None, None, None)


@pytest.mark.parametrize("error", REMOTE)
def test_facts_survive_pickling_and_copying(error: type[RemoteProtocolError]) -> None:
    exc = error(
        "too long", rule="x", status_hint=431, offset=3, limit="max_line_size", value=9, allowed=8
    )
    exc.add_note("seen in a test")
    for twin in (pickle.loads(pickle.dumps(exc)), copy.copy(exc)):
        assert type(twin) is error
        assert twin.args == ("too long",)
        assert vars(twin) == vars(exc)


def test_local_errors_survive_pickling() -> None:
    twin = pickle.loads(pickle.dumps(LocalProtocolError("no")))
    assert type(twin) is LocalProtocolError
    assert str(twin) == "no"
