"""
Replacing a part of moto by our own, or adding what it lacks, in one place and loudly.

A part that a newer moto has renamed must never be replaced in vain: the mend would be gone without a word.
"""

from collections.abc import Callable
from typing import Any


def add(owner: Any, name: str, made: Callable[..., Any]) -> None:
    """
    Give moto what it lacks, however often this is called; an AttributeError if a newer moto has it.

    Parameters:
        owner: The class.
        name: The attribute.
        made: What it shall be.
    """
    there = getattr(owner, name, made)
    if there is not made:
        raise AttributeError(f"moto has {owner.__name__}.{name} by now: mend that, or leave ours out.")
    setattr(owner, name, made)


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """
    Replace an attribute of moto's once, however often this is called; an AttributeError if it is gone.

    Parameters:
        owner: The class or module.
        name: The attribute.
        make: Takes what was there and makes what shall be there.
    """
    original = getattr(owner, name)
    if getattr(original, "__prelaunch__", False):
        return
    replacement = make(original)
    replacement.__prelaunch__ = True
    setattr(owner, name, replacement)
