"""Is what a server process needs there? Asked once, before it starts, so that a person reads one clear line."""

from producer.main import open_services
from workers.core.settings import Settings


async def check_stack(settings: Settings) -> None:
    """
    Look for the endpoint, the credentials, every table and every queue of the stack.

    Parameters:
        settings: The installation's.

    Raises:
        PrelaunchError: Something is missing or does not answer; its message says what to do.
    """
    async with open_services(settings) as services:
        await services.tables.check()
