"""The one boundary where exceptions become messages and exit codes."""

import errno
import os
import sys
from collections.abc import Callable, Mapping
from typing import IO

from repoagents.errors import Bug, ConfigError, RepoAgentsError

DONE = 0
UNFINISHED = 1
USAGE = 2
BUG = 3
INTERRUPTED = 130

OF_THE_MACHINE = {
    errno.ENOSPC: "Make room on the disk, then run the same command again.",
    errno.EDQUOT: "Make room in the quota, then run the same command again.",
    errno.EROFS: "Mount the file system writable, then run the same command again.",
    errno.EACCES: "Give this user access to the path, then run the same command again.",
    errno.EPERM: "Give this user access to the path, then run the same command again.",
}
"""Errors of the operating system that a person can fix; any other is a bug of ours."""


_environment: dict[str, str] = {}
"""The environment whose secrets a crash log must not hold."""


def remember_environment(environment: Mapping[str, str]) -> None:
    """Hide the secrets of this environment in whatever is said of an error from now on."""
    _environment.update(environment)


def guard(command: Callable[[], object]) -> int:
    """Run a command; returns its exit code, or the one that its exception stands for."""
    try:
        result = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: what nobody expected ends here
        return _explain(error)
    return result if isinstance(result, int) else DONE


def _explain(error: Exception) -> int:
    match error:
        case Bug(__cause__=Exception() as cause):
            return _explain(cause)
        case RepoAgentsError():
            code = USAGE if isinstance(error, ConfigError) else UNFINISHED
            return _refuse(str(error), error.next_step, code)
        case BrokenPipeError():
            return end_quietly()
        case FileNotFoundError() if _nowhere():
            step = "Change into the repository, then run the same command again."
            return _refuse("the current folder does not exist any more", step, USAGE)
        case OSError(errno=number) if number in OF_THE_MACHINE:
            return _refuse(_complaint(error), OF_THE_MACHINE[number], UNFINISHED)
        case _:
            return _explain_parsing(error)


def _complaint(error: OSError) -> str:
    """The system's words without its number, and the path where there is one."""
    why = error.strerror or type(error).__name__
    return why if error.filename is None else f"{error.filename}: {why}"


def _nowhere() -> bool:
    """Whether the folder that we were started in has been deleted."""
    try:
        os.getcwd()  # noqa: PTH109 - pathlib would be imported for nothing else
    except FileNotFoundError:
        return True
    return False


def _explain_parsing(error: Exception) -> int:
    import click  # Here, because most commands end well, and `status` does without.

    match error:
        case click.Abort():
            return INTERRUPTED
        case click.ClickException():
            error.show()
            return USAGE
        case _:
            return _report_bug(error)


def _refuse(message: str, next_step: str, code: int) -> int:
    # Late, because most commands end well. What was refused may be the words of a stranger's host.
    from repoagents.logs import Redactor, secret_values
    from repoagents.policy.wording import clean

    told = f"error: {message}\n  {next_step}" if next_step else f"error: {message}"
    print(Redactor(secret_values(_environment)).redact(clean(told)), file=sys.stderr)
    return code


def end_quietly() -> int:
    """The reader closed the pipe because it has enough: that is no error; returns the exit code.

    stdout goes to the null device, or the interpreter complains at exit about the same pipe.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _report_bug(error: BaseException) -> int:
    """Keep everything that a report of our bug needs, and say where it is."""
    report = _crash_report(error)
    try:
        with _crash_file() as file:
            file.write(report)
        print(
            f"bug: {type(error).__name__}: this is ours, not yours."
            f"\n  Please open an issue and paste this file: {file.name}",
            file=sys.stderr,
        )
    except OSError:
        print(report, file=sys.stderr)
    return BUG


def _crash_file() -> IO[str]:
    """A new file among the logs of the repository that we are in, else among temporary files."""
    import tempfile
    from pathlib import Path

    from repoagents.config.files import CONTROL

    logs = next(
        (
            folder / CONTROL / "logs"
            for folder in (Path.cwd(), *Path.cwd().parents)
            if (folder / CONTROL).is_dir()
        ),
        Path(tempfile.gettempdir()),
    )
    logs.mkdir(exist_ok=True)
    return tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=logs, prefix="crash-", suffix=".txt", delete=False
    )


def _crash_report(error: BaseException) -> str:
    """Versions, the command line and the traceback, redacted."""
    import traceback

    from repoagents.cli.output import versions
    from repoagents.logs import Redactor, secret_values

    trace = "".join(traceback.format_exception(error))
    text = f"{versions()}\n{sys.platform}\n{sys.argv[1:]}\n\n{trace}"
    return Redactor(secret_values(_environment)).redact(text)
