"""The file of a cassette: what goes in comes out, is readable, and damage is told."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_testing import (
    Cassette,
    CassetteError,
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
)
from httpcore_testing._cassette_file import dump_cassette, load_cassette, write_cassette

texts = st.text(st.characters(), max_size=8)
fields = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
documents = st.builds(
    lambda value, ascii, separators: json.dumps(
        [value], ensure_ascii=ascii, separators=separators
    ).encode("utf-8", "surrogatepass"),
    values,
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,", ":")]),
)
bodies = st.binary(max_size=20) | texts.map(lambda t: t.encode("utf-8", "replace")) | documents
exchanges = st.builds(
    RecordedExchange,
    st.builds(RecordedRequest, texts, texts, fields, bodies),
    st.builds(RecordedResponse, st.integers(200, 999), texts, fields, bodies, fields),
)


def with_body(body: bytes) -> RecordedExchange:
    return RecordedExchange(
        RecordedRequest("GET", "http://a.test/"), RecordedResponse(200, "", (), body)
    )


def dumped_body(body: bytes) -> Any:
    return json.loads(dump_cassette([with_body(body)]))["exchanges"][0]["response"].get("body")


@given(st.lists(exchanges, max_size=2))
def test_what_goes_in_comes_out(recorded: list[RecordedExchange]) -> None:
    data = dump_cassette(recorded)
    assert load_cassette(data) == recorded
    assert dump_cassette(load_cassette(data)) == data
    data.decode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", None),
        (b"text\n", {"text": "text\n"}),
        ("\u00e4\U0001f600".encode(), {"text": "\u00e4\U0001f600"}),
        (b"\xff\x00", {"base64": "/wA="}),
        (b'{"a":[1,"x"]}', {"json": {"a": [1, "x"]}}),
        (b'{"a": [1, "x"]}', {"json": {"a": [1, "x"]}, "style": "spaced"}),
        ('["\u00e4"]'.encode(), {"json": ["\u00e4"]}),
        (b'["\\u00e4"]', {"json": ["\u00e4"], "style": "compact-ascii"}),
        (b'["\\u00e4", 1]', {"json": ["\u00e4", 1], "style": "spaced-ascii"}),
        (b'["\\ud800"]', {"json": ["\ud800"], "style": "compact-ascii"}),
        (b'{"a":1,"a":1}', {"text": '{"a":1,"a":1}'}),
        (b"[1.0,1e400]", {"text": "[1.0,1e400]"}),
        (b"[1.50]", {"text": "[1.50]"}),
        (b"[NaN]", {"text": "[NaN]"}),
        (b"[1]\n", {"text": "[1]\n"}),
        (b"[1", {"text": "[1"}),
        (b"5", {"text": "5"}),
        (b'["\\u0041"]', {"text": '["\\u0041"]'}),
        (b"[" + b"1" * 5000 + b"]", {"text": "[" + "1" * 5000 + "]"}),
    ],
)
def test_forms_of_a_body(body: bytes, expected: Any) -> None:
    assert dumped_body(body) == expected
    assert load_cassette(dump_cassette([with_body(body)])) == [with_body(body)]


@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b"[" * 100_000 + b"]" * 100_000, b"[" * 900 + b"]" * 900, b'["' * 100_000],
)
def test_deep_bodies_are_text(body: bytes) -> None:
    data = dump_cassette([with_body(body)])
    assert load_cassette(data) == [with_body(body)]


def test_it_is_readable() -> None:
    request = RecordedRequest(
        "POST", "http://a.test/x", (("Accept", "*/*"), ("X", 'a "b"')), b"[1]"
    )
    response = RecordedResponse(201, "Created", (), b"hello", (("Sum", "\udcff"),))
    assert dump_cassette([RecordedExchange(request, response)]).decode() == (
        """{
  "httpcore-cassette": 1,
  "exchanges": [
    {
      "request": {
        "method": "POST",
        "url": "http://a.test/x",
        "headers": [
          ["Accept", "*/*"],
          ["X", "a \\"b\\""]
        ],
        "body": {
          "json": [
            1
          ]
        }
      },
      "response": {
        "status": 201,
        "reason": "Created",
        "headers": [],
        "body": {
          "text": "hello"
        },
        "trailers": [
          ["Sum", "\\udcff"]
        ]
      }
    }
  ]
}
"""
    )


def changed(path: str, value: Any) -> bytes:
    """Return a good cassette with one thing in it replaced, or, if that is ..., taken out."""
    exchange = RecordedExchange(
        RecordedRequest("GET", "http://a.test/"),
        RecordedResponse(200, "OK", (("A", "b"),), b"x", (("C", "d"),)),
    )
    document = json.loads(dump_cassette([exchange]))
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    inner = document
    for key in parents:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no JSON at line 1 column 1"),
        (b'{\n "a": }', "no JSON at line 2 column 7"),
        (b"\xff", "no JSON in UTF-8"),
        (b"[" * 200_000, "no JSON"),
        (b"[" + b"1" * 5000 + b"]", "no JSON in UTF-8"),
        (b"[]", "the document: expected an object with 'httpcore-cassette'"),
        (b"{}", "the document: expected an object with 'httpcore-cassette'"),
        (changed("httpcore-cassette", "1"), "httpcore-cassette: expected int, not str"),
        (changed("httpcore-cassette", True), "httpcore-cassette: expected int, not bool"),
        (changed("httpcore-cassette", 2), "its format is 2, and this httpcore-testing knows 1"),
        (changed("exchanges", {}), "exchanges: expected list, not dict"),
        (changed("exchanges/0", []), r"exchanges\[0\]: expected dict, not list"),
        (changed("exchanges/0/request", ...), r"exchanges\[0\]: expected an object with 'request'"),
        (changed("exchanges/0/request/url", ...), r"\[0\].request: expected an object with 'url'"),
        (changed("exchanges/0/request/method", 1), r"\[0\].request.method: expected str, not int"),
        (changed("exchanges/0/response/status", 199), "response.status: expected a status"),
        (changed("exchanges/0/response/status", 1000), "response.status: expected a status"),
        (changed("exchanges/0/response/headers/0", ["A"]), r"headers\[0\]: expected \[name, value"),
        (changed("exchanges/0/response/headers/0/1", 5), r"headers\[0\]: expected \[name, value"),
        (changed("exchanges/0/response/trailers", "x"), "trailers: expected list, not str"),
        (changed("exchanges/0/response/body", "x"), "body: expected dict, not str"),
        (changed("exchanges/0/response/body", {}), "body: expected an object with 'base64'"),
        (changed("exchanges/0/response/body", {"base64": "?"}), "body: expected base64"),
        (changed("exchanges/0/response/body", {"base64": "\xe4"}), "body: expected base64"),
        (changed("exchanges/0/response/body", {"text": 1}), "body.text: expected str, not int"),
        (
            changed("exchanges/0/response/body", {"json": 1, "style": "wide"}),
            "body: expected a style of compact, compact-ascii",
        ),
    ],
)
def test_damage_is_told_with_its_place(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "tape.json"
    path.write_bytes(data)
    with pytest.raises(CassetteError, match=message) as caught:
        Cassette(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "delete" in str(caught.value)


def test_a_json_body_that_cannot_be_written() -> None:
    with pytest.raises(CassetteError, match="body: expected JSON"):
        load_cassette(changed("exchanges/0/response/body", {"json": float("inf")}))


def test_hand_written_bodies() -> None:
    data = changed("exchanges/0/response/body", {"json": {"a": [1, "\u00e4"]}})
    assert load_cassette(data)[0].response.body == '{"a":[1,"\u00e4"]}'.encode()


def test_writing_replaces_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "tape.json"
    write_cassette(path, [with_body(b"1")])
    write_cassette(path, [with_body(b"2")])
    assert load_cassette(path.read_bytes()) == [with_body(b"2")]
    assert [entry.name for entry in path.parent.iterdir()] == ["tape.json"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "tape.json" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=re.escape("tape.json")):
        write_cassette(tmp_path / "tape.json", [with_body(b"1")])
    assert [entry.name for entry in tmp_path.iterdir()] == ["tape.json"]


def test_base64_is_that_of_the_body() -> None:
    body = bytes(range(256)) * 4
    assert base64.b64decode(dumped_body(body)["base64"]) == body
