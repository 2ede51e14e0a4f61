"""Is what a server process needs there? Asked once, before it starts, so that a person reads one clear line."""

import asyncio

from producer.cli.options import NO_CHOICE, AwsChoice
from producer.main import open_services
from workers.core.queue.broker import JobBroker
from workers.core.settings import Settings

TRIES = 2
"""Few: a person waits in front of it, and the process that follows has tries of its own."""


def check_stack(settings: Settings, aws: AwsChoice = NO_CHOICE) -> None:
    """
    Look for the endpoint, the credentials, every table and every queue that is sent to.

    Parameters:
        settings: The installation's.
        aws: The AWS to look in.

    Raises:
        PrelaunchError: Something is missing or does not answer; its message says what to do.
    """
    asyncio.run(_check_services(settings, aws))


def check_worker_stack(settings: Settings, aws: AwsChoice = NO_CHOICE) -> None:
    """
    Look for all that `check_stack` looks for, and for the dead-letter queues: without one no job is consumed.

    Parameters:
        settings: The installation's.
        aws: The AWS to look in, which the environment names already.

    Raises:
        PrelaunchError: Something is missing or does not answer; its message says what to do.
    """
    check_stack(settings, aws)
    broker = JobBroker(stack=settings.stack)
    try:
        broker.check_queues()
    finally:
        broker.close()


async def _check_services(settings: Settings, aws: AwsChoice) -> None:
    opening = open_services(settings, region=aws.region, profile=aws.profile, store_tries=TRIES)
    async with opening as services:
        await services.tables.check()
