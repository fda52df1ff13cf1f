"""Values with sensible defaults for the tests of policy and views."""

from dataclasses import replace
from datetime import UTC, datetime

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.issue import Issue
from repoagents.domain.reports import (
    BuildReport,
    CheckOutcome,
    CheckResult,
    CriterionRow,
    Decision,
    Plan,
    Review,
    Verification,
)
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.policy.verdict import Evidence

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
TREE = "7" * 40


def an_issue(**over: object) -> Issue:
    return replace(
        Issue(7, "Totals are off by one", "The last row is left out.", ("repoagents",)), **over
    )


def a_run(status: RunStatus = RunStatus.QUEUED, **over: object) -> Run:
    issue = an_issue()
    made = Run("r7a", issue.number, issue.title, issue.fingerprint, status, NOW, NOW)
    return replace(made, **over)


def a_failure(kind: str = "engine_crash", message: str = "it broke") -> Failure:
    return Failure(FailureClass(kind), message)


def a_plan(**over: object) -> Plan:
    made = Plan(
        "Count the last row.",
        ("Change the range.", "Add a test."),
        ("src/totals.py",),
        ("The last row is counted.", "A test proves it."),
    )
    return replace(made, **over)


def a_file(path: str, patch: str = "", **over: object) -> FileChange:
    lines = patch.splitlines()
    made = FileChange(
        path,
        ChangeKind.MODIFIED,
        "100644",
        "100644",
        sum(line.startswith("+") for line in lines),
        sum(line.startswith("-") for line in lines),
        100,
    )
    return replace(made, **over)


def git_patch(path: str, body: str) -> str:
    """A patch of one hunk as git writes it; each line of `body` begins with ' ', '+' or '-'."""
    lines = body.splitlines()
    before = sum(not line.startswith("+") for line in lines)
    after = sum(not line.startswith("-") for line in lines)
    old = f"a/{path}" if before else "/dev/null"
    new = f"b/{path}" if after else "/dev/null"
    mode = "" if before and after else f"{'deleted' if before else 'new'} file mode 100644\n"
    head = f"diff --git a/{path} b/{path}\n{mode}index 1111111..2222222\n--- {old}\n+++ {new}\n"
    return f"{head}@@ -{int(bool(before))},{before} +{int(bool(after))},{after} @@\n" + "".join(
        f"{line}\n" for line in lines
    )


def a_change(*files: tuple[str, str] | FileChange, **over: object) -> ChangeSet:
    """A change of files given as (path, hunk body) or as they are."""
    changed, patches = [], []
    for each in files:
        if isinstance(each, FileChange):
            changed.append(each)
        else:
            path, body = each
            changed.append(a_file(path, body))
            patches.append(git_patch(path, body))
    made = ChangeSet("b" * 40, TREE, tuple(changed), "".join(patches), "d" * 64)
    return replace(made, **over)


def a_result(name: str = "unit", **over: object) -> CheckResult:
    made = CheckResult(
        name, "unit", "pytest -q", True, CheckOutcome.PASSED, 0, 1.25, "3 passed", "e" * 64
    )
    return replace(made, **over)


def a_failed_result(name: str = "unit", **over: object) -> CheckResult:
    changes: dict[str, object] = {
        "outcome": CheckOutcome.FAILED,
        "exit_code": 1,
        "tail": "E   assert 2 == 3\n1 failed",
    }
    return replace(a_result(name), **(changes | over))


def a_review(**over: object) -> Review:
    rows = (CriterionRow(1, True, "totals.py:4"), CriterionRow(2, True, "test_totals.py:9"))
    return replace(Review(Decision.APPROVE, rows, summary="Good."), **over)


def an_evidence(**over: object) -> Evidence:
    made = Evidence(
        change=a_change(("src/totals.py", "-    rows[:-1]\n+    rows")),
        plan=a_plan(),
        build=BuildReport("Counted the last row.", ("src/totals.py",)),
        findings=(),
        verification=Verification(TREE, (a_result(),)),
        base=Verification("0" * 40, (a_result(),)),
        review=a_review(),
        round=1,
        round_limit=4,
        reviewer_enabled=True,
        checks_configured=True,
    )
    return replace(made, **over)
