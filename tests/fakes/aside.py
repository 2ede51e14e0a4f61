"""Work that is done on the loop itself: virtual time goes on while another thread is at work."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class OnTheLoop:
    """Stands in for another thread."""

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work."""
        return await work()

    def close(self) -> None:
        """End nothing: there is nothing beside the loop."""
