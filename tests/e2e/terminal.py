"""An operator's terminal: one shell, so that `cd` and `export` hold for what is typed next.

`repoagents` is there, as a command that has it run by `tests.prepared`, which is quicker; only a
worker that stays is started from nothing. `uv` is stood in for: the real one would ask a registry.
"""

import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from tests.machine import SHORT
from tests.prepared import run_prepared

UV = """\
#!/bin/sh
# `uv run [--project FOLDER] PROGRAM ...`, where the program is installed already.
[ "$1" = run ] || exit 2
shift
if [ "$1" = --project ]; then shift 2; fi
exec "$@"
"""
PROGRAM = """\
#!{python} -IS
import json, os, socket, sys
if sys.argv[1:] == ["run"]:
    os.execv("{python}", ["{python}", "-m", "repoagents", "run"])
asked = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
door = socket.socket(socket.AF_UNIX)
door.connect("{door}")
with door.makefile("rw") as file:
    print(json.dumps(asked), file=file, flush=True)
    code, out, err = json.loads(file.readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
END = "what was typed has ended with"


class _Door(socketserver.StreamRequestHandler):
    """One command: a line that asks for it, a line with its exit code and what it printed."""

    def handle(self) -> None:
        """Run it to its end."""
        asked = json.loads(self.rfile.readline())
        done = run_prepared(asked["arguments"], cwd=Path(asked["cwd"]), env=asked["env"])
        answer = json.dumps([done.returncode, done.stdout, done.stderr])
        self.wfile.write(answer.encode() + b"\n")


@contextmanager
def tools() -> Iterator[Path]:
    """A folder for PATH, with `repoagents` and `uv` in it."""
    with ExitStack() as ends:
        # A socket's path has to be short, and those of pytest are not.
        place = tempfile.TemporaryDirectory(prefix="tools-", dir=SHORT)
        folder = Path(ends.enter_context(place))
        server = socketserver.UnixStreamServer(str(folder / "door"), _Door)
        ends.enter_context(server)
        ends.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        program = PROGRAM.format(python=sys.executable, door=folder / "door")
        for name, text in (("uv", UV), ("repoagents", program)):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)
        yield folder


class Terminal:
    """A shell in a folder, with variables of its own."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._variables = dict(variables)
        self._open = ExitStack()

    def __enter__(self) -> "Terminal":
        found = self._open.enter_context(tools())
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self._folder,
            env={**os.environ, **self._variables, "PATH": f"{found}:{os.environ['PATH']}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._open.callback(self._shell.communicate)
        self._open.callback(self._shell.kill)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def type(self, text: str, code: int = 0) -> str:
        """Type command after command, each of which must end with this code; what was printed."""
        said = [self._enter(line, code) for line in text.replace("\\\n", "").splitlines()]
        return "".join(said)

    def _enter(self, line: str, code: int) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {line}\n}} </dev/null; printf '\\n{END} %s\\n' $?\n")
        self._shell.stdin.flush()
        said = []
        for printed in self._shell.stdout:
            if printed.startswith(END):
                break
            said.append(printed)
        ended = printed.removeprefix(END).strip()
        shown = "".join(said)[:-1]
        assert ended == str(code), f"$ {line}\n{shown}\nexit code {ended}"
        return shown
