"""An operator's terminal: one shell, so that `cd` and `export` hold for what is typed next."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

UV = """\
#!/bin/sh
# `uv run [--project FOLDER] PROGRAM ...`, where the program is installed already.
[ "$1" = run ] || exit 2
shift
if [ "$1" = --project ]; then shift 2; fi
exec "$@"
"""
END = "what was typed has ended with"


class Terminal:
    """A shell in a folder. `uv` is stood in for: the real one would ask a package registry."""

    def __init__(self, folder: Path, tools: Path, variables: Mapping[str, str]) -> None:
        tools.mkdir()
        (tools / "uv").write_text(UV, encoding="utf-8")
        (tools / "uv").chmod(0o755)
        path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**os.environ, **variables, "PATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shell.kill()
        self._shell.communicate()

    def type(self, text: str, code: int = 0) -> str:
        """Type command after command, each of which must end with this code; what was printed."""
        said = [self._enter(line, code) for line in text.replace("\\\n", "").splitlines()]
        return "".join(said)

    def set(self, **variables: str) -> None:
        """Export variables."""
        for name, value in variables.items():
            self.type(f"export {name}={shlex.quote(value)}")

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
