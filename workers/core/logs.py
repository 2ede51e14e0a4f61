"""Logs: constant event names, values as keys, one canonical line a message; JSON unless a person watches."""

import logging
import sys

import structlog


def configure_logs(*, quiet: bool = False, only_errors: bool = False) -> None:
    """
    Send every log line to standard error, as JSON unless that is a terminal.

    Parameters:
        quiet: Leave out what is below a warning.
        only_errors: Leave out warnings too, where the answer itself says what they would.
    """
    level = logging.ERROR if only_errors else logging.WARNING if quiet else logging.INFO
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Both without the frames' variables: credentials and external ids are among them.
    drawn = structlog.dev.RichTracebackFormatter(show_locals=False)
    told = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=drawn) if terminal else structlog.processors.JSONRenderer()
    )
    exceptions: list[structlog.typing.Processor] = [] if terminal else [structlog.processors.ExceptionRenderer(told)]
    structlog.configure(
        processors=[*shared, *exceptions, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # What libraries say comes through the same door; dramatiq's own lines repeat ours.
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        processor=renderer, foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, *exceptions]
    )
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
