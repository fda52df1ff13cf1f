"""`doctor` on GitHub: who the bot is there, what it may do, and what it lacks."""

import shlex

from repoagents.domain.access import Access, Backlog
from repoagents.domain.check import Check
from repoagents.errors import RepoAgentsError
from repoagents.policy import access as judgement
from repoagents.policy.safety import app_permissions
from repoagents.ports import Bench, Inspection


def examine_access(bench: Bench, inspection: Inspection) -> tuple[list[Check], Access | None]:
    """The checks of the credential, and what it reaches; None when GitHub gives no answer."""
    try:
        access = inspection.inspect()
    except RepoAgentsError as error:
        why = "issues are read and changes are published with it"
        return [Check("GitHub", "error", str(error), why, error.next_step)], None
    needed = app_permissions(bench.settings)
    found = judgement.judge_credential(access, needed, bench.clock.now())
    found += judgement.judge_repository(access, bench.settings)
    if all(check.name != "permissions" for check in found):
        found.append(judgement.say_enough(access, needed))
    return [_identity(access), *found, *judgement.judge_pace(access)], access


def count_unlabelled(backlog: Backlog, repo: str, page: str, label: str) -> list[Check]:
    """What stands open while nothing carries the label, and the commands that change it.

    `page` is the repository's address; without one it is on github.com.
    """
    # `gh` takes a repository with its host, unless that is github.com.
    place = f"--repo {shlex.quote(page.removeprefix('https://github.com/') or repo)}"
    checks = []
    if not backlog.has_label:
        checks.append(
            Check(
                "label",
                "warn",
                f"{repo} has no label {label}",
                "it is how a maintainer asks for work",
                f"gh label create {shlex.quote(label)} {place} --description 'Work for the bot'",
            )
        )
    count = f"{backlog.count} or more" if backlog.more else f"{backlog.count}"
    message = f"{count} open, 0 labelled {label}"
    if not backlog.newest:
        return [*checks, Check("tracker", "ok", message)]
    why = "an issue without the label is not touched"
    fix = f"gh issue edit {backlog.newest} {place} --add-label {shlex.quote(label)}"
    return [*checks, Check("tracker", "ok", message, why, fix)]


def _identity(access: Access) -> Check:
    whose = f"{access.account}, by {judgement.KINDS[access.kind]} ({access.source})"
    told = "; ".join(filter(None, (whose, _told(access))))
    return Check("GitHub", "ok", told)


def _told(access: Access) -> str:
    if access.granted is None:
        return ""
    word = "permissions" if access.kind == "app" else "scopes"
    return f"{word}: {', '.join(access.granted) or 'none'}"
