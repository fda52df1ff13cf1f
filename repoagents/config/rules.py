"""What one key alone cannot say: rules between keys, and values that only their use makes wrong."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

from repoagents.config.document import Place, Plain
from repoagents.domain.engines import engine_for
from repoagents.domain.reports import Role
from repoagents.domain.settings import Settings

Finding = tuple[Place, str]
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[A-Za-z0-9._-]+")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
LOCAL_PATHS = {"local_file": "issues.json", "local_markdown": "issues"}
MESSAGE_FIELDS = ("title", "number", "summary", "run_id")


def local_defaults(tracker: Mapping[str, Plain]) -> dict[str, Plain]:
    """The defaults that differ for a local tracker, for keys that were not given."""
    path = LOCAL_PATHS.get(str(tracker.get("kind")))
    if path is None:
        return {}
    found: dict[str, Plain] = {} if "trigger_label" in tracker else {"trigger_label": None}
    return found if tracker.get("path") else {**found, "path": path}


def password_in(url: object) -> bool:
    """Whether a database URL carries a password, in its address or its parameters."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        # What cannot be taken apart may still hold one.
        return "@" in url
    return bool(parts.password) or bool(re.search(r"(^|&)(ssl)?password=", parts.query))


def broken_rules(settings: Settings, root: Path) -> Iterator[Finding]:
    """Every rule between keys that these settings break, as a place and what is wrong there."""
    for rule in RULES:
        yield from rule(settings, root)


def _repository(settings: Settings, _root: Path) -> Iterator[Finding]:
    tracker = settings.tracker
    place = ("tracker", "repo")
    if tracker.kind == "github" and not tracker.repo:
        yield place, "tracker.repo is missing: tracker.kind github needs it, as OWNER/REPO"
    elif tracker.repo and not REPOSITORY.fullmatch(tracker.repo):
        yield place, f"tracker.repo: expected OWNER/REPO, given {tracker.repo!r}"
    if tracker.mode == "fixture" and not tracker.fixtures_path:
        yield (
            ("tracker", "fixtures_path"),
            ("tracker.fixtures_path is missing: tracker.mode fixture reads its issues from it"),
        )
    if tracker.trigger_label is not None and not tracker.trigger_label.strip():
        yield (
            ("tracker", "trigger_label"),
            "tracker.trigger_label is empty: write null to take every open issue",
        )


def _own_labels(settings: Settings, _root: Path) -> Iterator[Finding]:
    """What the bot sets must decide nothing: it would start, stop or hide its own work."""
    tracker = settings.tracker
    taken: dict[str, tuple[str | None, ...]] = {
        "tracker.trigger_label": (tracker.trigger_label,),
        "tracker.stop_label": (tracker.stop_label,),
        "tracker.filters.labels": tracker.filters.labels,
        "tracker.filters.exclude_labels": tracker.filters.exclude_labels,
    }
    for name in ("working_label", "waiting_label"):
        key, label = f"tracker.{name}", getattr(tracker, name)
        if label is None:
            continue
        if not label.strip():
            yield ("tracker", name), f"{key} is empty: write null for none"
            continue
        for other, labels in taken.items():
            if label.strip().lower() in (each.strip().lower() for each in labels if each):
                yield ("tracker", name), f"{key}: {label!r} is {other} already"
        taken[key] = (label,)


def _paths(settings: Settings, root: Path) -> Iterator[Finding]:
    tracker = settings.tracker
    named: list[tuple[Place, str]] = [
        (("tracker", "path"), tracker.path),
        (("tracker", "fixtures_path"), tracker.fixtures_path),
        (("tracker", "smoke_fixture_path"), tracker.smoke_fixture_path),
    ]
    for position, folder in enumerate(settings.workspace.sparse_paths):
        named.append((("workspace", "sparse_paths", position), folder))
    for place, path in named:
        if (path or len(place) > 2) and not _inside(root, path):
            key = ".".join(part for part in place if isinstance(part, str))
            yield place, f"{key}: expected a path inside the repository, given {path!r}"


def _inside(root: Path, path: str) -> bool:
    """Links are followed: a link that leads out of the repository is outside."""
    if Path(path).is_absolute() or path != path.strip() or "\0" in path:
        return False
    home, target = root.resolve(), (root / path).resolve()
    return home in target.parents and home / ".git" not in (target, *target.parents)


def _verify_names(settings: Settings, _root: Path) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for position, check in enumerate(settings.verify):
        if check.name in seen:
            yield (
                ("verify", position, "name"),
                (f"verify[{position}].name: {check.name!r} is already verify[{seen[check.name]}]"),
            )
        seen.setdefault(check.name, position)
        run = check.run if isinstance(check.run, tuple) else (check.run,)
        if not run:
            yield ("verify", position, "run"), f"verify[{position}].run is empty"
        yield from _empty_words(("verify", position, "run"), f"verify[{position}].run", run)


def _roles(settings: Settings, _root: Path) -> Iterator[Finding]:
    place = ("roles", "enabled")
    enabled = settings.roles.enabled
    for role in (Role.PLANNER, Role.BUILDER):
        if role not in enabled:
            yield place, f"roles.enabled: {role} is missing; planner and builder cannot be left out"
    if len(set(enabled)) < len(enabled):
        yield place, "roles.enabled: a role is named twice"


def _engines(settings: Settings, _root: Path) -> Iterator[Finding]:
    if not settings.command.argv:
        for role in settings.roles.enabled:
            if engine_for(role, settings).engine == "command":
                own = getattr(settings.roles, role.value).engine
                place: Place = ("roles", role.value, "engine") if own else ("llm", "mode")
                key = ".".join(map(str, place))
                yield place, f"{key}: `command` needs command.argv, the program that it starts"
    yield from _empty_words(("command", "argv"), "command.argv", settings.command.argv)


def _empty_words(place: Place, key: str, words: Sequence[str]) -> Iterator[Finding]:
    for position, word in enumerate(words):
        if not word.strip():
            named = f"{key}: item {position + 1} is empty" if len(words) > 1 else f"{key} is empty"
            yield (*place, position) if len(words) > 1 else place, named


def _database(settings: Settings, _root: Path) -> Iterator[Finding]:
    url = settings.state.database_url
    if url and not re.match(r"postgresql(\+[a-z0-9]+)?://", url):
        yield (
            ("state", "database_url"),
            ("state.database_url: expected nothing, for SQLite, or a postgresql:// URL"),
        )


def _environment(settings: Settings, _root: Path) -> Iterator[Finding]:
    secret = {*TOKENS, settings.tracker.token_env, settings.webhook.secret_env}
    for position, name in enumerate(settings.agent.env):
        place: Place = ("agent", "env", position)
        if not VARIABLE.fullmatch(name):
            yield place, f"agent.env[{position}]: expected the name of a variable without a value"
        elif name in secret:
            yield place, f"agent.env[{position}]: agents and checks never get {name}"


def _signature(settings: Settings, _root: Path) -> Iterator[Finding]:
    for name, value in (("name", settings.commit.name), ("email", settings.commit.email)):
        # Git cuts these out of a signature without a word, and refuses what is left when empty.
        if re.search(r"[<>\n\r]", value) or not value.strip(" .,:;\"'\\"):
            yield ("commit", name), f"commit.{name}: {value!r} cannot stand in a commit"


def _message(settings: Settings, _root: Path) -> Iterator[Finding]:
    place = ("commit", "message_template")
    known = ", ".join(f"{{{name}}}" for name in MESSAGE_FIELDS)
    try:
        fields = list(Formatter().parse(settings.commit.message_template))
    except ValueError as error:
        yield place, f"commit.message_template: {error}; write a brace of the text as {{{{ or }}}}"
        return
    for _text, name, form, conversion in fields:
        if name is not None and (name not in MESSAGE_FIELDS or form or conversion):
            yield place, f"commit.message_template: {{{name}}} is not one of {known}"


RULES: tuple[Callable[[Settings, Path], Iterator[Finding]], ...] = (
    _repository,
    _own_labels,
    _paths,
    _verify_names,
    _roles,
    _engines,
    _database,
    _environment,
    _signature,
    _message,
)
