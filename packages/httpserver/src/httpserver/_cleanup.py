"""What an application has while it runs: contexts, entered at its start and left at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from ._signals import FrozenList

if TYPE_CHECKING:
    from ._application import Application

#: What `Application.cleanup_ctx` holds: an asynchronous generator function with one yield, or
#: whatever else makes an asynchronous context manager of an application.
CleanupContextFunction: TypeAlias = (
    "Callable[[Application], AsyncIterator[None] | AbstractAsyncContextManager[Any]]"
)


class CleanupError(RuntimeError):
    """Several cleanup contexts failed to end.

    Attributes:
        exceptions: What each of them raised, in that order; also the second argument.
    """

    @property
    def exceptions(self) -> list[BaseException]:
        """What each of the contexts raised, in that order."""
        exceptions: list[BaseException] = self.args[1]
        return exceptions


class CleanupContext(FrozenList[CleanupContextFunction]):
    """The cleanup contexts of one application, in the order in which they are entered."""

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        super().__init__()
        self._entered: list[AbstractAsyncContextManager[Any]] = []

    async def enter(self, app: Application) -> None:
        """Enter all contexts.

        The first exception ends that, and is raised; those entered by then stay so.

        Raises:
            TypeError: A function returned neither a generator nor a context manager.
        """
        for function in self:
            context = _as_context_manager(function(app))
            await context.__aenter__()
            self._entered.append(context)

    async def exit(self) -> None:
        """Leave the contexts that were entered: see `exit_contexts`."""
        await exit_contexts([self])


async def exit_contexts(groups: Iterable[CleanupContext]) -> None:
    """Leave the contexts that were entered, each group's last one first.

    All of them are told, whatever happens; being cancelled ends none of that.

    Raises:
        CleanupError: Several failed.
        Exception: What one raised.
    """
    exceptions: list[BaseException] = []
    for group in groups:
        while group._entered:
            try:
                await group._entered.pop().__aexit__(None, None, None)
            except BaseException as exc:
                exceptions.append(exc)
    for exception in exceptions:
        if not isinstance(exception, Exception):
            raise exception  # cancellation, KeyboardInterrupt
    if len(exceptions) == 1:
        raise exceptions[0]
    if exceptions:
        raise CleanupError("several cleanup contexts failed", exceptions)


def _as_context_manager(made: object) -> AbstractAsyncContextManager[Any]:
    if isinstance(made, AbstractAsyncContextManager):
        return made
    if isinstance(made, AsyncGenerator):
        return asynccontextmanager(lambda: made)()
    raise TypeError(
        "a cleanup context is an asynchronous generator or an asynchronous context manager, "
        f"got {made!r}"
    )
