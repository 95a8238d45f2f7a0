from __future__ import annotations

import warnings
from collections.abc import Callable
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from httpcore_proto import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition_filename,
    content_disposition_header,
    form_data_disposition,
    parse_content_disposition,
)

MALFORMED: tuple[str | None, dict[str, str]] = (None, {})

#: Text without controls and surrogates.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


def parsed_quietly(header: str) -> tuple[str | None, dict[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parse_content_disposition(header)


# Reading.


@pytest.mark.parametrize("header", [None, ""])
def test_no_field(header: str | None) -> None:
    assert parse_content_disposition(header) == MALFORMED


@pytest.mark.parametrize(
    ("header", "params"),
    [
        ("ATTachment", {}),
        (" \tattachment\t ", {}),
        ("attachment;", {}),
        ("attachment ; ;;\t; ", {}),
        ("attachment;filename=a", {"filename": "a"}),
        ('attachment; FileName = "a b;c" ; x=y ;', {"filename": "a b;c", "x": "y"}),
        ("attachment; filename='a'", {"filename": "'a'"}),
        ('attachment; filename=""', {"filename": ""}),
        ('attachment; filename="a\\"b\\\\c"', {"filename": 'a"b\\c'}),
        ('attachment; filename="C:\\dir\\a.txt"', {"filename": "C:\\dir\\a.txt"}),
        ('attachment; filename="ä€\U0001f600\udcff\t"', {"filename": "ä€\U0001f600\udcff\t"}),
        # What a form in a browser escapes may as well be the name (RFC 7578 section 4.2).
        ('attachment; filename="%22%0D%0a%41"', {"filename": "%22%0D%0a%41"}),
        ("attachment; filename=%41", {"filename": "%41"}),
        ("attachment; x=a; filename=b; name=c", {"x": "a", "filename": "b", "name": "c"}),
    ],
)
def test_plain_parameters(header: str, params: dict[str, str]) -> None:
    assert parse_content_disposition(header) == ("attachment", params)


@pytest.mark.parametrize(
    ("sent", "filename"),
    [
        ("/etc/passwd", "etc/passwd"),
        ("\\\\\\\\server\\share", "server\\share"),
        ("\\/a", "a"),
        ("../a", "../a"),
        ("a/", "a/"),
    ],
)
def test_slashes_before_a_quoted_filename_are_taken_off(sent: str, filename: str) -> None:
    header = f'attachment; filename="{sent}"; name="{sent}"'
    params = parse_content_disposition(header)[1]
    assert params["filename"] == filename
    assert params["name"][0] == sent[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("UTF-8''na%C3%AFve%20a", "naïve a"),
        ("utf-8'en'a", "a"),
        ("iso-8859-1''%e4", "ä"),
        ("UTF-8''a(1).txt", "a(1).txt"),
        # As data: what a path is made of is for others to decide (FS-07).
        ("UTF-8''%2Fetc%2Fpasswd", "/etc/passwd"),
    ],
)
def test_extended_value_is_decoded(value: str, text: str) -> None:
    header = f"attachment; filename*={value} ; filename=x"
    assert parse_content_disposition(header)[1] == {"filename*": text, "filename": "x"}


@pytest.mark.parametrize(
    "parameter",
    [
        "a*=b",
        "a*=UTF-8''%e4",
        "a*=UTF-8''%zz",
        "a*=UTF-8''b c",
        "a*=koi8-r''%c1",
        "a*=\"UTF-8''b\"",
        "a*=",
        "a**=UTF-8''b",
        "a*0**=b",
        "a*00=b",
        "a*100=b",
        "a*x=b",
        "*=b",
        "a@=b",
        "ä=b",
        "\u212a=b",
        "a*0=b c",
        "a*0*=b c",
        'a*0*="b"',
    ],
)
def test_parameter_that_is_wrong_alone_is_left_out(parameter: str) -> None:
    with pytest.warns(BadContentDispositionParam) as caught:
        result = parse_content_disposition(f"attachment; x=1; {parameter}; filename=y")
    assert result == ("attachment", {"x": "1", "filename": "y"})
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "header",
    [
        " ",
        ";",
        "; filename=a",
        "filename=a",
        '"attachment"',
        "attachment x",
        "attachment, inline",
        "attachment\x0b",
        "\u212a",
        "attachment; filename",
        "attachment; =a",
        "attachment; filename=",
        "attachment; filename=;x=y",
        "attachment; filename=a b.html",
        "attachment; filename=a,b",
        "attachment; filename=/a",
        "attachment; filename=[a]",
        "attachment; filename=ä",
        'attachment; filename="a',
        'attachment; filename="',
        'attachment; filename="a\\"',
        'attachment; filename="a".txt',
        'attachment; filename="a" b',
        'attachment; filename=a"b"',
        'attachment; filename="a\0b"',
        'attachment; filename="a\nb"',
        'attachment; filename="a\\\rb"',
        "attachment; filename=a\nb",
        "attachment; file name=a",
        "attachment; filename=a; filename=b",
        "attachment; filename=a; FILENAME=b",
        "attachment; a*=UTF-8''b; a*=UTF-8''c",
        "attachment; a*0=b; a*0*=c",
        # Browsers send a name with a backslash at its end like this.
        'form-data; name="a\\"; filename="b"',
    ],
)
def test_malformed_field_is_taken_as_absent(header: str) -> None:
    with pytest.warns(BadContentDispositionHeader) as caught:
        assert parse_content_disposition(header) == MALFORMED
    assert [warning.filename for warning in caught] == [__file__]


def test_parameter_that_was_left_out_cannot_come_again() -> None:
    with pytest.warns() as caught:
        assert parse_content_disposition("a; b*=x; b*=UTF-8''y") == MALFORMED
    assert [warning.category for warning in caught] == [
        BadContentDispositionParam,
        BadContentDispositionHeader,
    ]


def test_number_of_parameters_is_bounded() -> None:
    header = "a" + "".join(f"; x{number}=" + '"y"' for number in range(64))
    assert len(parse_content_disposition(f"{header};;;")[1]) == 64
    with pytest.warns(BadContentDispositionHeader, match="more than 64 parameters"):
        assert parse_content_disposition(f"{header}; z=y") == MALFORMED


def test_names_that_are_left_out_count() -> None:
    """Each costs a warning, so a long field of them would have been one long log."""
    with pytest.warns() as caught:
        assert parse_content_disposition("a" + "; b@=c" * 10_000) == MALFORMED
    assert len(caught) == 65


def test_warning_never_has_text_of_the_peer() -> None:
    """Python keeps every different text: the peer could have filled the memory."""
    texts = set()
    for number in range(10):
        with pytest.warns() as caught:
            parse_content_disposition(f"a; s{number}@=x; s{number}*=y; s{number}")
        texts |= {str(warning.message) for warning in caught}
    assert len(texts) == 2


@pytest.mark.parametrize("start", ["", "a", "a;", 'a; b="', "a; b*=UTF-8''", "a; b=", "a; b*0*="])
@pytest.mark.parametrize(
    "piece",
    ['"', "\\", ";", ",", " ", "=", "*", "%", "'", '\\"', "; a=b", "a=;", "a*=x;", ';a="', "ä"],
)
def test_long_input_takes_linear_time(start: str, piece: str) -> None:
    """DO-17: as text of 1 MB this would hang if anything was looked at twice."""
    _, params = parsed_quietly(start + piece * (2**20 // len(piece)))
    assert len(params) <= 64


@given(st.text(max_size=60) | st.text("a=*;\"\\ \t01'%,\n", max_size=60))
def test_any_text_gives_a_result(text: str) -> None:
    for header in (text, f"a;{text}"):
        kind, params = parsed_quietly(header)
        assert (kind is None) <= (not params)
        for name in params:
            assert name == name.lower()
            content_disposition_filename(params, name.partition("*")[0])


# The best form of a parameter.


@pytest.mark.parametrize(
    ("params", "filename"),
    [
        ({}, None),
        ({"name": "a"}, None),
        ({"filename": ""}, ""),
        ({"filename*": "a", "filename": "b", "filename*0": "c"}, "a"),
        ({"filename": "b", "filename*0": "c"}, "b"),
        ({"filename*0": "a"}, "a"),
        ({"filename*1": "b", "filename*0": "a", "filename*2": "c"}, "abc"),
        ({"filename*0": "a", "filename*2": "c"}, "a"),
        ({"filename*1": "b"}, None),
        (
            {f"filename*{number}": f"{number}," for number in range(12)},
            "0,1,2,3,4,5,6,7,8,9,10,11,",
        ),
        (
            {"filename*0*": "UTF-8''a%20", "filename*1": "b%20 'ä", "filename*2*": "%41"},
            "a b%20 'äA",
        ),
        # A character may be divided between two sections.
        ({"filename*0*": "utf-8'de'%C3", "filename*1*": "%A4"}, "ä"),
        ({"filename*0*": "ISO-8859-1''%e4", "filename*1": "ö"}, "äö"),
        ({"filename*0*": "ISO-8859-1''%e4", "filename*1": "€"}, None),
        ({"filename*0*": "UTF-8''%C3", "filename*1": "a"}, None),
        ({"filename*0*": "UTF-8''a", "filename*1": "\udcff"}, None),
        ({"filename*0*": "idna''a", "filename*1": "ä"}, None),
        ({"filename*0*": "a"}, None),
        # Without charset there is nothing to decode with.
        ({"filename*0": "UTF-8''%41"}, "UTF-8''%41"),
        ({"filename*0": "a", "filename*1*": "%41"}, "a"),
    ],
)
def test_filename(params: dict[str, str], filename: str | None) -> None:
    assert content_disposition_filename(params) == filename


def test_filename_of_another_name() -> None:
    params = {"name*0": "a", "name*1": "b", "filename": "c"}
    assert content_disposition_filename(params, "name") == "ab"


def test_sections_are_kept_until_they_are_joined() -> None:
    header = "attachment; filename*1*=%A4; FileName*0*=UTF-8''%C3; filename*2=\"/b c\""
    params = parse_content_disposition(header)[1]
    assert params == {"filename*0*": "UTF-8''%C3", "filename*1*": "%A4", "filename*2": "/b c"}
    assert content_disposition_filename(params) == "ä/b c"


# Writing.


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (None, "attachment"),
        ({}, "attachment"),
        ({"filename": "a-b_c.txt~"}, 'attachment; filename="a-b_c.txt~"'),
        (
            {"filename": "ä b/\"\\'%\r\n\t"},
            'attachment; filename="%C3%A4%20b%2F%22%5C%27%25%0D%0A%09"',
        ),
        ({"FileName": "a b"}, 'attachment; FileName="a%20b"'),
        ({"filename": ""}, 'attachment; filename=""'),
        ({"name": ' a"\\;%'}, 'attachment; name=" a\\"\\\\;%"'),
        ({"name": "ä b"}, "attachment; name*=utf-8''%C3%A4%20b"),
        ({"name": "\r\n\x7f\x1f"}, "attachment; name*=utf-8''%0D%0A%7F%1F"),
        ({"name": "a", "filename": "b"}, 'attachment; name="a"; filename="b"'),
        (
            {"filename": "x", "filename*": "ä"},
            "attachment; filename=\"x\"; filename*=utf-8''%C3%A4",
        ),
    ],
)
def test_quoted_fields(params: dict[str, str] | None, expected: str) -> None:
    assert content_disposition_header("attachment", params=params) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"filename": 'ä "\\%/'}, 'form-data; filename="ä \\"\\\\%/"'),
        ({"name": "", "filename*": "ä"}, "form-data; name=\"\"; filename*=utf-8''%C3%A4"),
    ],
)
def test_raw_fields(params: dict[str, str], expected: str) -> None:
    assert content_disposition_header("form-data", quote_fields=False, params=params) == expected


def test_charset() -> None:
    params = {"filename": "ä", "name": "ö"}
    written = content_disposition_header("a", _charset="iso-8859-1", params=params)
    assert written == "a; filename=\"%E4\"; name*=iso-8859-1''%F6"


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("", {}, "disposition type '' is not a token"),
        ("a b", {}, "disposition type"),
        ("a\r\nX: y", {}, "disposition type"),
        ("ä", {}, "disposition type"),
        ("a", {"params": {"": "b"}}, "parameter name '' is not a token"),
        ("a", {"params": {"*": "b"}}, "parameter name"),
        ("a", {"params": {"a b": "b"}}, "parameter name"),
        ("a", {"params": {"a*0": "b"}}, "parameter name"),
        ("a", {"params": {"a**": "b"}}, "parameter name"),
        ("a", {"params": {"a\n": "b"}}, "parameter name"),
        ("a", {"params": {"a": "b", "A": "c"}}, "parameter 'A' is there twice"),
        ("a", {"params": {"a*": "b", "A": "ä"}}, r"parameter 'A\*' is there twice"),
        ("a", {"_charset": "utf-8\r\n"}, "charset"),
        ("a", {"_charset": "utf 8"}, "charset"),
        ("a", {"_charset": ""}, "charset"),
        ("a", {"_charset": "x'y"}, "charset"),
        ("a", {"_charset": "nope", "params": {"filename": "b"}}, "charset 'nope' is unknown"),
        ("a", {"_charset": "ascii", "params": {"filename": "ä"}}, "can't encode"),
        ("a", {"params": {"filename": "\ud800"}}, "surrogates not allowed"),
    ],
)
def test_what_cannot_be_written(kind: str, more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        content_disposition_header(kind, **more)  # type: ignore[arg-type]  # pass through


@pytest.mark.parametrize("control", [chr(code) for code in (*range(32), 127)])
def test_control_characters_are_encoded_or_refused(control: str) -> None:
    """IN-07: a line end in a name was a part header of the attacker's choice."""
    for name in ("filename", "name"):
        params = {name: f"a{control}b"}
        with pytest.raises(ValueError, match="control character"):
            content_disposition_header("a", quote_fields=False, params=params)
        if control == "\0":
            with pytest.raises(ValueError, match="control character"):
                content_disposition_header("a", params=params)
        else:
            assert f"a%{ord(control):02X}b" in content_disposition_header("a", params=params)


@pytest.mark.parametrize(
    ("name", "filename", "expected"),
    [
        ("a", None, 'form-data; name="a"'),
        ("", "", 'form-data; name=""; filename=""'),
        ("ä\"\\'%22 b", None, 'form-data; name="ä%22\\\'%22 b"'),
        ("\r\n\n\r", "\r\n\n\r", 'form-data; name="%0D%0A%0D%0A%0D%0A"; filename="%0D%0A%0A%0D"'),
        ("a", 'C:\\b"', 'form-data; name="a"; filename="C:\\b%22"'),
    ],
)
def test_form_as_of_a_browser(name: str, filename: str | None, expected: str) -> None:
    assert form_data_disposition(name, filename) == expected


@pytest.mark.parametrize("text", ["a\0", "\t", "\x1b", "\x7f", "a\\", "a\\\\"])
def test_form_refuses_what_breaks_out(text: str) -> None:
    """IN-07: to a reader of quoted-strings a last backslash takes the closing quote along."""
    for more in ((text,), ("a", text)):
        with pytest.raises(ValueError, match=r"control character|backslash at the end"):
            form_data_disposition(*more)


def test_values_in_messages_are_cut() -> None:
    calls: list[Callable[[], str]] = [
        lambda: content_disposition_header(" " * 10_000),
        lambda: content_disposition_header("a", params={" " * 10_000: "b"}),
        lambda: content_disposition_header("a", params={"b": "\0" * 10_000}),
        lambda: form_data_disposition("\0" * 10_000),
        lambda: form_data_disposition("\\" * 10_000),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"(?s)^.{1,499}\Z"):
            call()


# There and back.


@given(st.dictionaries(st.sampled_from(["name", "x", "y*"]), texts))
def test_round_trip_of_quoted_fields(params: dict[str, str]) -> None:
    """`filename` does not come back: nobody decodes it (API 2.4)."""
    kind, back = parse_content_disposition(content_disposition_header("A", params=params))
    assert kind == "a"
    names = {name.removesuffix("*") for name in params}
    assert {name: content_disposition_filename(back, name) for name in names} == {
        name.removesuffix("*"): value for name, value in params.items()
    }


@given(st.dictionaries(st.sampled_from(["name", "x", "filename"]), texts))
def test_round_trip_of_raw_fields(params: dict[str, str]) -> None:
    written = content_disposition_header("a", quote_fields=False, params=params)
    if "filename" in params:
        params["filename"] = params["filename"].lstrip("\\/")
    assert parse_content_disposition(written) == ("a", params)


@given(texts.filter(lambda text: "\\" not in text), texts.filter(lambda text: "\\" not in text))
def test_round_trip_of_forms(name: str, filename: str) -> None:
    kind, params = parse_content_disposition(form_data_disposition(name, filename))
    assert kind == "form-data"
    assert params == {
        "name": name.replace('"', "%22"),
        "filename": filename.replace('"', "%22").lstrip("/"),
    }


# Others' opinions. Per field: ours, that of werkzeug, that of the standard library's email
# package, and what decides where they differ.


def email_filename(header: str) -> str | None:
    message = Message()
    message["Content-Disposition"] = header
    return message.get_filename()


@pytest.mark.parametrize(
    "header",
    [
        'attachment; filename="a.txt"',
        "attachment; filename=a.txt",
        'Attachment; FILENAME="a b.txt"',
        'attachment; filename="a\\"b"',
        "attachment; filename*=UTF-8''na%C3%AFve.txt",
        'attachment; filename*0="a"; filename*1="b.txt"',
    ],
)
def test_others_agree(header: str) -> None:
    kind, params = parse_content_disposition(header)
    ours = content_disposition_filename(params)
    theirs_kind, theirs = parse_options_header(header)
    assert (kind, ours) == (theirs_kind.lower(), theirs["filename"])
    assert ours == email_filename(header)


@pytest.mark.parametrize(
    ("header", "ours", "werkzeug", "email", "rule"),
    [
        ("a; filename=a b", None, "a", "a b", "RFC 6266 4.1: a value is token or quoted-string"),
        (
            'a; filename="C:\\d\\f"',
            "C:\\d\\f",
            "C:df",
            "C:\\d\\f",
            "RFC 7578 4.2: as browsers send it",
        ),
        ('a; filename="/a"', "a", "/a", "/a", "RFC 6266 4.3: no absolute paths"),
        ('a; filename="a', None, None, '"a', "RFC 9110 5.6.4: a quoted-string ends with a quote"),
        ('a; filename="a"b', None, "a", '"a"b', "RFC 6266 4.1: nothing behind a value"),
        (
            "a; filename*0*=UTF-8''%C3; filename*1*=%AF",
            "\xef",
            "\ufffd\ufffd",
            "\xef",
            "RFC 2231 4.1: sections are joined first",
        ),
        ("a; filename=a; filename=b", None, "b", "a", "RFC 6266 4.1: no parameter twice"),
        ("a; filename=a; filename*=UTF-8''b", "b", "b", "a", "RFC 6266 4.3: filename* first"),
        (
            "a; filename*=koi8-r''%c1",
            None,
            "%c1",
            "\u0430",
            "RFC 5987 3.2.1: UTF-8 and ISO-8859-1 alone",
        ),
        (
            "a; filename*=UTF-8''%e4",
            None,
            "\ufffd",
            "\ufffd",
            "RFC 8187 3.2.1: bytes of the charset",
        ),
    ],
)
def test_others_differ(
    header: str, ours: str | None, werkzeug: str | None, email: str | None, rule: str
) -> None:
    assert content_disposition_filename(parsed_quietly(header)[1]) == ours, rule
    assert parse_options_header(header)[1].get("filename") == werkzeug
    assert email_filename(header) == email
