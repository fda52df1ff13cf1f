"""The JSON tracker writes its comments between what people typed, and moves nothing."""

import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.effect import PostComment
from repoagents.domain.settings import Settings, TrackerSettings
from repoagents.errors import TrackerError
from repoagents.logs import Redactor
from repoagents.store.artifacts import FileArtifacts
from repoagents.trackers import make_tracker, spans
from repoagents.trackers.files import edit_text
from repoagents.trackers.local_file import LocalFileTracker

MARKER = "<!-- repoagents:0123abcd:issue=2 -->"
EFFECT = PostComment("run-1", 2, MARKER, "All done.")
BODY = f"{MARKER}\nAll done."


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".ai-repoagents").mkdir()
    return tmp_path


def tracker_in(root: Path, text: str | bytes = "[]") -> LocalFileTracker:
    content = text if isinstance(text, bytes) else text.encode()
    (root / "issues.json").write_bytes(content)
    control = root / ".ai-repoagents"
    return LocalFileTracker(
        root, root / "issues.json", control, FileArtifacts(control, Redactor(()))
    )


def written(root: Path) -> str:
    return (root / "issues.json").read_bytes().decode()


def test_an_object_with_issues_is_as_good_as_an_array(root: Path) -> None:
    tracker = tracker_in(root, '{"made_by": "hand", "issues": [{"id": 4, "title": "T"}]}')
    assert [issue.number for issue in tracker.read_issues()] == [4]


def test_layout_and_unknown_fields_stay_as_typed(root: Path) -> None:
    text = (
        '{\n    "note":   "odd  spacing",\n    "issues": [\n'
        '        { "id": 1, "title": "One", "labels": ["a","b"], "weight": 1.50 },\n'
        '        {\n            "id": 2,\n            "title": "Two",\n'
        '            "mine": {"deep": [1,2]}\n        }\n    ]\n}\n'
    )
    tracker_in(root, text).perform(EFFECT)
    assert written(root) == text.replace(
        '"mine": {"deep": [1,2]}\n',
        '"mine": {"deep": [1,2]},\n            "comments": [\n                {\n'
        '                    "author": "repoagents",\n'
        f'                    "body": {json.dumps(BODY)}\n'
        "                }\n            ]\n",
    )


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ("[]", '[{"author": "repoagents", "body": BODY}]'),
        ("null", '[{"author": "repoagents", "body": BODY}]'),
        ('["Hello"]', '["Hello", BODY]'),
        ('[{"body":"Hello"}]', '[{"body":"Hello"}, {"author": "repoagents", "body": BODY}]'),
        (
            '[{"body":"Hello"},{"at":1,"body":OLD,"x":2}]',
            '[{"body":"Hello"},{"at":1,"body":BODY,"x":2}]',
        ),
        ("[OLD,  OTHER]", "[BODY,  OTHER]"),
    ],
)
def test_comments_keep_the_shape_they_have(root: Path, comments: str, expected: str) -> None:
    def filled(text: str) -> str:
        text = text.replace("BODY", json.dumps(BODY))
        text = text.replace("OLD", json.dumps(f"{MARKER}\nOld."))
        return text.replace("OTHER", json.dumps("Somebody's."))

    issue = '[{"id":2,"title":"Two","comments":COMMENTS,"z":0}]'
    tracker_in(root, filled(issue.replace("COMMENTS", comments))).perform(EFFECT)
    assert written(root) == filled(issue.replace("COMMENTS", expected))


def test_comments_join_an_indented_list(root: Path) -> None:
    issues = [{"id": 2, "title": "Two", "comments": [{"author": "ann", "body": "Hello"}]}]
    text = json.dumps(issues, indent="\t").replace("\n", "\r\n") + "\r\n"
    tracker_in(root, text).perform(EFFECT)
    issues[0]["comments"].append({"author": "repoagents", "body": BODY})  # type: ignore[attr-defined]
    assert written(root) == json.dumps(issues, indent="\t").replace("\n", "\r\n") + "\r\n"


def test_a_byte_order_mark_and_a_missing_last_line_end_stay(root: Path) -> None:
    tracker_in(root, '\ufeff[{"id": 2, "title": "Two"}]').perform(EFFECT)
    assert written(root).startswith('\ufeff[{"id": 2')
    assert written(root).endswith("}]")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    extra=st.dictionaries(st.text().filter(lambda name: name != "comments"), json_values),
    others=st.lists(json_values, max_size=3),
    indent=st.sampled_from([None, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
)
def test_only_the_comment_differs_whatever_the_document(
    extra: dict[str, object], others: list[object], indent: int | str | None, ascii_only: bool
) -> None:
    issue = {**extra, "id": 2}
    text = json.dumps([*others, issue], indent=indent, ensure_ascii=ascii_only)
    span = spans.items(text, spans.root(text))[-1]
    lead = spans.lead(text, span)
    after = spans.append(text, span, f'"comments": {spans.render(text, lead, ["new"])}')
    # The standard library lays an added member out in the same way.
    grown = [*others, {**issue, "comments": ["new"]}]
    assert after == json.dumps(grown, indent=indent, ensure_ascii=ascii_only)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"issues\.json:1: not JSON"),
        ('[\n{"id": 1,\n"title" "x"}]', r"issues\.json:3: not JSON"),
        ("[] []", r"issues\.json:1: not JSON"),
        ("[" * 100_000, r"issues\.json:1: not JSON: nested too deeply"),
        ('[{"id": ' + "9" * 5000 + "}]", r"issues\.json:1: not JSON: a number in it is too long"),
        ('{"tickets": []}', r"issues\.json:1: neither an array"),
        ('"issues"', r"issues\.json:1: neither an array"),
        (b"[\n\xff]", r"issues\.json:2: not UTF-8"),
    ],
)
def test_a_broken_file_is_named_with_its_line(root: Path, text: str | bytes, message: str) -> None:
    tracker = tracker_in(root, text)
    for read in (tracker.read_issues, lambda: tracker.read_issue(1)):
        with pytest.raises(TrackerError, match=message):
            read()


@pytest.mark.parametrize(
    ("issue", "problem"),
    [
        ("7", "must be an object"),
        ('{"title": "T"}', "no `id`"),
        ('{"id": 0, "title": "T"}', "no `id`"),
        ('{"id": true, "title": "T"}', "no `id`"),
        ('{"id": "x", "title": "T"}', "no `id`"),
        ('{"id": 1}', "no title"),
        ('{"id": 1, "title": 5}', "title is not text"),
        ('{"id": 1, "title": "T", "body": []}', "body is not text"),
        ('{"id": 1, "title": "T", "labels": {}}', "labels are not a list"),
        ('{"id": 1, "title": "T", "labels": [1]}', "label is not text"),
        ('{"id": 1, "title": "T", "state": "done"}', "neither open nor closed"),
        ('{"id": 1, "title": "T", "comments": 3}', "comments are not a list"),
    ],
)
def test_a_broken_issue_hides_no_other(root: Path, issue: str, problem: str) -> None:
    tracker = tracker_in(root, f'[\n{issue},\n{{"id": 2, "title": "Two"}}]')
    assert [found.number for found in tracker.read_issues()] == [2]
    assert problem in tracker.problems[0]
    assert "issues.json:2" in tracker.problems[0]
    with pytest.raises(TrackerError, match=problem):
        tracker.read_issue(1)


def test_numbers_may_be_typed_as_text(root: Path) -> None:
    assert tracker_in(root, '[{"id": "007", "title": "T"}]').read_issue(7) is not None


def test_a_missing_file_says_how_to_make_it(root: Path) -> None:
    tracker = tracker_in(root)
    (root / "issues.json").unlink()
    with pytest.raises(TrackerError, match=r"no issues\.json") as caught:
        tracker.read_issues()
    assert caught.value.next_step == "Create it: echo '[]' > issues.json"


def test_an_oversized_file_is_refused(root: Path) -> None:
    tracker = tracker_in(root, b" " * 10_000_001)
    with pytest.raises(TrackerError, match="larger than 10 MB"):
        tracker.read_issues()


def test_the_files_mode_stays(root: Path) -> None:
    tracker = tracker_in(root, '[{"id": 2, "title": "Two"}]')
    (root / "issues.json").chmod(0o664)
    tracker.perform(EFFECT)
    assert stat.S_IMODE((root / "issues.json").stat().st_mode) == 0o664


def test_an_edit_made_meanwhile_is_kept(root: Path) -> None:
    tracker_in(root, "one")
    path = root / "issues.json"
    seen: list[str] = []

    def edit(text: str) -> str:
        seen.append(text)
        if len(seen) == 1:
            path.write_text("one and a person's edit")
        return f"{text} and ours"

    edit_text(path, root / ".ai-repoagents", edit)
    assert path.read_text() == "one and a person's edit and ours"
    assert len(seen) == 2


def test_a_file_that_never_rests_is_left_alone(root: Path) -> None:
    tracker_in(root, "0")
    path = root / "issues.json"

    def edit(text: str) -> str:
        path.write_text(str(int(text) + 1))
        return "ours"

    with pytest.raises(TrackerError, match="keeps changing"):
        edit_text(path, root / ".ai-repoagents", edit)
    assert path.read_text() == "5"


def test_writers_at_the_same_time_lose_no_comment(root: Path) -> None:
    issues = [{"id": number, "title": "T"} for number in range(1, 9)]
    tracker = tracker_in(root, json.dumps(issues))
    effects = [PostComment("r", n, f"<!-- repoagents:i:issue={n} -->", "x") for n in range(1, 9)]
    threads = [threading.Thread(target=tracker.perform, args=(effect,)) for effect in effects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(issue.comments) for issue in tracker.read_issues()] == [1] * 8


def test_a_failed_write_leaves_the_file_as_it_was(root: Path) -> None:
    tracker = tracker_in(root, '[{"id": 2, "title": "Two"}]')
    before = written(root)
    (root / ".ai-repoagents" / "cache").write_text("a file where a folder should be")
    with pytest.raises(TrackerError, match=r"issues\.json cannot be written: File exists"):
        tracker.perform(EFFECT)
    assert written(root) == before


def test_settings_choose_the_tracker(root: Path) -> None:
    tracker_in(root, '[{"id": 2, "title": "Two"}]')
    (root / "other.json").write_text('[{"number": 5, "title": "Five"}]')
    (root / "tickets").mkdir()
    (root / "tickets" / "9.md").write_text("# Nine\n")
    artifacts = FileArtifacts(root, Redactor(()))

    def numbers(**tracker: str) -> list[int]:
        settings = Settings(tracker=TrackerSettings(**tracker))  # type: ignore[arg-type]
        made = make_tracker(settings, root, root / ".ai-repoagents", artifacts)
        return [issue.number for issue in made.read_issues()]

    assert numbers(kind="local_file") == [2]
    assert numbers(kind="local_markdown", path="tickets") == [9]
    assert numbers(mode="fixture", fixtures_path="other.json") == [5]
    with pytest.raises(TrackerError, match="outside"):
        numbers(kind="local_file", path="../elsewhere.json")


def test_a_fixture_leaves_pull_requests_out(root: Path) -> None:
    (root / "f.json").write_text(
        '[{"number": 1, "title": "A", "pull_request": {"url": "x"}}, {"number": 2, "title": "B",'
        ' "user": {"login": "ann"}, "created_at": "2026-01-02T03:04:05Z", "body": null}]'
    )
    settings = Settings(tracker=TrackerSettings(mode="fixture", fixtures_path="f.json"))
    tracker = make_tracker(
        settings, root, root / ".ai-repoagents", FileArtifacts(root, Redactor(()))
    )
    (issue,) = tracker.read_issues()
    assert (issue.number, issue.author, issue.body) == (2, "ann", "")
    assert issue.created_at is not None
    assert issue.created_at.isoformat() == "2026-01-02T03:04:05+00:00"
