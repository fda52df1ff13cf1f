"""What is written on disk about a running process, so that a later worker can end it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessRecord:
    """One started process: `started` in seconds since the epoch guards against a reused pid."""

    pid: int
    started: float
    run_id: str
    program: str


class ProcessRecords:
    """A folder with one small JSON file per running process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: ProcessRecord) -> Path:
        """Keep a record; the file is there whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{record.run_id}-{record.pid}.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(record)), encoding="utf-8")
        return part.replace(path)

    def read(self) -> Iterator[tuple[Path, ProcessRecord]]:
        """Every record that can be read; others say nothing about any process."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield path, ProcessRecord(**json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                continue
