"""An event loop whose time jumps to whatever happens next: hours of waiting are tested in milliseconds."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class _JumpingSelector(selectors.SelectSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits and nothing will ever happen"
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Sleeps take no time; `time` says when they would have ended."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, _executor: Any, func: Callable[..., _T], *args: Any) -> "asyncio.Future[_T]":  # type: ignore[override]  # done at once, without a thread
        """Do at once what is for a thread: a thread's time is real, and nobody here would wait for it."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told to who waits
            done.set_exception(error)
        return done


def run_virtually(main: Callable[[], Awaitable[_T]]) -> _T:
    """Run a coroutine function on a loop of its own, in virtual time."""

    async def run() -> Any:
        return await main()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        answer: _T = runner.run(run())
        return answer


def now() -> float:
    """Tell the running loop's time."""
    return asyncio.get_running_loop().time()
