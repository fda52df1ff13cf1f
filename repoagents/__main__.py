"""The program's door: `python -m repoagents` and the `repoagents` command."""

import io
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    if sys.platform == "win32":
        sys.stderr.write("repoagents runs on Linux and macOS; on Windows use WSL.\n")
        return 2
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
