"""A file that a command writes: it takes its place whole or not at all, and it is found out early that it cannot."""

import os
import secrets
from pathlib import Path

from producer.cli.answer import clean


class FileUnwritable(Exception):
    """The file cannot be written; its text says why."""


class WholeFile:
    """
    A file that is to be written.

    Parameters:
        name: The file's; one that is there is replaced.
        what: What it is called where it cannot be written.
    """

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what
        try:
            # What a link points to is replaced, and the link stays.
            self._path = Path(name).resolve()
            _check_place(self._path)
            self._part = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.part")
            self._make_part()
            # Whoever is killed before there is anything to write leaves nothing behind.
            self._part.unlink()
        except (OSError, ValueError, RuntimeError) as error:
            raise self._explain(error) from error

    def write(self, text: str) -> None:
        """Write it, in the place of what was there; FileUnwritable says why that failed."""
        try:
            self._make_part()
            with self._part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._part.replace(self._path)
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Leave nothing behind but what was written whole."""
        self._part.unlink(missing_ok=True)

    def _make_part(self) -> None:
        self._part.open("x").close()
        if self._path.exists():
            # Whoever may not read what was there may not read what takes its place.
            self._part.chmod(self._path.stat().st_mode & 0o777)

    def _explain(self, error: Exception) -> FileUnwritable:
        reason = getattr(error, "strerror", None) or str(error)
        return FileUnwritable(f"{self._what} {clean(self._name)!r} cannot be written: {reason}")


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(None, "it is a directory")
    if path.exists() and not path.is_file():
        # Of a device or a pipe nothing may take the place.
        raise OSError(None, "it is no ordinary file")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(None, "it is there and may not be written")
