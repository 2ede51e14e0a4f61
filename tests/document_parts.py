"""Parts of a page that a command writes; whatever stands around them is somebody's text."""


def replace_part(text: str, begin: str, end: str, part: str) -> str:
    """
    Put a part in the place of the one before.

    Parameters:
        text: The whole page, with the marks around the part.
        begin: The mark before the part.
        end: The mark after it.
        part: What it says now.

    Returns:
        The page. Whatever stands outside of the marks is as it was.

    Raises:
        ValueError: The page has no such part.
    """
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no {begin} … {end}")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"
