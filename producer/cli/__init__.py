"""
The command line: parses, calls one function, renders. No decision about a source server is made here.

    entry       where a command begins and ends
    app         the commands, their help and what stands before them
    group status history dlq    the commands about groups and dead letters, a module a resource
    reapply/    many groups at once
    processes   the commands that run a process in front
    ask         asking the operations in this process, and waiting for a run
    options file    what commands are given
    answer text     how they answer: as one document, or as text
"""

from producer.cli.entry import main

__all__ = ["main"]
