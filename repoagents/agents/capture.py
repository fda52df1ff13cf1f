"""Output of a process, bounded in every direction: by line and in all."""

LINE_BYTES = 16 * 1024 * 1024
"""The longest line that is kept whole; the rest of a longer one is dropped."""


class Lines:
    """Cuts a byte stream into lines; undecodable bytes are replaced, never an error."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that this chunk completes, without their newline."""
        first, *others = chunk.split(b"\n")
        self._extend(first)
        lines = []
        for piece in others:
            lines.append(self._take())
            self._extend(piece)
        return lines

    def rest(self) -> list[str]:
        """What came after the last newline, at the end of the stream."""
        return [self._take()] if self._pending else []

    def _extend(self, piece: bytes) -> None:
        self._pending += piece[: LINE_BYTES - len(self._pending)]

    def _take(self) -> str:
        line = self._pending.decode("utf-8", "replace")
        self._pending.clear()
        return line


class Capture:
    """The first `head` and the last `tail` bytes of a stream of any length."""

    def __init__(self, head: int, tail: int) -> None:
        self._head_size = head
        self._tail_size = tail
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        room = self._head_size - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        # Cutting only at twice the size keeps the copying linear in the length of the stream.
        if len(self._tail) > 2 * self._tail_size:
            self._trim()

    def text(self) -> str:
        """What was kept, with a line in place of what was not."""
        self._trim()
        notice = f"\n[{self._dropped} bytes left out]\n".encode() if self._dropped else b""
        return (self._head + notice + self._tail).decode("utf-8", "replace")

    def _trim(self) -> None:
        excess = max(0, len(self._tail) - self._tail_size)
        self._dropped += excess
        del self._tail[:excess]
