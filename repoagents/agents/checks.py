"""The project's own checks and the operator's hooks: hostile code too, as they run the change."""

import asyncio
import hashlib
from collections.abc import Mapping

from repoagents.agents.environment import child_environment
from repoagents.agents.fencing import plain
from repoagents.agents.process import Command, End, Ended, Supervisor
from repoagents.agents.sections import command_text
from repoagents.domain.reports import CheckOutcome, CheckResult
from repoagents.domain.settings import Settings, VerifySettings
from repoagents.logs import Redactor
from repoagents.ports import Artifacts, Worktree

LOG_BYTES = 5_000_000
"""What is kept of a command's output: its beginning and its end, half each."""

TAIL_CHARACTERS = 4_000


class ProjectChecks:
    """Runs verify commands and hooks in a worktree, without any credentials.

    `environment` is the bot's own environment.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        supervisor: Supervisor,
        redactor: Redactor,
        artifacts: Artifacts,
    ) -> None:
        self._settings = settings
        self._ambient = environment
        self._supervisor = supervisor
        self._redactor = redactor
        self._artifacts = artifacts

    async def verify(
        self, check: VerifySettings, worktree: Worktree, label: str, seconds: float
    ) -> CheckResult:
        """Run one verify command, at most `seconds`; its log is kept as `<label>.log`.

        Raises Stopped when the run was stopped meanwhile.
        """
        ended = await self._run(check.run, worktree, seconds)
        log = await self._keep(ended, worktree, label)
        return CheckResult(
            name=check.name,
            kind=check.kind,
            command=self._redactor.redact(command_text(check.run)),
            required=check.required,
            outcome=_outcome(ended),
            exit_code=ended.exit_code if ended.end is End.EXITED else None,
            seconds=ended.seconds,
            tail=log[-TAIL_CHARACTERS:],
            output_sha256=hashlib.sha256(log.encode()).hexdigest(),
            log=f"{label}.log",
        )

    async def hook(self, name: str, worktree: Worktree) -> str:
        """Run a configured hook; returns what went wrong, empty when it passed or is not set."""
        hooks = self._settings.workspace.hooks
        line: str = getattr(hooks, name)
        if not line:
            return ""
        ended = await self._run(line, worktree, hooks.timeout_seconds)
        log = await self._keep(ended, worktree, f"hook-{name}")
        said = f": {log.strip()[-300:]}" if log.strip() else ""
        match ended.end:
            case End.NOT_STARTED:
                return f"could not be started{said}"
            case End.IDLE | End.DEADLINE:
                return f"not done after {hooks.timeout_seconds} s{said}"
            case End.EXITED:
                return f"exit code {ended.exit_code}{said}" if ended.exit_code else ""

    async def _run(self, run: str | tuple[str, ...], worktree: Worktree, seconds: float) -> Ended:
        return await self._supervisor.run(
            Command(
                argv=("/bin/sh", "-c", run) if isinstance(run, str) else run or ("(run is empty)",),
                cwd=worktree.path,
                environment=child_environment(self._settings.agent, self._ambient),
                run_id=worktree.run_id,
                deadline_seconds=seconds,
                merge_errors=True,
                keep_head=LOG_BYTES // 2,
                keep_tail=LOG_BYTES // 2,
            )
        )

    async def _keep(self, ended: Ended, worktree: Worktree, name: str) -> str:
        """Keep what the command said as `<name>.log`; returns it."""
        return await asyncio.to_thread(self._write, ended, worktree, f"{name}.log")

    def _write(self, ended: Ended, worktree: Worktree, name: str) -> str:
        text = ended.errors if ended.end is End.NOT_STARTED else ended.output
        # Cleaned first: a secret must not hide behind a colour in its middle.
        log = self._redactor.redact(plain(text))
        self._artifacts.write(worktree.issue_number, worktree.run_id, name, log)
        return log


def _outcome(ended: Ended) -> CheckOutcome:
    match ended.end:
        case End.NOT_STARTED:
            return CheckOutcome.NOT_STARTED
        case End.IDLE | End.DEADLINE:
            return CheckOutcome.TIMED_OUT
        case End.EXITED:
            return CheckOutcome.FAILED if ended.exit_code != 0 else CheckOutcome.PASSED
