"""The stage of `demo` and of the soak: the example on a loopback GitHub, and a clone of it."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import yaml

from repoagents.config.files import CONFIG, CONTROL, ENVIRONMENT
from repoagents.git.command import Git
from repoagents.rehearsal.hub.loopback import BOT, LoopbackGitHub
from repoagents.trackers.local_markdown import parse_entry

EXAMPLE = "python-lib"
LABEL = "repoagents"
MAINTAINER = "mia"
TOKEN, SECRET = "DEMO_GITHUB_TOKEN", "DEMO_WEBHOOK_SECRET"
EVENTS = ("issues", "issue_comment", "pull_request", "pull_request_review")
"""What the bot's receiver hears of."""

REMARK = "# A rehearsal: this GitHub runs on this machine, and only while the demo does.\n"
IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "RepoAgents demo"), ("EMAIL", "demo@example.invalid"))
}


@dataclass(frozen=True)
class Stage:
    """What stands on it: the operator's clone, and the secret that webhooks are signed with."""

    clone: Path
    secret: str


def build_stage(folder: Path, example: Path, hub: LoopbackGitHub, outside: Git) -> Stage:
    """Put the example and its issues on the loopback GitHub and clone it into `folder`/clone.

    `outside` is git with the identity that the first commit gets. Every write is allowed there:
    nothing of it leaves this machine.
    """
    source, clone = folder / "source", folder / "clone"
    copytree(example, source)
    _configure(source / CONTROL / CONFIG, hub)
    issues = sorted((source / "issues").glob("*.md"), key=lambda path: int(path.name.split("-")[0]))
    git = outside.at(source).told(**IDENTITY)
    git.run("init", "--quiet", f"--initial-branch={hub.forge.repository.default_branch}")
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message=Start")
    hub.seed(source)
    hub.add_account(MAINTAINER, "maintain")
    hub.create_label(LABEL)
    for path in issues:
        read = parse_entry(path.read_text(encoding="utf-8"), path.name, None).issue
        if read is not None:
            hub.open_issue(read.title, read.body, by=MAINTAINER)
    outside.at(folder).run("clone", "--quiet", hub.clone_url, str(clone))
    secret = secrets.token_hex(32)
    _keep_secrets(clone / CONTROL / ENVIRONMENT, {TOKEN: hub.token_of(BOT), SECRET: secret})
    return Stage(clone, secret)


def _configure(path: Path, hub: LoopbackGitHub) -> None:
    """Turn the example's own configuration into one for this GitHub, with every flag on."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["tracker"] = {
        "repo": hub.full_name,
        "api_url": hub.url,
        "clone_url": hub.clone_url,
        "token_env": TOKEN,
        "poll_interval_seconds": 5,
    }
    document["webhook"] = {"secret_env": SECRET}
    flags = ("allow_write_comments", "allow_open_pr", "allow_merge")
    document["safety"] = dict.fromkeys(flags, True)
    path.write_text(REMARK + yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _keep_secrets(path: Path, variables: dict[str, str]) -> None:
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
