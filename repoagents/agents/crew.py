"""The roles' engines behind the port `Agents`: prompt, process, answer."""

import json
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from repoagents.agents.engines import ENGINES
from repoagents.agents.engines.contract import Call, Conversation, Engine, Trouble
from repoagents.agents.environment import child_environment
from repoagents.agents.fencing import short_line
from repoagents.agents.output import ANSWER_LIMIT, parse_answer, schema_for
from repoagents.agents.process import Command, End, Ended, Supervisor
from repoagents.agents.prompts import PromptBook, render_repair
from repoagents.agents.transcript import Transcript
from repoagents.domain.engines import EngineChoice
from repoagents.domain.run import FailureClass
from repoagents.domain.settings import EngineName, Settings
from repoagents.errors import Exited, TimedOut
from repoagents.logs import Redactor
from repoagents.ports import AgentReply, Brief, EngineHealth, RoleReport, RoleTask

HEARD_LIMIT = 2_000
"""How many events of one call are shown; an agent that floods us fills only its transcript."""


class AgentCrew:
    """The planner, builder and reviewer of one repository.

    `control` is the control plane's folder, `environment` the bot's own environment.
    """

    def __init__(
        self,
        control: Path,
        settings: Settings,
        environment: Mapping[str, str],
        supervisor: Supervisor,
        redactor: Redactor,
    ) -> None:
        self._control = control
        self._settings = settings
        self._ambient = environment
        self._supervisor = supervisor
        self._redactor = redactor
        self._prompts = PromptBook(control)

    def render(self, brief: Brief) -> str:
        """The prompt, from the repository's own role and prompt files."""
        return self._prompts.render(brief)

    def repair(self, prompt: str, answer: str, problem: str) -> str:
        """The prompt of the one repair request."""
        return render_repair(prompt, answer, problem)

    def read(self, task: RoleTask, answer: str) -> RoleReport:
        """The typed answer, or `OutputInvalid` with what does not fit."""
        return parse_answer(task.role, task.criteria, answer, self._redactor.redact)

    async def ask(self, task: RoleTask, heard: Callable[[str], None]) -> AgentReply:
        """Run the role in a fresh process; `heard` gets a short line per event."""
        engine = self._engine(task.engine.engine)
        call = self._prepare(task)
        conversation = engine.listen(call)
        kept = task.artifacts / f"{task.label}.transcript.jsonl"
        try:
            with Transcript(kept, self._redactor) as transcript:
                command = self._command(engine, call)
                listen = self._ear(transcript, conversation, heard)
                ended = await self._supervisor.run(command, listen)
                transcript.close(ended)
            written = read_answer(call.result)
        finally:
            # The answer's raw text is nobody's artifact: it has not been redacted.
            forget_answer(call.result)
        raise_unless_exited(task, command, ended)
        reply = conversation.reply(ended, written)
        if isinstance(reply, Trouble):
            message = short_line(self._redactor.redact(short_line(reply.message, 2_000)), 600)
            raise Exited(message, kind=reply.kind.value, next_step=reply.next_step)
        return replace(reply, answer=self._redactor.redact(reply.answer))

    def check(self, choice: EngineChoice) -> EngineHealth:
        """Found, version, flags, login and sandbox, without calling a model."""
        engine = self._engine(choice.engine)
        environment = self._environment(engine)
        folder = self._control / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        return engine.check(
            environment, lambda argv: self._supervisor.probe(argv, environment, folder)
        )

    def _engine(self, name: EngineName) -> Engine:
        return ENGINES[name](self._settings)

    def _environment(self, engine: Engine) -> dict[str, str]:
        return child_environment(self._settings.agent, self._ambient, engine.credentials)

    def _command(self, engine: Engine, call: Call) -> Command:
        task = call.task
        return Command(
            argv=engine.argv(call),
            cwd=task.worktree,
            environment={**self._environment(engine), **engine.variables(call)},
            run_id=task.run_id,
            deadline_seconds=task.deadline_seconds,
            idle_seconds=task.idle_seconds,
            stdin=task.prompt,
        )

    def _prepare(self, task: RoleTask) -> Call:
        task.artifacts.mkdir(parents=True, exist_ok=True)
        schema = task.artifacts / f"{task.label}.schema.json"
        schema.write_text(json.dumps(schema_for(task.role, task.criteria)), encoding="utf-8")
        result = task.artifacts / f"{task.label}.answer"
        # A file left by an earlier call must not pass for this call's answer.
        forget_answer(result)
        return Call(task, schema, result)

    def _ear(
        self, transcript: Transcript, conversation: Conversation, heard: Callable[[str], None]
    ) -> Callable[[list[str]], None]:
        left = HEARD_LIMIT

        def listen(lines: list[str]) -> None:
            nonlocal left
            transcript.add(lines)
            for line in lines:
                event = conversation.hear(line)
                if event and left > 0:
                    left -= 1
                    # Cleaned first: a secret must not hide behind a colour in its middle.
                    heard(short_line(self._redactor.redact(short_line(event, 2_000))))

        return listen


def raise_unless_exited(task: RoleTask, command: Command, ended: Ended) -> None:
    """Raise what an ending by us, or no beginning, means; nothing when the agent ended itself."""
    who = f"{task.engine.engine} as {task.role.value}"
    match ended.end:
        case End.NOT_STARTED:
            raise Exited(
                f"{command.argv[0]} could not be started: {ended.errors}",
                kind=FailureClass.ENGINE_MISSING.value,
                next_step="`repoagents doctor` says what is missing",
            )
        case End.IDLE:
            raise TimedOut(
                f"{who} was silent for {task.idle_seconds:.0f} s and was ended",
                kind=FailureClass.TIMEOUT_IDLE.value,
                next_step="raise agent.idle_timeout_seconds if it works in silence",
            )
        case End.DEADLINE:
            raise TimedOut(
                f"{who} was not done after {task.deadline_seconds:.0f} s and was ended",
                kind=FailureClass.TIMEOUT_HARD.value,
                next_step=f"raise roles.{task.role.value}.timeout_seconds, or split the issue",
            )
        case End.EXITED:
            return


def read_answer(path: Path) -> str:
    """The text of a result file, empty when there is none.

    An agent may have put anything there: a link is not followed, a pipe is not waited for, and no
    more is read than an answer may hold.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(ANSWER_LIMIT + 1).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def forget_answer(path: Path) -> None:
    """Remove whatever stands in the place of a result file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
