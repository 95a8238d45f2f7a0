"""Processes that measure themselves, print one line of JSON and end."""

import json
import subprocess
from collections.abc import Sequence
from typing import Final

from .apps.settings import Settings
from .cpu import pinned
from .environment import child_environ
from .processes import raise_for_exit
from .rounds import MeasurementError
from .run import Run

# A process that hangs must not hang the bench. What is added is for its start, its warm-up and its
# last request.
_GRACE_SECONDS: Final = 60.0


def measured(
    command: Sequence[str], settings: Settings, run: Run, *, core: int | None
) -> dict[str, float]:
    """Run `command` on `core`, one of the run's, and return what it printed.

    Raises:
        NotOfferedError: It said that it cannot do the work.
        MeasurementError: It failed or did not end.
    """
    try:
        result = subprocess.run(
            pinned(command, core),
            env=child_environ(settings.to_environ()),
            cwd=run.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=settings.seconds + _GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        # subprocess.run has killed it.
        raise MeasurementError(f"did not end in {error.timeout:.0f} s") from error
    if result.returncode:
        raise_for_exit(result.returncode, result.stderr)
    figures: dict[str, float] = json.loads(result.stdout)
    return figures
