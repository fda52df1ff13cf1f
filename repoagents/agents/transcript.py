"""What an agent printed, kept as an artifact: redacted, and bounded."""

import json
from pathlib import Path
from typing import IO, Self

from repoagents.agents.fencing import plain
from repoagents.agents.process import Ended
from repoagents.logs import Redactor

TRANSCRIPT_LIMIT = 20_000_000
"""Characters of a transcript."""


class Transcript:
    """One call's `<label>.transcript.jsonl`: what was printed, then a line on how it ended."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        # Opened before the agent runs: whatever it puts at that place later is not written to.
        self._file: IO[str] = path.open("w", encoding="utf-8", errors="replace")
        self._redactor = redactor
        self._left = TRANSCRIPT_LIMIT

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def add(self, lines: list[str]) -> None:
        """Keep lines while there is room."""
        if self._left <= 0:
            return
        # A line stays one, whatever it holds that a terminal or an editor would break it at.
        whole = "\n".join(plain(line).replace("\n", " ") for line in lines)
        text = self._redactor.redact(whole)[: self._left] + "\n"
        self._file.write(text)
        self._left -= len(text)
        if self._left <= 0:
            self._note({"left_out": "the rest of the output"})

    def close(self, ended: Ended) -> None:
        """Say how it ended, with the end of what it wrote to standard error."""
        self._note(
            {
                "ended": ended.end.value,
                "exit_code": ended.exit_code,
                "seconds": round(ended.seconds, 3),
                "stderr": self._redactor.redact(plain(ended.errors)),
            }
        )

    def _note(self, fields: dict[str, object]) -> None:
        self._file.write(json.dumps({"type": "repoagents", **fields}, ensure_ascii=False) + "\n")
