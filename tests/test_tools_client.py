"""What tools/client_interop and tools/million_requests decide by themselves."""

import warnings
from dataclasses import replace
from typing import Any

import pytest

import httpclient
from tools.client_interop import __main__ as interop
from tools.client_interop.table import BACKENDS, name_of, run, run_all
from tools.million_requests import Sample, count_sockets, faults

SERVERS: Any = None  # the cases here need none


async def fine(servers: Any, session: httpclient.ClientSession) -> None:
    """all is well"""
    assert not session.closed


async def wrong(servers: Any, session: httpclient.ClientSession) -> None:
    """something is wrong"""
    raise ExceptionGroup("several", [ValueError("expected 1, got 2")])


async def careless(servers: Any, session: httpclient.ClientSession) -> None:
    """something is left open"""
    warnings.warn("unclosed socket", ResourceWarning, stacklevel=1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (fine, None),
        (wrong, "ValueError('expected 1, got 2')"),
        (careless, "unclosed socket"),
    ],
)
def test_fault_of_a_case_is_told(case: Any, fault: str | None, backend: str) -> None:
    assert run(case, SERVERS, backend) == fault


def test_table_has_a_row_for_each_case_and_a_line_for_each_fault(capsys: Any) -> None:
    assert run_all([fine, wrong], SERVERS, ["asyncio", "trio"]) == 1
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["asyncio", "trio"],
        ["all", "is", "well", "ok", "ok"],
        ["something", "is", "wrong", "FAILED", "FAILED"],
        ["asyncio:", "ValueError('expected", "1,", "got", "2')"],
        ["trio:", "ValueError('expected", "1,", "got", "2')"],
        *[["1", "of", "2", "cases", "are", "ok", "on", "asyncio,", "trio"]],
    ]


def test_cases_have_names_of_their_own() -> None:
    names = [name_of(case) for case in interop.CASES]
    assert all(names)
    assert len(set(names)) == len(names)


def test_missing_programs_are_named(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interop, "PROGRAMS", ("nginx-of-nobody", "squid-of-nobody"))
    assert interop.main([]) == 2
    assert capsys.readouterr().err == "not found: nginx-of-nobody, squid-of-nobody\n"


def test_choice_of_no_case_is_refused(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        interop.main(["--only", "gopher"])
    assert ended.value.code == 2
    assert "no case has 'gopher' in its name" in capsys.readouterr().err


BEFORE = Sample(rss=(1000, 1000), sockets=(2, 3), files=(9, 9), tasks=1)
MARK = replace(BEFORE, sockets=(102, 103), tasks=101)


@pytest.mark.parametrize(
    ("last", "after", "made", "expected"),
    [
        (MARK, BEFORE, 100, []),
        (replace(MARK, rss=(1050, 900)), BEFORE, 100, []),
        (
            replace(MARK, rss=(1051, 1100)),
            BEFORE,
            100,
            ["memory of the client grew by 5.1%", "memory of the server grew by 10.0%"],
        ),
        (MARK, BEFORE, 101, ["101 connections were made"]),
        (MARK, replace(BEFORE, tasks=3), 100, ["2 tasks are left"]),
        (
            MARK,
            replace(BEFORE, sockets=(3, 5)),
            100,
            ["the client has 1 sockets left", "the server has 2 sockets left"],
        ),
    ],
)
def test_what_piles_up_is_told(last: Sample, after: Sample, made: int, expected: list[str]) -> None:
    assert list(faults(BEFORE, [MARK, MARK, last], after, made, 100)) == expected


def test_sockets_are_counted() -> None:
    assert count_sockets(["socket:[1]", "/dev/null", "pipe:[2]", "socket:[3]"]) == 2
