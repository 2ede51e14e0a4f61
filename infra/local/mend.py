"""
Replacing a part of moto by our own, in one place and loudly.

A part that a newer moto has renamed must never be replaced in vain: the mend would be gone without a word.
"""

from collections.abc import Callable
from typing import Any


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
