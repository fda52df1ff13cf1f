"""`repoagents init` in real repositories: nothing lost, nothing doubled, nothing surprising."""

import hashlib
import json
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from repoagents.cli.app import run
from repoagents.config.loader import load
from repoagents.config.managed import LOCK, find_drift
from repoagents.config.presets import preset_texts
from repoagents.config.scaffold import own_paths

CONFIG = ".ai-repoagents/repoagents.yaml"
BUILDER = ".ai-repoagents/roles/builder.md"


class Outcome:
    """Exit code, stdout and stderr of one command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Init = Callable[..., Outcome]


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, and the current directory."""
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests/test_a.py").write_text("def test_a(): pass\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Start")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def init(root: Path, capsys: pytest.CaptureFixture[str]) -> Init:
    """Run `repoagents init` with these words."""

    def _init(*words: str) -> Outcome:
        code = run(["init", *words])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return _init


def drifted(root: Path) -> tuple[str, ...]:
    """Every text that is not as `init` would write it."""
    found = find_drift(root / ".ai-repoagents")
    return (*found.edited, *found.behind)


def fingerprint(root: Path) -> dict[str, str]:
    """Every file's mode and content, git's own included."""
    return {
        str(path.relative_to(root)): f"{path.lstat().st_mode} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(root.rglob("*"))
    }


# --- the first time -------------------------------------------------------------------------


def test_it_writes_what_was_promised_and_says_what_to_commit(init: Init, root: Path) -> None:
    done = init("--preset", "python-library", "--tracker-repo", "OWNER/REPO")
    assert done.code == 0, done.err
    control = root / ".ai-repoagents"
    names = {"repoagents.yaml", ".gitignore", "roles", "prompts", "policies", "templates.lock"}
    assert {path.name for path in control.iterdir()} - {"state"} == names
    for folder in ("roles", "prompts"):
        found = {path.name for path in (control / folder).iterdir()}
        assert {"planner.md", "builder.md", "reviewer.md"} <= found
    assert "git add .ai-repoagents AGENTS.md WORKFLOW.md && git commit" in done.out
    settings = load(root, {}).settings
    assert settings.tracker.repo == "OWNER/REPO"
    assert "/pyproject.toml" in settings.guardrails.protected_paths


def test_git_sees_only_what_is_to_be_committed(init: Init, root: Path) -> None:
    init("--yes")
    control = root / ".ai-repoagents"
    for name in ("git", "cache", "artifacts", "workspaces", "logs", "reports", "dashboard"):
        (control / name).mkdir()
        (control / name / "x").write_text("x")
    (control / "state/runs.json").write_text("[]")
    (control / "repoagents.env").write_text("GITHUB_TOKEN=...\n")
    assert git(root, "status", "--short").split() == [
        "??", ".ai-repoagents/", "??", "AGENTS.md", "??", "WORKFLOW.md",
    ]  # fmt: skip
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Set up RepoAgents")
    tracked = git(root, "ls-files", ".ai-repoagents").split()
    assert all("/state/" not in path and not path.endswith(".env") for path in tracked)
    assert CONFIG in tracked
    assert init("--yes").code == 0
    assert git(root, "status", "--short") == ""


def test_the_default_is_a_local_folder_that_loads(init: Init, root: Path) -> None:
    done = init()
    assert done.code == 0
    settings = load(root, {}).settings
    assert (settings.tracker.kind, settings.tracker.path) == ("local_markdown", "issues")
    assert settings.workspace.strategy == "worktree"
    assert "issues/1-say-what-is-wrong.md" in done.out
    assert list((root / "issues").iterdir()) == []


def test_a_folder_without_git_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert run(["init"]) == 0
    assert load(folder, {}).settings.workspace.strategy == "copy"
    assert "git add" not in capsys.readouterr().out


def test_it_works_from_below_the_top(
    init: Init, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "tests")
    assert init().code == 0
    assert (root / CONFIG).is_file()
    assert not (root / "tests/.ai-repoagents").exists()


def test_proposed_checks_are_comments_and_with_yes_they_are_set(init: Init, root: Path) -> None:
    done = init()
    assert "Proposed checks are comments in" in done.out
    assert "#     run: python -m pytest -q" in (root / CONFIG).read_text()
    assert load(root, {}).settings.verify == ()
    assert init("--yes", "--force").code == 0
    assert [check.run for check in load(root, {}).settings.verify] == ["python -m pytest -q"]


def test_a_dry_run_writes_nothing_at_all(init: Init, root: Path) -> None:
    before = fingerprint(root)
    done = init("--dry-run", "--preset", "web-app")
    assert done.code == 0
    assert f"create    {CONFIG}" in done.out
    assert fingerprint(root) == before
    init()
    before = fingerprint(root)
    (root / BUILDER).write_text("mine\n")
    edited = fingerprint(root)
    assert "edited" in init("--dry-run", "--upgrade").out
    assert "replace" in init("--dry-run", "--force").out
    assert fingerprint(root) == edited != before


def test_json_says_the_same(init: Init, root: Path) -> None:
    document = json.loads(init("--json", "--preset", "docs-only").out)
    assert document["preset"] == "docs-only"
    assert {"path": CONFIG, "action": "create", "remark": "", "diff": ""} in document["files"]
    assert document["suggested"][0]["run"] == "python -m pytest -q"
    assert document["commit"].startswith("git add .ai-repoagents")


# --- again ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--yes",),
        ("--preset", "web-app", "--tracker-repo", "octo/cat"),
        ("--tracker-kind", "local_file", "--tracker-path", "notes/issues.json"),
    ],
)
def test_twice_is_once(words: tuple[str, ...], init: Init, root: Path) -> None:
    assert init(*words).code == 0
    before = fingerprint(root)
    again = init(*words)
    assert again.code == 0
    assert "Nothing to do" in again.out
    assert fingerprint(root) == before


def test_bare_again_remembers_preset_and_tracker(init: Init, root: Path) -> None:
    init("--preset", "web-app", "--tracker-repo", "octo/cat")
    before = fingerprint(root)
    assert "Nothing to do" in init().out
    assert fingerprint(root) == before


def test_an_existing_configuration_is_not_overwritten(init: Init, root: Path) -> None:
    init()
    (root / CONFIG).write_text((root / CONFIG).read_text() + "\nagent: {retry_limit: 2}\n")
    before = fingerprint(root)
    for words in ((), ("--yes",), ("--tracker-repo", "octo/cat"), ("--preset", "web-app")):
        refused = init(*words)
        assert refused.code == 2
        assert "--upgrade" in refused.err
        assert "--force" in refused.err
        assert fingerprint(root) == before


def test_what_is_missing_is_written_again_and_edits_stay(init: Init, root: Path) -> None:
    init()
    (root / ".ai-repoagents/prompts/planner.md").unlink()
    (root / BUILDER).write_text("mine\n")
    assert drifted(root) == (
        f"{BUILDER} (edited)",
        ".ai-repoagents/prompts/planner.md (missing)",
    )
    assert init("--upgrade").code == 0
    assert (root / ".ai-repoagents/prompts/planner.md").is_file()
    assert (root / BUILDER).read_text() == "mine\n"
    assert drifted(root) == (f"{BUILDER} (edited)",)


def test_upgrade_refreshes_the_unedited_and_shows_the_drift_of_the_edited(
    init: Init, root: Path
) -> None:
    init()
    edited = (root / BUILDER).read_text() + "\nAlways say please.\n"
    (root / BUILDER).write_text(edited)
    config = (root / CONFIG).read_text()
    done = init("--upgrade", "--preset", "python-library")
    assert done.code == 0
    assert "+Always say please." in done.out
    assert f"+++ {BUILDER}" in done.out
    assert (root / BUILDER).read_text() == edited
    planner = ".ai-repoagents/roles/planner.md"
    assert (root / planner).read_text() == preset_texts("python-library")["roles/planner.md"]
    assert (root / CONFIG).read_text() == config
    assert "guardrails of preset python-library: put in by hand" in done.out
    assert drifted(root) == (f"{BUILDER} (edited and outdated)",)
    assert "+Always say please." in init("--upgrade").out


def test_an_older_version_s_text_is_outdated_until_upgrade(init: Init, root: Path) -> None:
    init()
    old = "What an older version wrote.\n"
    (root / BUILDER).write_text(old)
    lock = json.loads((root / LOCK).read_text())
    lock["files"][BUILDER] = hashlib.sha256(old.encode()).hexdigest()
    (root / LOCK).write_text(json.dumps(lock, indent=2) + "\n")
    assert drifted(root) == (f"{BUILDER} (outdated)",)
    assert "outdated: repoagents init --upgrade" in init().out
    assert (root / BUILDER).read_text() == old
    assert init("--upgrade").code == 0
    assert (root / BUILDER).read_text() == preset_texts("none")["roles/builder.md"]
    assert drifted(root) == ()


def test_force_overwrites_and_keeps_a_copy_of_every_edit(init: Init, root: Path) -> None:
    init("--preset", "web-app", "--tracker-repo", "octo/cat")
    edits = {CONFIG: "tracker: {repo: octo/cat}\n", BUILDER: "mine\n"}
    for path, text in edits.items():
        (root / path).write_text(text)
    done = init("--force")
    assert done.code == 0
    (backup,) = (root / ".ai-repoagents/cache/backup").iterdir()
    assert str(backup.relative_to(root)) in done.out
    kept = {str(p.relative_to(backup)): p.read_text() for p in backup.rglob("*") if p.is_file()}
    assert kept == edits
    assert (root / BUILDER).read_text() == preset_texts("web-app")["roles/builder.md"]
    assert load(root, {}).settings.tracker.repo == "octo/cat"
    assert drifted(root) == ()
    assert init("--force").code == 0
    assert len(list((root / ".ai-repoagents/cache/backup").iterdir())) == 1


def test_an_interrupted_init_is_completed_by_the_next(init: Init, root: Path) -> None:
    init()
    whole = fingerprint(root)
    for path in (LOCK, CONFIG, "WORKFLOW.md"):
        (root / path).unlink()
    assert init().code == 0
    assert fingerprint(root) == whole


def test_a_lost_lock_takes_every_edit_for_an_edit(init: Init, root: Path) -> None:
    init()
    (root / LOCK).unlink()
    (root / BUILDER).write_text("mine\n")
    assert drifted(root) == (f"{LOCK} (missing)",)
    assert init("--upgrade").code == 0
    assert (root / BUILDER).read_text() == "mine\n"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"preset": "x", "files": {}}', '{"files": {}}'])
def test_a_damaged_lock_is_an_error_with_its_fix(text: str, init: Init, root: Path) -> None:
    init()
    (root / LOCK).write_text(text)
    before = fingerprint(root)
    done = init("--upgrade")
    assert done.code == 2
    assert "git checkout -- .ai-repoagents/templates.lock" in done.err
    assert fingerprint(root) == before
    assert "templates.lock is damaged" in drifted(root)[0]


# --- other people's files -------------------------------------------------------------------


def test_agents_md_gets_a_block_and_keeps_every_byte(init: Init, root: Path) -> None:
    mine = b"# Agents\r\n\r\nBe kind.\r\n"
    (root / "AGENTS.md").write_bytes(mine)
    assert "our block is added" in init().out
    found = (root / "AGENTS.md").read_bytes()
    assert found.startswith(mine)
    assert found.count(b"\n") == found.count(b"\r\n")
    (root / "AGENTS.md").write_bytes(b"New first line.\r\n" + found + b"Last line without end")
    before = (root / "AGENTS.md").read_bytes()
    assert init("--upgrade").code == 0
    assert (root / "AGENTS.md").read_bytes() == before
    assert drifted(root) == ()


def test_an_edited_block_is_kept_and_forced_with_a_copy(init: Init, root: Path) -> None:
    init()
    text = (root / "AGENTS.md").read_text().replace("Keep to the issue.", "Keep to it.")
    (root / "AGENTS.md").write_text("# Mine\n" + text)
    assert "+- Keep to it." in init("--upgrade").out
    assert "Keep to it." in (root / "AGENTS.md").read_text()
    assert init("--force").code == 0
    assert (root / "AGENTS.md").read_text().startswith("# Mine\n")
    assert "Keep to it." not in (root / "AGENTS.md").read_text()
    (backup,) = (root / ".ai-repoagents/cache/backup").iterdir()
    assert (backup / "AGENTS.md").read_text() == "# Mine\n" + text


def test_broken_marks_stop_init_before_anything_is_written(init: Init, root: Path) -> None:
    (root / "AGENTS.md").write_text("<!-- repoagents:begin -->\nno end\n")
    before = fingerprint(root)
    assert init().code == 2
    assert fingerprint(root) == before


@pytest.mark.parametrize("mode", ["--upgrade", "--force"])
def test_somebody_else_s_workflow_is_never_ours(mode: str, init: Init, root: Path) -> None:
    (root / "WORKFLOW.md").write_text("# How we work\n")
    assert "it was here before" in init().out
    assert init(mode).code == 0
    assert (root / "WORKFLOW.md").read_text() == "# How we work\n"
    assert drifted(root) == ()
    assert "WORKFLOW.md" not in own_paths(load(root, {}).settings, root)


def test_own_paths_follow_the_marks_and_the_tracker(init: Init, root: Path) -> None:
    init("--tracker-kind", "local_file", "--tracker-path", "notes/todo.json")
    own = own_paths(load(root, {}).settings, root)
    assert own == (
        ".ai-repoagents",
        "AGENTS.md",
        "WORKFLOW.md",
        "notes/todo.json",
    )
    (root / "AGENTS.md").write_text("# Mine alone\n")
    assert "AGENTS.md" not in own_paths(load(root, {}).settings, root)


@pytest.mark.parametrize("path", [".ai-repoagents", BUILDER, CONFIG])
def test_a_link_in_the_place_of_a_file_is_refused(
    path: str, init: Init, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(outside if path == ".ai-repoagents" else outside / "file")
    before = fingerprint(root)
    done = init()
    assert done.code == 2
    assert "is a symbolic link to" in done.err
    assert fingerprint(root) == before
    assert list(outside.iterdir()) == []


def test_a_read_only_file_is_refused_before_anything_is_written(init: Init, root: Path) -> None:
    init()
    (root / BUILDER).write_text("mine\n")
    (root / BUILDER).chmod(0o444)
    before = fingerprint(root)
    done = init("--force")
    assert done.code == 2
    assert f"{BUILDER} is read-only" in done.err
    assert fingerprint(root) == before


def test_modes_of_files_that_are_rewritten_stay(init: Init, root: Path) -> None:
    init()
    (root / BUILDER).write_text("mine\n")
    (root / BUILDER).chmod(0o640)
    init("--force")
    assert (root / BUILDER).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["AGENTS.md", "WORKFLOW.md"])
def test_a_link_to_another_tools_file_is_left_as_it_is(name: str, init: Init, root: Path) -> None:
    (root / "CLAUDE.md").write_text("Be kind.\n")
    (root / name).symlink_to("CLAUDE.md")
    for words in ((), ("--upgrade",), ("--force",), ("--yes", "--force")):
        done = init(*words)
        assert done.code == 0, done.err
        assert f"kept      {name}  (a link to CLAUDE.md: left as it is)" in done.out
    assert (root / name).is_symlink()
    assert (root / "CLAUDE.md").read_text() == "Be kind.\n"
    assert drifted(root) == ()
    assert name not in own_paths(load(root, {}).settings, root)


def test_a_checkout_with_foreign_line_ends_is_nothing_to_do(init: Init, root: Path) -> None:
    init("--preset", "web-app")
    written = [path for path in root.rglob("*") if path.suffix in {".md", ".yaml", ".lock"}]
    for path in written:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = fingerprint(root)
    assert drifted(root) == ()
    for words in (("--preset", "web-app"), (), ("--upgrade",), ("--force",)):
        assert "Nothing to do" in init(*words).out
    assert fingerprint(root) == before


def test_a_bare_repository_has_nothing_to_work_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    monkeypatch.chdir(bare)
    before = fingerprint(bare)
    assert run(["init", "--yes"]) == 2
    assert "is a bare git repository" in capsys.readouterr().err
    assert fingerprint(bare) == before


def test_a_worktree_of_a_repository_is_a_place_of_its_own(
    init: Init, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path / "second")
    assert init().code == 0
    assert load(tmp_path / "second", {}).settings.workspace.strategy == "worktree"
    assert not (root / ".ai-repoagents").exists()


def test_a_repository_without_commits_and_a_strange_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'ein Ördner \N{SNOWMAN} "q" $x'
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    monkeypatch.chdir(folder)
    assert run(["init", "--yes"]) == 0
    (line,) = (row for row in capsys.readouterr().out.splitlines() if "git add" in row)
    subprocess.run(["sh", "-euc", line], cwd=folder, check=True, capture_output=True)
    assert git(folder, "status", "--short") == ""


def test_the_line_to_commit_is_typed_where_we_stand(
    init: Init, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "tests")
    (line,) = (row for row in init().out.splitlines() if "git add" in row)
    subprocess.run(["sh", "-euc", line], cwd=root / "tests", check=True, capture_output=True)
    assert git(root, "status", "--short") == ""
    assert CONFIG in git(root, "ls-files")


@pytest.mark.parametrize("folder", [".", ".ai-repoagents"])
def test_a_read_only_folder_is_refused_before_anything_is_written(
    folder: str, init: Init, root: Path
) -> None:
    (root / ".ai-repoagents").mkdir()
    (root / folder).chmod(0o555)
    before = fingerprint(root)
    done = init()
    (root / folder).chmod(0o755)
    assert done.code == 2
    assert "is read-only" in done.err
    assert fingerprint(root).keys() == before.keys()


@pytest.mark.parametrize("kind", ["local_file", "local_markdown"])
def test_a_place_of_the_wrong_sort_is_refused(kind: str, init: Init, root: Path) -> None:
    if kind == "local_file":
        (root / "issues.json").mkdir()
    else:
        (root / "issues").write_text("not a folder\n")
    before = fingerprint(root)
    done = init("--tracker-kind", kind)
    assert done.code == 2
    assert f"which {kind} needs" in done.err
    assert fingerprint(root) == before


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe not text\n",
        b"x" * 1_000_001,
        b"<!-- repoagents:end -->\n<!-- repoagents:begin -->\n",
        b"<!-- repoagents:begin --><!-- repoagents:end -->" * 2,
        b"the mark `<!-- repoagents:begin -->` is quoted\n",
    ],
)
def test_an_agents_md_that_cannot_take_a_block_stops_everything(
    content: bytes, init: Init, root: Path
) -> None:
    (root / "AGENTS.md").write_bytes(content)
    before = fingerprint(root)
    for words in ((), ("--force",)):
        done = init(*words)
        assert done.code == 2
        assert "AGENTS.md" in done.err
    assert fingerprint(root) == before


@pytest.mark.parametrize(
    "mine", [b"# Mine", b"# Mine\r\nmixed\n", b"\xef\xbb\xbf# Mine\n", b"a\rb\r"]
)
def test_every_way_to_end_a_line_is_kept(mine: bytes, init: Init, root: Path) -> None:
    (root / "AGENTS.md").write_bytes(mine)
    assert init().code == 0
    found = (root / "AGENTS.md").read_bytes()
    assert found.startswith(mine)
    assert "Nothing to do" in init().out
    assert "Nothing to do" in init("--upgrade").out
    assert (root / "AGENTS.md").read_bytes() == found
    assert drifted(root) == ()


# --- usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--upgrade", "--force"), "give one of them"),
        (("--upgrade", "--tracker-repo", "a/b"), "leaves the configuration alone"),
        (("--tracker-kind", "github"), "needs --tracker-repo OWNER/REPO"),
        (("--tracker-kind", "local_file", "--tracker-repo", "a/b"), "does not go with"),
        (("--tracker-repo", "a/b", "--tracker-path", "x"), "is for local trackers"),
        (("--tracker-repo", "not-a-slug"), "expected OWNER/REPO, given 'not-a-slug'"),
        (("--tracker-repo", "a/b\nsafety: {allow_open_pr: true}"), "expected OWNER/REPO"),
        (("--tracker-path", "../elsewhere"), "expected a path inside the repository"),
        (("--tracker-path", "../elsewhere"), "nothing was written: "),
        (("--tracker-path", " "), "expected a path inside the repository, given ' '"),
        (("--tracker-path", "a\0b"), "holds a NUL"),
        (("--preset", "rails"), "is not one of"),
        (("--upgrade",), "there is no .ai-repoagents/repoagents.yaml to upgrade"),
    ],
)
def test_wrong_usage_is_exit_2_and_leaves_no_trace(
    words: tuple[str, ...], said: str, init: Init, root: Path
) -> None:
    before = fingerprint(root)
    done = init(*words)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""
    assert fingerprint(root) == before


def test_a_configuration_that_the_environment_spoils_is_said_at_once(
    init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOAGENTS_AGENT__RETRY_LIMIT", "lots")
    done = init()
    assert done.code == 0
    assert "warning: REPOAGENTS_AGENT__RETRY_LIMIT: agent.retry_limit: expected" in done.err


class Terminal:
    """`repoagents init` at a real terminal of its own, answered key by key."""

    def __init__(self, root: Path) -> None:
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(root)
            os.execv(sys.executable, [sys.executable, "-m", "repoagents", "init"])
        self.said = ""

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question and type."""
        self.read_until(lambda: question in self.said)
        self.said = ""
        os.write(self.screen, keys.encode())

    def leave(self, question: str, key: str) -> None:
        """Press a key at a question until it is heard.

        Python loses one that comes between the question and the wait for its answer.
        """
        self.answer(question, key)
        for _ in range(200):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.5)
            with suppress(OSError):
                os.write(self.screen, key.encode())

    def end(self) -> tuple[int, str]:
        """The exit code as a shell has it, and what was said after the last answer.

        A second Ctrl-C ends Python by the signal while it shuts down: of that a shell makes 130.
        """
        self.read_until(lambda: False)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.screen)
        code = os.waitstatus_to_exitcode(status)
        return (128 - code if code < 0 else code), self.said

    def read_until(self, enough: Callable[[], bool]) -> None:
        """Read what is said; a terminal whose program has ended is an `OSError`."""
        with suppress(OSError):
            while not enough():
                ready, _, _ = select.select([self.screen], [], [], 200)
                assert ready, f"it says nothing more after: {self.said}"
                self.said += os.read(self.screen, 4096).decode(errors="replace")


ANSWERS = [
    ("Preset (", "python-library\r"),
    ("Tracker (", "local_file\r"),
    ("Its file or folder", "notes.json\r"),
    ("python -m pytest -q  (tests/ holds Python tests)? [Y/n]", "y\r"),
]


def test_at_a_terminal_it_asks_and_a_person_accepts(root: Path) -> None:
    terminal = Terminal(root)
    for question, keys in ANSWERS:
        terminal.answer(question, keys)
    code, said = terminal.end()
    assert code == 0, said
    assert "Commit it:" in said
    settings = load(root, {}).settings
    assert settings.tracker.path == "notes.json"
    assert settings.guardrails.max_files == 20
    assert [check.run for check in settings.verify] == ["python -m pytest -q"]


@pytest.mark.parametrize("keys", ["\x03", "\x04"], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize("answered", range(len(ANSWERS)))
def test_leaving_in_the_middle_of_a_question_writes_nothing(
    answered: int, keys: str, root: Path
) -> None:
    before = fingerprint(root)
    terminal = Terminal(root)
    for question, typed in ANSWERS[:answered]:
        terminal.answer(question, typed)
    terminal.leave(ANSWERS[answered][0], keys)
    code, said = terminal.end()
    assert code == 130, said
    assert "Traceback" not in said
    assert fingerprint(root) == before


def test_a_wrong_answer_is_asked_again_and_a_bad_name_writes_nothing(root: Path) -> None:
    before = fingerprint(root)
    terminal = Terminal(root)
    terminal.answer("Preset (", "rails\r")
    terminal.answer("'rails' is not one of", "\r")
    terminal.answer("Tracker (", "github\r")
    terminal.answer("Repository (OWNER/REPO)", "not a slug\r")
    terminal.answer("[Y/n]", "n\r")
    code, said = terminal.end()
    assert code == 2
    assert "expected OWNER/REPO, given 'not a slug'" in said
    assert fingerprint(root) == before


def test_killed_while_it_writes_it_is_completed_by_the_next(init: Init, root: Path) -> None:
    """Whatever part of the files was there, the next `init` makes it whole; none is cut short."""
    init("--preset", "docs-only")
    whole = fingerprint(root)
    written = [p for p in whole if (root / p).is_file() and p.startswith((".ai-", "A", "W"))]
    for left in range(0, len(written), 3):
        for path in written[left:]:
            (root / path).unlink(missing_ok=True)
        assert init("--preset", "docs-only").code == 0
        assert fingerprint(root) == whole


# --- config show and schema -----------------------------------------------------------------


def test_config_show_names_every_origin_and_no_secret(
    init: Init, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init()
    env = root / ".ai-repoagents/repoagents.env"
    env.write_text("GITHUB_TOKEN=ghp_verysecret\nREPOAGENTS_AGENT__RETRY_LIMIT=2\nX=...\n")
    env.chmod(0o600)
    monkeypatch.setenv("REPOAGENTS_STATE__DATABASE_URL", "postgresql://u:hunter22@h/d")
    assert run(["config", "show"]) == 0
    out, err = capsys.readouterr()
    rows = {line.split()[0]: line.split(maxsplit=2) for line in out.splitlines()}
    assert rows["tracker.kind"][1:] == ["local_markdown", f"{CONFIG}:2"]
    assert rows["codex.command"][1:] == ["codex", "default"]
    assert rows["agent.retry_limit"][2].endswith(".ai-repoagents/repoagents.env:2")
    assert rows["$GITHUB_TOKEN"][1] == "[redacted]"
    assert rows["state.database_url"][2] == "REPOAGENTS_STATE__DATABASE_URL"
    assert "placeholder for X" in err
    assert run(["config", "show", "--json"]) == 0
    text = capsys.readouterr().out
    values = {row["key"]: row for row in json.loads(text)["values"]}
    assert values["agent.retry_limit"]["value"] == 2
    for secret in ("ghp_verysecret", "hunter22"):
        assert secret not in out + err + text


def test_config_show_of_a_bad_file_is_exit_2_with_every_line(
    init: Init, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init()
    (root / CONFIG).write_text("trakcer: {}\nagent: {retry_limit: 0}\n")
    assert run(["config", "show"]) == 2
    err = capsys.readouterr().err
    assert f"{CONFIG}:1: trakcer is not a known key; the nearest is tracker" in err
    assert f"{CONFIG}:2: agent.retry_limit: expected a whole number from 1 to 10, given 0" in err


def test_config_schema_needs_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["config", "schema"]) == 0
    assert "tracker" in json.loads(capsys.readouterr().out)["properties"]
    assert run(["config", "schema", "--markdown"]) == 0
    assert "# Configuration" in capsys.readouterr().out


def test_without_a_control_plane_init_is_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "show"]) == 2
    assert "repoagents init" in capsys.readouterr().err


def test_nobody_waits_long_for_a_github_that_says_nothing(
    root: Path, init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--tracker-repo", "octo/numbers", "--yes")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("REPOAGENTS_TRACKER__API_URL", url)
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_refused")
        monkeypatch.setattr("repoagents.cli.init.PATIENCE_SECONDS", 0.1)
        assert "asking GitHub" not in init(*words, "--dry-run").err
        told = init(*words)
    # Its connection ends with the server.
    for asking in (thread for thread in threading.enumerate() if thread.name == "ask"):
        asking.join(60)
        assert not asking.is_alive()
    assert (told.code, (root / CONFIG).is_file()) == (0, True)
    assert "GitHub has not answered yet; `repoagents doctor` asks again" in told.err
    assert "gh issue edit NUMBER --repo octo/numbers" in told.out
