"""Writing the control plane into a repository: planned first, then written whole or not at all."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from repoagents.config.blocks import BEGIN
from repoagents.config.document import parse_document
from repoagents.config.draft import Choices, render_config
from repoagents.config.files import (
    CONFIG_PATH,
    CONTROL,
    read_text,
    why_not_writable,
    write_whole,
)
from repoagents.config.managed import (
    AGENTS,
    LOCK,
    WORKFLOW,
    WORKFLOW_MARK,
    Lock,
    Managed,
    Standing,
    hash_text,
    managed_texts,
    read_lock,
    render_lock,
    written_text,
)
from repoagents.config.rules import LOCAL_PATHS
from repoagents.config.validation import Sources, read_settings
from repoagents.domain.settings import Settings
from repoagents.errors import ConfigError

LEFT_BEHIND = ("uv.lock", "ops/github-smoke.fixture.json", "webhook.json")
"""Brought into a repository by steps of the walkthrough: a note, not dirt."""
BACKUPS = f"{CONTROL}/cache/backup"


class Mode(StrEnum):
    """How `init` treats what is already there."""

    NEW = "new"
    UPGRADE = "upgrade"
    FORCE = "force"


class Action(StrEnum):
    """What happens to one file."""

    CREATE = "create"
    REFRESH = "refresh"
    REPLACE = "replace"
    """Overwritten after a copy was kept."""
    KEEP = "keep"
    SAME = "unchanged"


@dataclass(frozen=True)
class Step:
    """One file: what happens to it, the text it will have, and how an edited one differs."""

    path: str
    action: Action
    text: str = ""
    remark: str = ""
    diff: str = ""


def plan_scaffold(root: Path, choices: Choices, mode: Mode) -> tuple[Step, ...]:
    """Every file with what would happen to it; nothing is written.

    The configuration and the lock come last, so that an interrupted `init` is completed by
    running it again. Raises `ConfigError` when there is a configuration that would have to change,
    nothing to upgrade, no checkout to write into, or a link or read-only file in the place of one
    that would be written.
    """
    _check_checkout(root)
    lock = read_lock(root)
    rows = managed_texts(root, choices.preset.name, lock)
    steps = [_step(root, row, mode) for row in rows]
    steps.append(_config_step(root, choices, mode))
    hashes = {**{r.path: r.recorded for r in rows}, **_hashes(rows, steps)}
    new = Lock(choices.preset.name, {path: value for path, value in hashes.items() if value})
    steps.append(_lock_step(root, new))
    _check_writable(root, steps)
    return tuple(steps)


def write_scaffold(root: Path, steps: Sequence[Step], stamp: str) -> Path | None:
    """Carry out a plan; returns the folder with the copies of what was replaced, if any was.

    `stamp` names that folder; it must be new.
    """
    replaced = [step for step in steps if step.action is Action.REPLACE]
    backup = root / BACKUPS / stamp if replaced else None
    if backup is not None:
        backup.mkdir(parents=True)
        for step in replaced:
            (backup / step.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / step.path, backup / step.path)
    for step in steps:
        if step.action in (Action.CREATE, Action.REFRESH, Action.REPLACE):
            write_whole(root / step.path, step.text)
    return backup


def make_issue_folder(root: Path, choices: Choices) -> None:
    """An empty folder for a Markdown tracker, which git does not see; nothing is put into it."""
    folder = root / choices.path
    if choices.kind == "local_markdown" and not folder.exists():
        folder.mkdir(parents=True)


def own_paths(settings: Settings, root: Path) -> tuple[str, ...]:
    """Files and whole folders, from the root, that belong to the bot and never count as dirty."""
    own = list(control_paths(root))
    if settings.tracker.kind in LOCAL_PATHS:
        own.append(settings.tracker.path or LOCAL_PATHS[settings.tracker.kind])
    return tuple(own)


def control_paths(root: Path) -> tuple[str, ...]:
    """What `init` writes: `AGENTS.md` and `WORKFLOW.md` only while they carry our mark."""
    own = [CONTROL]
    for name, mark in ((AGENTS, BEGIN), (WORKFLOW, WORKFLOW_MARK)):
        path = root / name
        if path.is_file() and mark.encode() in path.read_bytes():
            own.append(name)
    return tuple(own)


def line_for_issues(settings: Settings, root: Path) -> str:
    """The shell line that makes the local tracker's file or folder; empty when it is there."""
    tracker = settings.tracker
    kind = "" if tracker.mode == "fixture" else tracker.kind
    path = tracker.path or LOCAL_PATHS.get(kind, "")
    if kind not in LOCAL_PATHS or (root / path).exists():
        return ""
    folder = Path(path) if kind == "local_markdown" else Path(path).parent
    make = "" if (root / folder).is_dir() else f"mkdir -p {shlex.quote(str(folder))}"
    fill = f"echo '[]' > {shlex.quote(path)}" if kind == "local_file" else ""
    return " && ".join(part for part in (make, fill) if part)


def has_config(root: Path) -> bool:
    """Whether the repository was initialised."""
    return (root / CONFIG_PATH).exists()


def previous_preset(root: Path) -> str:
    """The preset that was written last."""
    return read_lock(root).preset


def previous_tracker(root: Path) -> tuple[str | None, str | None, str | None]:
    """Kind, repository and path as the configuration has them; None where it says nothing."""
    text = read_text(root / CONFIG_PATH, CONFIG_PATH) or ""
    tracker = parse_document(text, CONFIG_PATH).tree.get("tracker")
    given = tracker if isinstance(tracker, dict) else {}
    kind, repo, path = (str(given[k]) if given.get(k) else None for k in ("kind", "repo", "path"))
    return kind, repo, path


def _check_checkout(root: Path) -> None:
    if all((root / name).exists() for name in ("HEAD", "objects", "refs")):
        raise ConfigError(
            f"{root} is a bare git repository: it has no files to work on",
            next_step="Clone it, and run the command in the clone.",
        )


def _check_issues(root: Path, choices: Choices) -> None:
    wanted = {"local_file": "a file", "local_markdown": "a folder"}.get(choices.kind)
    place = root / choices.path
    if wanted is None or not place.exists():
        return
    if place.is_dir() is not (choices.kind == "local_markdown"):
        raise ConfigError(
            f"{choices.path} is not {wanted}, which {choices.kind} needs",
            next_step="Name another place: --tracker-path PATH",
        )


def _step(root: Path, row: Managed, mode: Mode) -> Step:
    standing, force = row.standing, mode is Mode.FORCE
    if standing is Standing.CURRENT:
        return Step(row.path, Action.SAME)
    if standing is Standing.MISSING:
        return _added(root, row)
    if standing is Standing.OUTDATED and mode is not Mode.NEW:
        return Step(row.path, Action.REFRESH, written_text(root, row))
    if standing is Standing.OUTDATED:
        return Step(row.path, Action.KEEP, remark="outdated: repoagents init --upgrade")
    foreign = standing is Standing.FOREIGN
    if force and not row.link and (not foreign or row.path != WORKFLOW):
        return Step(row.path, Action.REPLACE, written_text(root, row), diff=row.diff)
    if row.link:
        remark = f"a link to {row.link}: left as it is"
    else:
        remark = "it was here before" if foreign else standing.value
    return Step(row.path, Action.KEEP, remark=remark, diff="" if foreign else row.diff)


def _added(root: Path, row: Managed) -> Step:
    if not (root / row.path).exists():
        return Step(row.path, Action.CREATE, written_text(root, row))
    remark = "our block is added; the rest stays as it is"
    return Step(row.path, Action.REFRESH, written_text(root, row), remark)


def _hashes(rows: Sequence[Managed], steps: Sequence[Step]) -> dict[str, str]:
    """The new records: a text that is kept keeps the record of what it was edited from."""
    kept = {step.path for step in steps if step.action is Action.KEEP}
    return {row.path: hash_text(row.wanted) for row in rows if row.path not in kept}


def _config_step(root: Path, choices: Choices, mode: Mode) -> Step:
    found = read_text(root / CONFIG_PATH, CONFIG_PATH)
    if mode is Mode.UPGRADE:
        if found is None:
            raise ConfigError(
                f"there is no {CONFIG_PATH} to upgrade in {root}", next_step="repoagents init"
            )
        changed = choices.preset.settings and choices.preset.name != previous_preset(root)
        sections = ", ".join(choices.preset.settings)
        by_hand = f"; {sections} of preset {choices.preset.name}: put in by hand" if changed else ""
        return Step(CONFIG_PATH, Action.KEEP, remark=f"yours{by_hand}")
    text = render_config(choices)
    _check_loads(root, text)
    _check_issues(root, choices)
    if found is None:
        return Step(CONFIG_PATH, Action.CREATE, text)
    if found.replace("\r\n", "\n") == text:
        return Step(CONFIG_PATH, Action.SAME)
    if mode is Mode.FORCE:
        return Step(CONFIG_PATH, Action.REPLACE, text)
    raise ConfigError(
        f"{root} is initialised already, and its {CONFIG_PATH} is not what this would write",
        next_step="repoagents init --upgrade refreshes what you did not edit; "
        "--force overwrites all of it and keeps a copy",
    )


def _check_loads(root: Path, text: str) -> None:
    """What is about to be written must load: a bad name is refused before anything exists."""
    try:
        read_settings(Sources(parse_document(text, CONFIG_PATH)), (), root)
    except ConfigError as error:
        raise ConfigError(
            f"nothing was written: {error}", next_step="Give another value for what is named."
        ) from None


def _lock_step(root: Path, lock: Lock) -> Step:
    found, text = read_text(root / LOCK, LOCK), render_lock(lock)
    if found is not None and found.replace("\r\n", "\n") == text:
        return Step(LOCK, Action.SAME)
    return Step(LOCK, Action.CREATE if found is None else Action.REFRESH, text)


def _check_writable(root: Path, steps: Sequence[Step]) -> None:
    for step in steps:
        why = why_not_writable(root, step.path)
        if why and step.action not in (Action.SAME, Action.KEEP):
            raise ConfigError(
                f"{step.path} is not written: {why}",
                next_step="Nothing was changed. Make it a writable file of its own, or move it.",
            )
