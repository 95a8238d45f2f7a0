"""Happy Eyeballs: the order of addresses, and who wins."""

from __future__ import annotations

import socket

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpclient._racing import Race, interleave
from httpclient._sockets import AddrInfoType


def address(name: str) -> AddrInfoType:
    """Return an address: names in capitals are IPv6."""
    family = socket.AF_INET6 if name.isupper() else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, 80))


def name(of: AddrInfoType) -> str:
    """Return the name of such an address."""
    return of[4][0]


@pytest.mark.parametrize(
    ("given_order", "first_count", "order"),
    [
        ("ABcd", 1, "AcBd"),
        ("abCD", 1, "aCbD"),
        ("ABCde", 2, "ABdCe"),
        ("ABCde", 9, "ABCde"),
        ("aB", 1, "aB"),
        ("abc", 1, "abc"),
        ("Abcd", 1, "Abcd"),
        ("aBCD", 1, "aBCD"),
        ("ABCd", 1, "AdBC"),
    ],
)
def test_families_take_turns(given_order: str, first_count: int, order: str) -> None:
    mixed = interleave([address(letter) for letter in given_order], first_count)
    assert "".join(map(name, mixed)) == order


@given(st.text("abcdABCD", min_size=1, max_size=12), st.integers(1, 5))
def test_no_address_is_lost(letters: str, first_count: int) -> None:
    mixed = "".join(map(name, interleave(list(map(address, letters)), first_count)))
    assert sorted(mixed) == sorted(letters)
    for case in (str.isupper, str.islower):
        assert [c for c in mixed if case(c)] == [c for c in letters if case(c)]


class Course:
    """Attempts that end when and how a test says."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.closed: list[str] = []
        self.ends: dict[str, anyio.Event] = {}
        self.failing: set[str] = set()

    async def attempt(self, to: AddrInfoType) -> str:
        who = name(to)
        self.begun.append(who)
        if who in self.failing:
            raise OSError(who)
        try:
            await self.ends.setdefault(who, anyio.Event()).wait()
        except BaseException:
            self.cancelled.append(who)
            raise
        return who

    def race(self, delay: float | None) -> Race[str]:
        return Race(self.attempt, self.closed.append, delay)


async def test_first_to_answer_wins_and_the_rest_is_cancelled() -> None:
    course = Course()
    won: list[str] = []

    async def run() -> None:
        _, result = await course.race(0).run([address(letter) for letter in "aBcD"])
        won.append(result)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        while len(course.begun) < 4:
            await anyio.lowlevel.checkpoint()
        course.ends["B"].set()
    assert won == ["B"]
    assert course.begun == list("aBcD")
    assert sorted(course.cancelled) == ["D", "a", "c"]
    assert course.closed == []


async def test_failure_cuts_the_head_start_short() -> None:
    course = Course()
    course.failing = {"a", "B"}
    course.ends["c"] = anyio.Event()
    course.ends["c"].set()
    race = course.race(3600)
    with anyio.fail_after(5):
        assert await race.run([address(letter) for letter in "aBcd"]) == (address("c"), "c")
    assert course.begun == list("aBc")
    assert list(map(name, race.failed)) == ["a", "B"]


@pytest.mark.parametrize("delay", [0, 3600, None])
@pytest.mark.parametrize("letters", ["a", "aB", "aBcd"])
async def test_last_error_is_raised(delay: float | None, letters: str) -> None:
    course = Course()
    course.failing = set(letters)
    race = course.race(delay)
    with pytest.raises(OSError, match=f"^{letters[-1]}$"):
        await race.run([address(letter) for letter in letters])
    assert list(map(name, race.failed)) == list(letters)


async def test_without_a_delay_one_is_tried_after_the_other() -> None:
    course = Course()
    course.failing = {"a"}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(course.race(None).run, [address(letter) for letter in "aBc"])
        await anyio.wait_all_tasks_blocked()
        assert course.begun == ["a", "B"]
        course.ends["B"].set()


async def test_two_that_answer_at_once_leave_one() -> None:
    course = Course()
    results: list[str] = []

    async def unstoppable(to: AddrInfoType) -> str:
        with anyio.CancelScope(shield=True):
            return await course.attempt(to)

    async def run() -> None:
        race = Race(unstoppable, course.closed.append, 0)
        results.append((await race.run([address("a"), address("B")]))[1])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        while len(course.begun) < 2:
            await anyio.lowlevel.checkpoint()
        course.ends["a"].set()
        course.ends["B"].set()
    assert sorted(results + course.closed) == ["B", "a"]
    assert len(results) == 1


async def test_cancelled_with_a_winner_closes_it() -> None:
    """The race was won, but another attempt held up its end, and who asked gave up."""
    course = Course()
    stuck = anyio.Event()
    kept: list[str] = []

    async def attempt(to: AddrInfoType) -> str:
        if name(to) == "a":
            with anyio.CancelScope(shield=True):
                await stuck.wait()
            raise OSError
        return await course.attempt(to)

    async def run() -> None:
        race = Race(attempt, course.closed.append, 0)
        kept.append((await race.run([address("a"), address("B")]))[1])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        while not course.begun:
            await anyio.lowlevel.checkpoint()
        course.ends["B"].set()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        stuck.set()
    # trio tells of the cancellation at the next checkpoint, when the caller has the result.
    assert kept + course.closed == ["B"]


@pytest.mark.parametrize("delay", [0, None])
async def test_other_exceptions_come_as_they_are(delay: float | None) -> None:
    async def attempt(to: AddrInfoType) -> str:
        raise LookupError(name(to))

    with pytest.raises(LookupError, match="B"):
        await Race(attempt, print, delay).run([address("a"), address("B")])
