"""The tracker of an upload, by itself; `test_upload.py` has it at work."""

from __future__ import annotations

import anyio
import pytest

from httpclient import UploadAbortedError, UploadTracker


def test_tracker_serves_one_request() -> None:
    tracker = UploadTracker()
    tracker.bind()
    with pytest.raises(RuntimeError, match="one request"):
        tracker.bind()


def test_nothing_is_known_before_the_end() -> None:
    tracker = UploadTracker()
    assert (tracker.bytes_written, tracker.attempts) == (0, 0)
    assert not tracker.upload_complete.done()
    with pytest.raises(RuntimeError, match="not ended"):
        tracker.upload_complete.exception()
    tracker.begin()
    assert repr(tracker) == "<UploadTracker bytes_written=0 attempts=1>"


@pytest.mark.parametrize(
    ("completes", "error", "outcome"),
    [
        (True, None, None),
        (True, OSError("later"), None),
        (False, None, UploadAbortedError),
        (False, OSError("broken"), OSError),
        (False, KeyboardInterrupt(), UploadAbortedError),
    ],
)
async def test_outcome(
    completes: bool, error: BaseException | None, outcome: type[Exception] | None
) -> None:
    tracker = UploadTracker()
    tracker.begin()
    if completes:
        tracker.complete()
    tracker.finish(error)
    tracker.finish(ValueError("too late"))
    assert tracker.upload_complete.done()
    for _ in range(2):
        if outcome is None:
            await tracker.upload_complete
            assert tracker.upload_complete.exception() is None
        else:
            with pytest.raises(outcome):
                await tracker.upload_complete
            assert type(tracker.upload_complete.exception()) is outcome


def test_another_attempt_takes_completion_back() -> None:
    """The first attempt of a redirected upload is complete, the second may not be."""
    tracker = UploadTracker()
    tracker.begin()
    tracker.complete()
    tracker.begin()
    tracker.finish(None)
    assert tracker.attempts == 2
    assert isinstance(tracker.upload_complete.exception(), UploadAbortedError)


async def test_any_number_of_tasks_may_wait() -> None:
    tracker = UploadTracker()
    tracker.begin()
    tracker.complete()
    woken = []

    async def wait(number: int) -> None:
        await tracker.upload_complete
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        tracker.finish(None)
    assert sorted(woken) == [0, 1, 2]
