"""Our marked block inside a file that belongs to somebody else; nothing outside it is touched."""

from repoagents.errors import ConfigError

BEGIN = "<!-- repoagents:begin -->"
END = "<!-- repoagents:end -->"


def find_block(text: str, path: str) -> str | None:
    """The block's text with `\\n` line endings, or None when the file has none.

    Raises `ConfigError` when the marks are doubled or one of the two is missing.
    """
    span = _span(text, path)
    if span is None:
        return None
    inner = text[span[0] : span[1]].replace("\r\n", "\n")
    return inner.removeprefix(BEGIN + "\n").removesuffix(END)


def splice_block(text: str, block: str, path: str) -> str:
    """The file with the block replaced, or added at its end; the file's line endings are kept."""
    ending = "\r\n" if "\r\n" in text else "\n"
    ours = f"{BEGIN}\n{block}{END}".replace("\n", ending)
    span = _span(text, path)
    if span is not None:
        return text[: span[0]] + ours + text[span[1] :]
    if not text:
        return ours + ending
    gap = ending if text.endswith(("\n", "\r")) else ending * 2
    return f"{text}{gap}{ours}{ending}"


def _span(text: str, path: str) -> tuple[int, int] | None:
    counts = text.count(BEGIN), text.count(END)
    if counts == (0, 0):
        return None
    start, end = text.find(BEGIN), text.find(END)
    if counts != (1, 1) or end < start:
        raise ConfigError(
            f"{path}: expected `{BEGIN}` once and `{END}` once after it",
            next_step=f"Fix or remove these marks in {path}, then run the command again.",
        )
    return start, end + len(END)
