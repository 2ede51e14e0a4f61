"""The clock that everything goes by; it is passed down, so that tests bring their own."""

from datetime import UTC, datetime


def read_clock() -> datetime:
    """Tell the present, aware, in UTC."""
    return datetime.now(UTC)
