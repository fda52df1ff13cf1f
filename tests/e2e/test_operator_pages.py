"""The pages that an operator looks things up in say what the program says."""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from repoagents.config.keys import catalogue
from repoagents.domain.reports import Role
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import AgentSettings
from repoagents.policy import retry
from tests.prepared import run_prepared

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "repoagents").rglob("*.py"))
EVENTS = ROOT / "docs" / "events.md"
TROUBLE = ROOT / "docs" / "troubleshooting.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
RECOVER = ROOT / "docs" / "how-to" / "recover-from-failure.md"
SCRIPTS = ROOT / "docs" / "how-to" / "scripts.md"
COSTS_NOTHING = "yes, and it costs no attempt"
LEVELS = {"note": "info", "warn": "warning"}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def noted() -> Iterator[tuple[str, str]]:
    """Pattern and level of each event that the program may write: literals given to a journal."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            journal = ast.unparse(node.func.value).rpartition(".")[2].lstrip("_") == "journal"
            if journal and node.func.attr in LEVELS:
                yield pattern(node.args[0]), LEVELS[node.func.attr]
            elif journal and node.func.attr == "write" and isinstance(node.args[1], ast.Constant):
                yield pattern(node.args[1]), "as it was"


def pattern(code: ast.expr) -> str:
    """What an event's code looks like: the literal, with anything where a value is put in."""
    parts = code.values if isinstance(code, ast.JoinedStr) else [code]
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+" for part in parts
    )


def rows() -> dict[str, str]:
    """The page's codes with their levels."""
    found = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| .+\. \|$", EVENTS.read_text(), re.MULTILINE)
    assert len(found) == len(dict(found)), "a code stands twice"
    return dict(found)


def test_every_event_has_a_row_and_every_row_is_an_event() -> None:
    events, page = set(noted()), rows()
    assert len(events) > 20
    for code, level in events:
        known = [name for name in page if re.fullmatch(code, name)]
        assert known, f"docs/events.md lacks {code}"
        assert {page[name] for name in known} == {level}, code
    stale = [name for name in page if not any(re.fullmatch(code, name) for code, _ in events)]
    assert stale == []
    assert list(page) == sorted(page)


def test_the_page_of_troubles_names_every_warning() -> None:
    warnings = {code for code, level in rows().items() if level == "warning"}
    named = set(re.findall(r"`(\w+)`", TROUBLE.read_text(encoding="utf-8")))
    assert warnings - named - {"issue_unread"} == set()


def told() -> list[str]:
    """What stands in quotes in bold: words of the program that a reader searches for."""
    text = " ".join(TROUBLE.read_text(encoding="utf-8").split())
    bold = re.findall(r"\*\*(.+?)\*\*", text)
    return [quoted for part in bold for quoted in re.findall(r'"([^"]+?)[.,]?"', part)]


@pytest.mark.parametrize("words", told())
def test_a_symptom_is_in_the_programs_own_words(words: str) -> None:
    """Each piece between values stands in a message; a message may be split over lines."""
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(p.read_text("utf-8") for p in SOURCES))
    said = re.sub(r"\{[^{}]*\}", "{}", said)
    wanted = re.escape(words).replace(r"\.\.\.", r"\{\}").replace("issues\\.json", r"\{\}")
    wanted = wanted.replace(r"\.ai\-repoagents", r"(?:\.ai-repoagents|\{\})")
    assert re.search(wanted, said), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_keys_in_the_pages_exist(page: Path) -> None:
    """Whatever looks like a key of one of our sections is one."""
    names = {key.name for key in catalogue()} | {"tracker.lock", "webhook.json"}
    sections = "|".join({key.path[0] for key in catalogue()} - {"command", "state", "logging"})
    text = page.read_text(encoding="utf-8")
    for key in re.findall(rf"`((?:{sections})\.[a-z_.]+?)(?::[^`]*)?`", text):
        assert key in names or key.replace("roles.role", "roles.builder") in names, key


def linked(page: Path) -> set[Path]:
    """The pages that a page has links to."""
    found = re.findall(r"\]\((?![a-z]+:)([^)#]+\.md)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in found}


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    assert index in linked(ROOT / "README.md")
    decisions = index.parent / "decisions" / "README.md"
    assert set(PAGES) - linked(index) - linked(decisions) == {index}


def table(heading: str, page: Path = GLOSSARY) -> list[str]:
    """The first column below a heading, without marks."""
    part = page.read_text(encoding="utf-8").partition(f"{heading}\n")[2].partition("\n#")[0]
    return [cell.strip("` ") for cell in re.findall(r"^\| ([^|]+) \|", part, re.MULTILINE)][1:]


def test_the_glossary_has_every_status_stage_and_role() -> None:
    assert table("## Statuses of a run") == [status.value for status in RunStatus]
    assert table("## Stages of an attempt") == [stage.value for stage in Stage]
    assert table("## Roles") == [role.value for role in Role]


def test_the_glossary_is_in_order_and_knows_our_words() -> None:
    rows = table("# Glossary")
    assert rows == sorted(rows)
    words = {word for row in rows for word in row.split(", ")}
    ours = "issue label delivery base head run attempt stage role engine agent worktree eligible"
    ours += " tick reconcile dispatch finding verdict effect gate withheld receipt ledger snapshot"
    assert set(f"{ours} preset doctor check phase pulse brief dashboard".split()) <= words
    assert "handoff bundle" in words


def test_the_way_out_of_every_status_is_told() -> None:
    assert table("## What each status asks of you", RECOVER) == [each.value for each in RunStatus]


def test_reasons_are_told_as_the_policy_treats_them() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    run = Run("1", 1, "", "", RunStatus.IN_PROGRESS, now, now)
    blocking, again = set(), {}
    for kind in FailureClass:
        match retry.decide(Failure(kind, ""), run, AgentSettings(), now, 0.5):
            case retry.RetryAt(spent=spent):
                again[kind.value] = "until `agent.retry_limit`" if spent else COSTS_NOTHING
            case retry.Block() if kind is not FailureClass.CANCELLED:
                blocking.add(kind.value)
            case _:
                again[kind.value] = "no"
    told = " ".join(table("## Why a run is blocked", RECOVER))
    assert set(re.findall(r"\w+", told)) == blocking
    waits = RECOVER.read_text(encoding="utf-8").partition("## Why a run waits")[2]
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", waits, re.MULTILINE)
    assert {kind: how for names, how in rows for kind in re.findall(r"\w+", names)} == again


def test_the_page_for_scripts_has_every_key_of_the_status(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    init = ["init", "--tracker-kind", "local_markdown", "--yes"]
    assert run_prepared(init, cwd=tmp_path, env=os.environ).returncode == 0
    shown = run_prepared(["status", "--json"], cwd=tmp_path, env=os.environ)
    assert set(table("# Use the answers in scripts", SCRIPTS)) == set(json.loads(shown.stdout))


def test_every_reason_of_a_block_or_failure_is_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES if page != EVENTS)
    assert [kind.value for kind in FailureClass if f"`{kind}`" not in pages] == []


def test_the_security_model_has_every_guardrail() -> None:
    found = r'(?:[Ff]inding\(\s*|yield )"([a-z_]+)",\s*(?:Severity|severity|weight)'
    rules = {rule for path in SOURCES for rule in re.findall(found, path.read_text("utf-8"))}
    assert len(rules) > 18
    section = (ROOT / "docs/security.md").read_text(encoding="utf-8").partition("| rule |")[2]
    listed = re.findall(r"^\| (`[^|]+) \| \w+ \|", section, re.MULTILINE)
    assert {rule for row in listed for rule in re.findall(r"`(\w+)`", row)} == rules
