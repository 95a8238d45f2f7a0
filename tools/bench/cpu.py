"""CPU time of a process and its descendants, and which core a process may use."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")

# Fields of /proc/PID/stat after the command name, see proc(5): ppid is the fourth, utime the 14th,
# stime the 15th.
_PPID: Final = 4 - 3
_UTIME: Final = 14 - 3
_STIME: Final = 15 - 3


@dataclass(frozen=True, slots=True)
class TreeCpu:
    """User and system time, in seconds, of a process and its descendants at one moment."""

    pids: frozenset[int]
    seconds: float


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        # Ended since it was listed.
        return None
    # The command name is in parentheses and may itself contain blanks and parentheses; nothing
    # after it does.
    return text.rpartition(")")[2].split()


def tree_cpu(root: int) -> TreeCpu:
    """Return the CPU time of `root` and all its living descendants.

    Descendants count because some servers do their work in a worker process. Time of children that
    have ended is not included: compare the `pids` of two readings to see that none has.
    """
    stats = {pid: fields for pid in _all_pids() if (fields := _stat_fields(pid)) is not None}
    tree = {root}
    grown = True
    while grown:
        children = {pid for pid, fields in stats.items() if int(fields[_PPID]) in tree}
        grown = not children <= tree
        tree |= children
    living = tree & stats.keys()
    ticks = sum(int(stats[pid][field]) for pid in living for field in (_UTIME, _STIME))
    return TreeCpu(frozenset(living), ticks * _TICK)


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]


@dataclass(frozen=True, slots=True)
class Cores:
    """Core of the process under test and of what talks to it; None leaves it to the kernel."""

    measured: int | None
    other: int | None


def choose_cores() -> Cores:
    """Return two different cores, or no choice where there is only one or nothing to pin with."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2 or shutil.which("taskset") is None:
        return Cores(None, None)
    return Cores(allowed[0], allowed[1])


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """Return `command` so that it, and every process it starts, runs on `core` only."""
    return list(command) if core is None else ["taskset", "--cpu-list", str(core), *command]
