"""What a credential lacks or has too much of, and whether the checkout is of this repository."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from repoagents.domain.access import Access
from repoagents.domain.check import Check
from repoagents.domain.settings import Settings, TrackerSettings

EXPIRES_SOON = timedelta(days=14)
WRONG_CLOCK = timedelta(seconds=30)
LEAST_QUOTA = 0.1

KINDS = {
    "token": "a classic token",
    "fine_grained": "a fine-grained token",
    "gh": "a token",
    "app": "a GitHub App",
    "actions": "the token of an Actions job",
}
PERSONAL = ("token", "fine_grained", "gh")
"""Credentials that reach as far as their account; an App and a job have no role of their own."""

WIDE = re.compile(r"admin:.*|delete_repo|site_admin|write:org")
LOGS = "actions: read"
GUIDE = "docs/how-to/set-up-github.md has the table"


def judge_credential(access: Access, needed: Mapping[str, str], now: datetime) -> list[Check]:
    """What is wrong with the credential itself: its end, what it lacks, what it has too much of.

    `needed` are the permissions that the flags that are on ask for; what is in order is not listed.
    """
    wanted = ", ".join(f"{name}: {level}" for name, level in needed.items())
    found = [*_expiry(access, now), *_lacks_scope(access), *_lacks_reading(access, wanted)]
    if access.kind == "actions":
        found.append(
            Check(
                "permissions",
                "warn",
                "pushes with this token start no CI, and it ends with its job",
                "GitHub starts no workflow for what a job's own token does",
                "use a GitHub App or a fine-grained token",
            )
        )
    wide = [scope for scope in access.granted or () if WIDE.fullmatch(scope)]
    if wide:
        found.append(
            Check(
                "permissions",
                "warn",
                f"the token can do more than is needed: {', '.join(wide)}",
                "whoever gets hold of it could administer the repository too",
                f"use a fine-grained token with {wanted}",
            )
        )
    return found


def judge_repository(access: Access, settings: Settings) -> list[Check]:
    """Whether the account's role is enough, and the repository can be worked on."""
    return [*_lacks_role(access), _who_may_ask(access), *_repository(access, settings)]


def say_enough(access: Access, needed: Mapping[str, str]) -> Check:
    """That nothing is known to be missing; of what cannot be known, that it is so."""
    wanted = ", ".join(f"{name}: {level}" for name, level in needed.items())
    if access.kind != "fine_grained":
        blind = access.kind == "app" and "checks" in needed and LOGS not in (access.granted or ())
        rest = f"; without {LOGS} the builder does not see the logs of failing checks"
        message = f"enough for the flags that are on ({wanted}){rest if blind else ''}"
        return Check("permissions", "ok", message)
    message = f"what can be read is there; GitHub does not say what may be written ({wanted})"
    return Check("permissions", "ok", message)


def judge_pace(access: Access) -> list[Check]:
    """Whether requests are left this hour, and the clocks agree."""
    checks = []
    if quota := access.quota:
        message = f"{quota.remaining:,} of {quota.limit:,} requests left this hour"
        if quota.remaining < LEAST_QUOTA * quota.limit:
            why = f"the bot waits when they are used up, until {quota.reset_at:%H:%M} UTC"
            fix = (
                "see what else uses this account; a longer tracker.poll_interval_seconds asks less"
            )
            checks.append(Check("rate limit", "warn", message, why, fix))
        else:
            checks.append(Check("rate limit", "ok", message))
    if abs(access.clock_ahead) > WRONG_CLOCK:
        seconds = round(access.clock_ahead.total_seconds())
        where = "ahead of" if seconds > 0 else "behind"
        checks.append(
            Check(
                "clock",
                "warn",
                f"this machine's clock is {abs(seconds)} s {where} GitHub's",
                "GitHub refuses what an App signs with a wrong time",
                "set the clock (NTP)",
            )
        )
    return checks


def judge_origin(origin: str, settings: Settings) -> list[Check]:
    """Whether the checkout is one of `tracker.repo`; nothing for a remote without such a name.

    `origin` is its address without credentials. A name that SSH knows may stand for any host.
    """
    found, wanted, host = parse_slug(origin), settings.tracker.repo, parse_host(origin)
    if not found:
        return []
    if found.lower() != wanted.lower():
        return [
            Check(
                "origin",
                "error",
                f"the checkout's origin is {found}, tracker.repo is {wanted}",
                "the bot fetches from and publishes to tracker.repo",
                "correct tracker.repo, or run `git remote set-url origin` with its address",
            )
        ]
    home = web_host(settings.tracker)
    if host not in (home, f"ssh.{home}"):
        by_web = origin.lower().startswith("http")
        return [
            Check(
                "origin",
                "error" if by_web else "warn",
                f"the checkout's origin is on {host}, tracker.api_url is the API of {home}",
                "a repository of the same name on another host is a different one",
                "correct tracker.api_url, or run `git remote set-url origin` with its address",
            )
        ]
    return [Check("origin", "ok", f"is {wanted}")]


def parse_slug(url: str) -> str:
    """OWNER/REPO of a remote's address; empty for a path on this machine."""
    found = re.fullmatch(r"(?!file:)(?:[a-z][a-z0-9+.-]*://[^/]+|[^/:]+:)/*(.+)", url)
    path = found[1].rstrip("/").removesuffix(".git") if found else ""
    return "/".join(path.split("/")[-2:])


def parse_host(url: str) -> str:
    """The host of a remote's address, with the port if it is the web's; empty for a path."""
    found = re.fullmatch(r"(?i)(https?)?(?:[a-z][a-z0-9+.-]*)?://(?:[^/@]*@)?([^/]+)/.*", url)
    if found:
        return (found[2] if found[1] else found[2].partition(":")[0]).lower()
    short = re.fullmatch(r"(?:[^@/:]+@)?([^/:]+):(?!//).+", url)
    return short[1].lower() if short else ""


def web_host(tracker: TrackerSettings) -> str:
    """The host of the pages and of git that belongs to an API: github.com for api.github.com."""
    return parse_host(f"{tracker.api_url}/").removeprefix("api.")


def _expiry(access: Access, now: datetime) -> list[Check]:
    if access.expires_at is None:
        return []
    left, day = access.expires_at - now, f"{access.expires_at:%Y-%m-%d}"
    if left >= EXPIRES_SOON:
        return [Check("expiry", "ok", f"the token expires in {left.days} days, on {day}")]
    why, fix = "without it every run waits", f"make a new token and put it into {access.source}"
    if left <= timedelta():
        return [Check("expiry", "error", f"the token expired on {day}", why, fix)]
    days = "1 day" if left.days == 1 else f"{left.days} days"
    return [Check("expiry", "warn", f"the token expires in {days}, on {day}", why, fix)]


def _lacks_role(access: Access) -> list[Check]:
    if access.kind not in PERSONAL or access.role.writes:
        return []
    return [
        Check(
            "permissions",
            "error",
            f"{access.account} has the role {access.role.value} in {access.repo}: it needs write",
            "only who may push can look up who may ask, push a branch and set labels",
            f"invite {access.account} with the role Write: {access.page}/settings/access",
        )
    ]


def _lacks_scope(access: Access) -> list[Check]:
    if access.kind not in ("token", "gh") or access.granted is None:
        return []
    enough = {"repo"} if access.private else {"repo", "public_repo"}
    if enough & set(access.granted):
        return []
    again = "run `gh auth refresh --scopes repo`"
    fix = again if access.kind == "gh" else "give the token the scope repo, in its settings"
    scopes = ", ".join(access.granted) or "none"
    message = f"the token lacks the scope {' or '.join(sorted(enough))}; it has: {scopes}"
    return [Check("permissions", "error", message, "nothing can be written without it", fix)]


def _lacks_reading(access: Access, wanted: str) -> list[Check]:
    checks = []
    for name in access.refused:
        fix = f"edit the token: it needs {wanted}; {GUIDE}"
        if name == "checks":
            # https://github.com/orgs/community/discussions/129512
            fix = "use a GitHub App: a fine-grained token cannot be given the permission Checks"
        why = "the flags that are on need it, and it would fail only after the work is done"
        checks.append(Check("permissions", "error", f"the token may not read {name}", why, fix))
    return checks


def _who_may_ask(access: Access) -> Check:
    if not access.people_problem:
        return Check("who may ask", "ok", "the permission of others can be read")
    why = "nobody's request is taken while it is unknown who they are"
    return Check("who may ask", "error", access.people_problem, why, access.people_step)


def _repository(access: Access, settings: Settings) -> list[Check]:
    checks = []
    shown = "private" if access.private else "public"
    if access.archived or access.disabled:
        state = "archived" if access.archived else "disabled"
        checks.append(
            Check(
                "repository",
                "error",
                f"{access.repo} is {state}: nothing can be written there",
                "a comment or a pull request would be refused",
                f"unarchive it ({access.page}/settings), or correct tracker.repo",
            )
        )
    if access.repo.lower() != settings.tracker.repo.lower():
        checks.append(
            Check(
                "repository",
                "warn",
                f"{settings.tracker.repo} is called {access.repo} now",
                "GitHub redirects until somebody takes the old name",
                f"set tracker.repo: {access.repo}",
            )
        )
    return checks or [Check("repository", "ok", f"{access.repo}, {shown}")]
