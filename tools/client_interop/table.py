"""Running cases on event loops, and the table of what came of them."""

import gc
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from httpclient import ClientSession, ClientTimeout

from .servers import Servers

#: Its docstring is its name; the session is one of its own.
Case: TypeAlias = Callable[[Servers, ClientSession], Awaitable[None]]

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio", "backend_options": {"use_uvloop": False}},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}
# Bounds on one case.
_SECONDS = 90.0
_TIMEOUT = ClientTimeout(total=60, sock_connect=5)


def name_of(case: Case) -> str:
    """Return what a case is called in the table."""
    return (case.__doc__ or "").splitlines()[0]


def run(case: Case, servers: Servers, backend: str) -> str | None:
    """Run a case on an event loop.

    Returns:
        What went wrong, or was left open; None for nothing.
    """

    async def bounded() -> None:
        with anyio.fail_after(_SECONDS):
            async with ClientSession(timeout=_TIMEOUT) as session:
                await case(servers, session)

    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        try:
            anyio.run(bounded, **BACKENDS[backend])
        except Exception as exc:
            return _describe(exc)
        gc.collect()
    return "; ".join(str(warning.message) for warning in left) or None


def _describe(exc: Exception) -> str:
    """Return what an error says, and where in the cases it comes from."""
    while isinstance(exc, ExceptionGroup):
        exc = exc.exceptions[0]
    here = Path(__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if Path(frame.filename).parent == here and frame.filename != __file__
    ]
    place = f", line {frames[-1].lineno} of {Path(frames[-1].filename).name}" if frames else ""
    return f"{exc!r:.500}{place}"


def run_all(cases: Iterable[Case], servers: Servers, backends: list[str]) -> int:
    """Run cases and print a row for each; returns how many failed, on some event loop."""
    cases = list(cases)
    width = max(len(name_of(case)) for case in cases)
    print(f"{'':{width}}  {'  '.join(f'{backend:7}' for backend in backends)}")
    failed = 0
    for case in cases:
        results = {backend: run(case, servers, backend) for backend in backends}
        cells = ("ok" if fault is None else "FAILED" for fault in results.values())
        print(f"{name_of(case):{width}}  {'  '.join(f'{cell:7}' for cell in cells)}", flush=True)
        for backend, fault in results.items():
            if fault is not None:
                print(f"  {backend}: {fault}", flush=True)
        failed += any(results.values())
    print(f"{len(cases) - failed} of {len(cases)} cases are ok on {', '.join(backends)}")
    return failed
