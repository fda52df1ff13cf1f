"""The program's door: `python -m repoagents` and the `repoagents` command."""

import io
import os
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    if sys.platform == "win32":
        sys.stderr.write("repoagents runs on Linux and macOS; on Windows use WSL.\n")
        return 2
    try:
        _open_what_is_closed()
        return _run()
    except KeyboardInterrupt:
        # The commands end by themselves; this one came while they were still being imported.
        return 130


def _open_what_is_closed() -> None:
    """Lead each standard stream that our caller closed to the null device.

    Else the next file that is opened gets its number, and what a child prints goes into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # The lowest that is free: the stream's own
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _run() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name or an arrow that the terminal's encoding lacks must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.argv[1:] == ["status"]:
        # Typed all the time, by people and prompts: importing the parser takes longer than it all.
        from repoagents.cli import boundary, overview

        return boundary.guard(overview.show)
    from repoagents.cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
