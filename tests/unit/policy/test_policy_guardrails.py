"""Every rule of the guardrails, each with a change that it must see and one that it must not."""

import base64
import zlib
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange, SkippedPath
from repoagents.domain.reports import Finding, Severity
from repoagents.domain.settings import GuardrailSettings
from repoagents.policy.guardrails import inspect
from tests.unit.policy.builders import a_change, a_file, a_plan, git_patch

SETTINGS = GuardrailSettings()
# Assembled here so that no scanner takes this file for a leak.
GITHUB_TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
SENSITIVE = "S3cr3t-of+this/machine=42"


def found(change: ChangeSet, **more: object) -> dict[str, Finding]:
    findings = inspect(change, more.pop("plan", None), more.pop("settings", SETTINGS), **more)
    return {finding.rule: finding for finding in findings}


def weight(change: ChangeSet, rule: str, **more: object) -> str:
    finding = found(change, **more).get(rule)
    return finding.severity.value if finding else ""


def test_an_ordinary_planned_change_has_no_finding() -> None:
    change = a_change(
        ("src/totals.py", " def total(rows):\n-    return sum(rows[:-1])\n+    return sum(rows)"),
        ("tests/test_totals.py", "+def test_all_rows():\n+    assert total([1, 2]) == 3"),
    )
    assert inspect(change, a_plan(), SETTINGS) == ()


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/Workflows/ci.yml",
        ".github/actions/x/action.yml",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".circleci/config.yml",
        "AGENTS.md",
        "pkg/agents.MD",
        "CLAUDE.md",
        "GEMINI.md",
        "WORKFLOW.md",
        ".cursorrules",
        ".cursor/rules/a.mdc",
        ".claude/settings.json",
        ".codex/config.toml",
        ".ai-repoagents/repoagents.yaml",
        ".gitmodules",
        ".pre-commit-config.yaml",
        ".GIT/config",
        "vendor/.git/hooks/pre-commit",
        ".github\u200c/workflows/ci.yml",
        "\uff0egithub/workflows/ci.yml",
        ".github/copilot-instructions.md",
        ".github/prompts/fix.prompt.md",
        ".github/agents/builder.md",
        "AGENTS.override.md",
        ".gemini/settings.json",
        ".opencode/agent/x.md",
        "opencode.jsonc",
        ".clinerules/a.md",
        ".aider.conf.yml",
        ".vscode/tasks.json",
        ".devcontainer/devcontainer.json",
        ".envrc",
        "CLAUDE\u200b.md",
        "\uff21GENTS.md",
    ],
)
def test_control_files_are_critical(path: str) -> None:
    change = a_change(FileChange(path, ChangeKind.MODIFIED))
    assert weight(change, "protected_path") == "critical"
    assert weight(a_change(FileChange(path, ChangeKind.DELETED)), "protected_path") == "critical"


@pytest.mark.parametrize(
    "path",
    [
        "src/agents.py",
        "docs/workflow.md.txt",
        "github/workflows/x.yml",
        "my.cursor/x",
        ".vscode/settings.json",
        "vendor/.github/workflows/x.yml",
        "src/opencode.py",
        "gemini/a.py",
    ],
)
def test_names_that_only_resemble_control_files_are_free(path: str) -> None:
    assert weight(a_change(FileChange(path, ChangeKind.MODIFIED)), "protected_path") == ""


def test_gitattributes_is_high() -> None:
    assert weight(a_change(a_file("a/.gitattributes")), "protected_path") == "high"


@pytest.mark.parametrize(
    ("globs", "path", "severity"),
    [
        (("migrations/**",), "migrations/0001.sql", "critical"),
        (("migrations",), "app/Migrations/0001.sql", "critical"),
        (("/migrations",), "app/migrations/0001.sql", ""),
        (("*.lock",), "a/b/uv.lock", "critical"),
        (("src/*.py",), "src/a/b.py", ""),
        (("src/**/*.py",), "src/a/b.py", "critical"),
        (("src/**/*.py",), "src/b.py", "critical"),
        (("secret?.txt",), "secret1.txt", "critical"),
        (("a+b.txt",), "aab.txt", ""),
    ],
)
def test_configured_globs_protect(globs: tuple[str, ...], path: str, severity: str) -> None:
    settings = GuardrailSettings(protected_paths=globs)
    assert weight(a_change(a_file(path)), "protected_path", settings=settings) == severity


def test_allowed_paths_bound_the_change() -> None:
    settings = GuardrailSettings(allowed_paths=("docs", "*.md"))
    outside = a_change(a_file("src/a.py"))
    assert weight(outside, "not_allowed_path", settings=settings) == "critical"
    for path in ("docs/a/b.rst", "README.md", "pkg/README.md"):
        assert weight(a_change(a_file(path)), "not_allowed_path", settings=settings) == ""
    assert weight(outside, "not_allowed_path") == ""


@pytest.mark.parametrize(
    ("likely", "path", "outside"),
    [
        (("src/totals.py",), "src/totals.py", False),
        (("./src/totals.py",), "src/totals.py", False),
        (("`src/totals.py`",), "src/totals.py", False),
        (("src/",), "src/deep/other.py", False),
        (("src",), "src/deep/other.py", False),
        (("src/*.py",), "src/other.py", False),
        (("src/totals.py",), "tests/test_totals.py", False),
        (("src/totals.py",), "tests/unit/test_report_totals.py", False),
        (("src/totals.ts",), "src/totals.spec.ts", False),
        (("src/LoginForm.java",), "src/test/LoginFormTest.java", False),
        (("/src/totals.py",), "src/totals.py", False),
        (("./src//totals.py",), "src/totals.py", False),
        (("src/../src/totals.py",), "src/totals.py", False),
        (("src\\totals.py",), "src/totals.py", False),
        (("src/totals.py (new file)",), "src/totals.py", False),
        (("src/totals (copy).py",), "src/totals (copy).py", False),
        (("src/[id]/page.ts",), "src/[id]/page.ts", False),
        (("..",), "src/other.py", True),
        (("../",), "src/other.py", True),
        (("src/..",), "src/other.py", True),
        (("a/../../src",), "src/other.py", True),
        (("../../src",), "src/other.py", True),
        (("*/**", "?", "/*/"), "src/other.py", True),
        (("(new)",), "src/other.py", True),
        (("src/totals.py",), "src/other.py", True),
        (("src/totals.py",), "tests/test_other.py", True),
        (("src/totals.py",), "other/src/totals.py", True),
        (("src/totals.py",), "src/totals.python", True),
        (("EPIC-1",), "EPIC-10/a.py", True),
        (("**",), "src/other.py", True),
        ((".", "", "./", "*"), "src/other.py", True),
        (("a*b*c*d*e*f",), "abcdef", True),
        ((), "src/other.py", True),
    ],
)
def test_outside_plan(likely: tuple[str, ...], path: str, outside: bool) -> None:
    plan = a_plan(likely_files=likely)
    change = a_change(a_file(path))
    assert (weight(change, "outside_plan", plan=plan) == "medium") is outside
    noted = GuardrailSettings(outside_plan="note")
    assert (weight(change, "outside_plan", plan=plan, settings=noted) == "note") is outside
    assert weight(change, "outside_plan") == ""


# --- how much ------------------------------------------------------------------------------------


def test_too_many_files_lines_and_bytes_name_count_limit_and_key() -> None:
    settings = GuardrailSettings(max_files=1, max_lines=3, max_file_bytes=50)
    change = a_change(("a.py", "+1\n+2\n+3"), ("b.py", "-1"))
    messages = [f.message for f in inspect(change, None, settings) if f.rule == "too_large"]
    assert "2 files, guardrails.max_files allows 1" in messages
    assert "4 lines added and deleted, guardrails.max_lines allows 3" in messages
    assert "100 bytes, guardrails.max_file_bytes allows 50" in messages
    assert weight(change, "too_large", settings=settings) == "high"
    exact = GuardrailSettings(max_files=2, max_lines=4, max_file_bytes=100)
    assert weight(change, "too_large", settings=exact) == ""


def test_a_cut_patch_is_too_large() -> None:
    assert weight(a_change(("a.py", "+1"), patch_cut=True), "too_large") == "high"


def test_mass_deletion() -> None:
    many = a_change(*(a_file(f"f{n}", kind=ChangeKind.DELETED) for n in range(10)))
    assert weight(many, "mass_deletion") == "high"
    emptied = a_change(a_file("a.py", deleted=400, added=10))
    assert weight(emptied, "mass_deletion") == "high"
    rewritten = a_change(a_file("a.py", deleted=400, added=390))
    assert weight(rewritten, "mass_deletion") == ""


def test_skipped_paths_are_high() -> None:
    change = a_change(("a.py", "+1"), skipped=(SkippedPath("sock", "a socket"),))
    finding = found(change)["skipped_path"]
    assert (finding.severity, finding.file) == (Severity.HIGH, "sock")
    assert "a socket" in finding.message


# --- what form -----------------------------------------------------------------------------------


def a_link(path: str, target: str, kind: ChangeKind = ChangeKind.ADDED) -> ChangeSet:
    link = a_file(path, kind=kind, old_mode="", new_mode="120000", added=1)
    return a_change(link, patch=git_patch(path, f"+{target}"))


@pytest.mark.parametrize(
    ("path", "target", "severity"),
    [
        ("link", "src/a.py", "high"),
        ("a/b/link", "../../c", "high"),
        ("a/link", "../../c", "critical"),
        ("link", "/etc/passwd", "critical"),
        ("link", "..", "critical"),
        ("link", ".git/config", "critical"),
        ("a/link", "../.git", "critical"),
        ("link", "x/../../../etc", "critical"),
    ],
)
def test_symlinks(path: str, target: str, severity: str) -> None:
    assert weight(a_link(path, target), "symlink") == severity
    assert weight(a_link(path, target, ChangeKind.TYPE_CHANGED), "symlink") == severity


def test_a_symlink_whose_target_is_unknown_is_critical() -> None:
    change = a_change(a_file("link", new_mode="120000"))
    assert weight(change, "symlink") == "critical"


def test_a_deleted_symlink_is_free() -> None:
    gone = a_file("link", kind=ChangeKind.DELETED, old_mode="120000", new_mode="")
    assert weight(a_change(gone), "symlink") == ""


@pytest.mark.parametrize("modes", [("", "160000"), ("160000", ""), ("100644", "160000")])
def test_submodules_are_critical(modes: tuple[str, str]) -> None:
    change = a_change(a_file("vendor/x", old_mode=modes[0], new_mode=modes[1]))
    assert weight(change, "submodule") == "critical"


@pytest.mark.parametrize(
    ("old", "new", "severity"),
    [
        ("100644", "100755", "medium"),
        ("", "100755", "medium"),
        ("100755", "100755", ""),
        ("100755", "100644", ""),
    ],
)
def test_the_executable_bit(old: str, new: str, severity: str) -> None:
    change = a_change(a_file("run.sh", old_mode=old, new_mode=new))
    assert weight(change, "executable_bit") == severity


def test_binary_content() -> None:
    change = a_change(a_file("logo.png", added=None, deleted=None))
    assert weight(change, "binary") == "medium"
    assert weight(change, "binary", plan=a_plan(likely_files=("logo.png",))) == "low"
    gone = a_change(a_file("logo.png", added=None, deleted=None, kind=ChangeKind.DELETED))
    assert weight(gone, "binary") == ""


# --- secrets -------------------------------------------------------------------------------------

SHAPES = [
    GITHUB_TOKEN,
    "github_pat_" + "1" * 22 + "_" + "a" * 59,
    "sk-proj-" + "aB3" * 16,
    "sk-ant-api03-" + "aB3_" * 12,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "xoxb-" + "123456789012-abcdefABCDEF",
    ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890"}', b"signature-bytes!")
    ),
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----",
    "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
]


@pytest.mark.parametrize("token", SHAPES)
@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/a.py", 'key = "{}"'),
        ("uv.lock", "hash = {}"),
        ("package-lock.json", '  "integrity": "{}",'),
        ("src/a.py", 'key = "{}"  # pragma: allowlist secret'),
        ("docs/swagger/api.yaml", "x: {}"),
        ("tests/test_a.py", "assert '{}'"),
        ("README.md", "{}"),
        ("min.js", "x" * 50_000 + " {} " + "y" * 50_000),
    ],
)
def test_a_known_shape_is_critical_anywhere_and_never_repeated(
    token: str, path: str, line: str
) -> None:
    change = a_change((path, "+first\n+" + line.format(token)))
    finding = found(change)["secret"]
    assert finding.blocking
    assert (finding.file, finding.line) == (path, 2)
    assert token not in repr(inspect(change, None, SETTINGS))


@pytest.mark.parametrize("offset", range(1_660, 2_020, 7))
def test_a_token_at_any_place_of_a_long_line_is_found(offset: int) -> None:
    line = "x " * (offset // 2) + "glpat-" + "a1B2c3D4e5F6g7H8i9J0" + " y" * 3_000
    assert weight(a_change(("a.min.js", f"+{line}")), "secret") == "critical"


@pytest.mark.parametrize(
    "line",
    [
        SENSITIVE,
        f"x{SENSITIVE}y",
        SENSITIVE[::-1],
        SENSITIVE.encode().hex(),
        SENSITIVE.encode().hex().upper(),
        base64.b64encode(SENSITIVE.encode()).decode(),
        base64.b64encode(b"u:" + SENSITIVE.encode() + b"!").decode(),
        base64.urlsafe_b64encode(b"x" + SENSITIVE.encode()).decode(),
    ],
)
def test_a_secret_of_this_machine_is_found_in_every_form(line: str) -> None:
    change = a_change(("a.txt", f"+before\n+{line}"))
    finding = found(change, sensitive=(SENSITIVE,))["secret"]
    assert finding.blocking
    assert finding.line == 2
    assert SENSITIVE not in finding.message


@pytest.mark.parametrize(
    "line",
    [
        quote(SENSITIVE, safe=""),
        "".join(f"\\x{byte:02x}" for byte in SENSITIVE.encode()),
        "".join(f"\\u{ord(char):04x}" for char in SENSITIVE),
        " ".join(f"{byte:02x}" for byte in SENSITIVE.encode()),
        '" + "'.join(SENSITIVE),
        "\u200b".join(SENSITIVE),
    ],
)
def test_no_spelling_hides_a_secret_of_this_machine(line: str) -> None:
    assert weight(a_change(("a.txt", f"+{line}")), "secret", sensitive=(SENSITIVE,)) == "critical"


def test_a_line_of_a_secret_is_one() -> None:
    key = "--BEGIN--\nAAAABBBBCCCCDDDD1111\nshort\nEEEEFFFFGGGG22223333\n--END--"
    one = a_change(("a.txt", "+x = 'EEEEFFFFGGGG22223333'"))
    assert weight(one, "secret", sensitive=(key,)) == "critical"
    assert weight(a_change(("a.txt", "+short")), "secret", sensitive=(key,)) == ""


@pytest.mark.parametrize("path", [f"src/{GITHUB_TOKEN}.py", "src/S3cr3t-of/this/machine42/a.py"])
def test_a_path_that_spells_a_secret_is_critical_and_not_repeated(path: str) -> None:
    findings = inspect(a_change((path, "+x")), None, SETTINGS, ("S3cr3t-of/this/machine42",))
    spelled = [each for each in findings if each.rule == "secret"]
    assert [each.severity.value for each in spelled if not each.file] == ["critical"]


@pytest.mark.parametrize(
    ("path", "severity"),
    [
        (".env", "high"),
        ("deploy/.env.production", "high"),
        (".ENV", "high"),
        ("home/.netrc", "high"),
        ("id_ed25519", "high"),
        ("certs/server.key", "high"),
        ("tests/fixtures/.env", "low"),
        (".env.example", ""),
        (".env.sample", ""),
        ("src/env.py", ""),
        ("keys.py", ""),
        ("locales/en/auth.json", ""),
    ],
)
def test_files_that_are_made_to_hold_secrets(path: str, severity: str) -> None:
    assert weight(a_change((path, "+NAME=value")), "possible_secret") == severity
    assert weight(a_change((path, "-NAME=value")), "possible_secret") == ""


def test_a_secret_of_this_machine_is_found_when_split_over_lines() -> None:
    body = f'+    "{SENSITIVE[:9]}" +\n+    "{SENSITIVE[9:]}"'
    assert found(a_change(("a.js", body)), sensitive=(SENSITIVE,))["secret"].blocking


def test_a_short_or_absent_value_is_not_looked_for() -> None:
    change = a_change(("a.txt", "+yes\n+no"))
    assert inspect(change, None, SETTINGS, ("yes", "", "!!!!!!!!!!", SENSITIVE)) == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("secret", [SENSITIVE, GITHUB_TOKEN])
def test_binary_content_hides_no_secret(secret: str, encoding: str) -> None:
    content = zlib.compress(b"\0" + f"key={secret}".encode(encoding))
    lines = [content[at : at + 26] for at in range(0, len(content), 26)]
    body = "".join(
        chr(len(line) + 64) + base64.b85encode(line, pad=True).decode() + "\n" for line in lines
    )
    head = "diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 0..1\nGIT binary patch\n"
    change = a_change(
        a_file("logo.png", added=None, deleted=None), patch=f"{head}literal 9\n{body}\n"
    )
    assert weight(change, "secret", sensitive=(SENSITIVE,)) == "critical"


def test_a_removed_secret_is_no_finding() -> None:
    assert weight(a_change(("a.py", f"-{GITHUB_TOKEN}\n+x")), "secret") == ""


GUESSES = ['password = "hunter2hunter2"', 'h = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"']


@pytest.mark.parametrize("line", GUESSES)
def test_a_guess_is_high_low_in_tests_and_silent_in_lock_files(line: str) -> None:
    assert weight(a_change(("src/a.py", f"+{line}")), "possible_secret") == "high"
    assert weight(a_change(("tests/test_a.py", f"+{line}")), "possible_secret") == "low"
    assert weight(a_change(("package-lock.json", f"+{line}")), "possible_secret") == ""


@pytest.mark.parametrize(
    "line",
    [
        'password = os.environ["PASSWORD"]',
        'password = "${PASSWORD}"',
        'run_id = "0f8fad5b-d9cb-469f-a165-70867728950e"',
        'name = "an ordinary sentence of words"',
        'path = "src/repoagents/policy/guardrails.py"',
        "def secret_of(self) -> str:",
    ],
)
def test_ordinary_lines_are_no_guess(line: str) -> None:
    assert inspect(a_change(("src/a.py", f"+{line}")), None, SETTINGS) == ()


def test_lock_file_hashes_are_no_secret() -> None:
    line = '+    "integrity": "sha512-' + base64.b64encode(bytes(range(64))).decode() + '"'
    change = a_change(("package-lock.json", line))
    assert set(found(change)) == {"dependency"}


# --- tests made weaker ---------------------------------------------------------------------------


def test_a_deleted_test_is_high_a_moved_one_is_not() -> None:
    gone = a_file("tests/test_a.py", kind=ChangeKind.DELETED)
    assert weight(a_change(gone), "test_deleted") == "high"
    assert weight(a_change(a_file("src/a.py", kind=ChangeKind.DELETED)), "test_deleted") == ""
    body = "-def test_a():\n-    assert f()"
    moved = a_change(
        a_file("tests/test_a.py", body, kind=ChangeKind.DELETED),
        a_file("tests/unit/test_a.py", kind=ChangeKind.ADDED),
        patch=git_patch("tests/test_a.py", body)
        + git_patch("tests/unit/test_a.py", body.replace("-", "+")),
    )
    assert not {"test_deleted", "test_weakened"} & set(found(moved))
    emptied = replace(
        moved,
        patch=git_patch("tests/test_a.py", body) + git_patch("tests/unit/test_a.py", "+pass"),
    )
    assert weight(emptied, "test_weakened") == "high"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tests/test_a.py", " x\n-def test_a():\n-    assert f()"),
        ("tests/test_a.py", " def test_a():\n-    assert f() == 3\n+    f()"),
        ("tests/test_a.py", " def test_a(self):\n-    self.assertEqual(f(), 3)\n+    f()"),
        ("tests/test_a.py", "+@pytest.mark.skip\n def test_a():"),
        ("tests/test_a.py", "+@pytest.mark.skipif(True, reason='x')\n def test_a():"),
        ("tests/test_a.py", "+@pytest.mark.xfail\n def test_a():"),
        ("tests/test_a.py", "+    pytest.skip('later')\n x"),
        ("tests/test_a.py", "+@unittest.skip('x')\n x"),
        ("src/a.test.ts", "-  it('adds', () => {\n+  it.skip('adds', () => {"),
        ("src/a.test.ts", "-  it('adds', () => {\n+  it.only('adds', () => {"),
        ("src/a.test.ts", "-  it('adds', () => {\n+  xit('adds', () => {"),
        ("src/a.test.ts", "-    expect(add(1, 2)).toBe(3)\n x"),
        ("a_test.go", "-func TestAdd(t *testing.T) {\n x"),
        ("a_test.go", "+\tt.Skip()\n x"),
        ("src/test/ATest.java", "+  @Disabled\n   @Test"),
        ("src/test/ATest.java", '+  @Ignore("x")\n   @Test'),
        ("tests/it.rs", "+#[ignore]\n #[test]"),
        ("Makefile", "-\tpytest\n+\tpytest || true"),
        ("scripts/check.sh", "-pytest\n+pytest || :"),
        ("package.json", '-  "test": "jest"\n+  "test": "jest || exit 0"'),
        ("ci.yml", "+  continue-on-error: true\n x"),
        ("pyproject.toml", "-fail_under = 90\n+fail_under = 50"),
        ("pyproject.toml", "-fail_under = 90\n x"),
        ("setup.cfg", "-addopts = --cov-fail-under=90\n+addopts = --cov-fail-under=9"),
        ("jest.config.js", "-      branches: 80,\n+      branches: 8,"),
        ("pytest.ini", "+addopts = --ignore=tests/slow\n x"),
        ("pytest.ini", "+norecursedirs = tests"),
        ("setup.cfg", '-addopts = -q\n+addopts = -q -k "not slow"'),
        ("pyproject.toml", "+addopts = \"-m 'not slow'\""),
        ("tox.ini", "+ignore_outcome = true"),
        ("Makefile", "-\tpytest\n+\t-pytest"),
        ("lib.mk", "-\t@pytest\n+\t@-pytest"),
        ("Makefile", "-\tpytest\n+\tpytest; true"),
        ("package.json", '-  "test": "jest"\n+  "test": "jest; exit 0"'),
        ("scripts/check.sh", "+set +e\n pytest"),
        (".ci.yml", "+  allow_failure: true"),
        ("tests/conftest.py", '+collect_ignore = ["test_a.py"]'),
        ("tests/test_a.py", "+__test__ = False"),
        ("a_test.go", "+//go:build ignore"),
        ("tests/test_a.py", "-    assert f() == 3\n+    # assert f() == 3"),
        ("a.test.js", "-  expect(f()).toBe(3)\n+  // expect(f()).toBe(3)"),
        ("a_test.go", "-\tt.Errorf(x)\n+\t// t.Errorf(x)"),
        ("tests/test_a.py", "-    assert f() == 3\n+    assert True"),
        ("tests/test_a.py", "-    assert f() == 3\n+    assert True, 'fine'"),
        ("tests/test_a.py", "-    assert f() == 3\n+    assert f() == 3 or True"),
        ("tests/test_a.py", "-    assert f() == 3\n+    assert x == x"),
        ("tests/test_a.py", "-    self.assertEqual(f(), 3)\n+    self.assertEqual(x, x)"),
        ("tests/test_a.py", "-    self.assertTrue(f())\n+    self.assertTrue(True)"),
        ("a.test.js", "-  expect(f()).toBe(true)\n+  expect(true).toBe(true)"),
        ("a_test.go", "-\tassert.Equal(t, f(), 3)\n+\tassert.True(t, true)"),
        ("tests/it.rs", "-    assert!(f());\n+    assert!(true);"),
        ("src/a.py", "+os._exit(0)"),
        ("conftest.py", "+    session.exitstatus = 0"),
        ("conftest.py", "+def pytest_collection_modifyitems(items):\n+    items.clear()"),
    ],
)
def test_weakened_proof_is_high(path: str, body: str) -> None:
    assert weight(a_change((path, body)), "test_weakened") == "high"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tests/test_a.py", "-    assert f() == 2\n+    assert f() == 3"),
        ("tests/test_a.py", "-def test_a():\n+def test_b():\n+    assert f()"),
        ("tests/test_a.py", "-@pytest.mark.skip\n+def test_b():"),
        ("tests/test_a.py", "-    # assert old()\n+    assert new()"),
        ("tests/test_a.py", "-# def test_old():"),
        ("tests/it.rs", "-#[test]\n+#[test]\n+#[should_panic]"),
        ("tests/test_a.py", "+    assert x == xs\n+    assert not x\n+    assert 1 == f()"),
        ("tests/test_a.py", "+    assert truthy(True)\n+    assert f(True) is True"),
        ("a.test.js", "+  expect(f(true)).toBe(true)"),
        ("Makefile", "+\tpytest -k fast\n+\t@echo -n x"),
        ("scripts/run.sh", "+\t-v \\\n+set -e"),
        ("src/a.py", "-def test_connection():\n-    assert x\n+pass"),
        ("src/a.js", "+const x = a || true"),
        ("docs/a.md", "+run `pytest || true`"),
        ("pyproject.toml", "-fail_under = 50\n+fail_under = 90"),
        ("data.csv", "-lines: 90\n+lines: 10"),
        ("src/a.py", "+os._exit(3)\n+if session.exitstatus == 0:\n+# os._exit(0)"),
        ("conftest.py", "+def pytest_configure(config):"),
    ],
)
def test_honest_changes_are_not_weakening(path: str, body: str) -> None:
    assert weight(a_change((path, body)), "test_weakened") == ""


@pytest.mark.parametrize(
    "path", ["unittest.py", "src/pytest/__init__.py", "sitecustomize.py", "a.pth"]
)
def test_what_takes_the_runners_place_is_weakening(path: str) -> None:
    added = a_file(path, "+print('OK')", kind=ChangeKind.ADDED)
    assert weight(a_change(added), "test_weakened") == "high"
    assert weight(a_change(replace(added, kind=ChangeKind.MODIFIED)), "test_weakened") == ""
    assert weight(a_change(replace(added, path=f"docs/x{path}x")), "test_weakened") == ""


# --- what cannot be seen -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "rule", "severity"),
    [
        ("if admin:\u202e \u2066# check\u2069", "bidi", "high"),
        ("x\u2067", "bidi", "high"),
        ("is_\u200badmin = True", "invisible", "medium"),
        ("x = 1\U000e0041", "invisible", "medium"),
        ("p\u0430ssword_check()", "homoglyph", "high"),
        ("\u0410dmin = 1", "homoglyph", "high"),
        ("\u0430dmin\uff21 = 1", "homoglyph", "high"),
        ("x = 1" + "".join(chr(0xE0100 + byte) for byte in b"code"), "invisible", "medium"),
        ("x = 1" + "".join(chr(0xFE00 + byte % 14) for byte in b"code"), "invisible", "medium"),
        ("x = 1\ufe0f\ufe0f", "invisible", "medium"),
        ("const \u3164 = env()", "invisible", "medium"),
        ("user\u200dname = 1", "invisible", "medium"),
        ("a\u2062b", "invisible", "medium"),
        ("x = 1 \x1b[8m; evil()", "invisible", "medium"),
        ("x = 1 # \x08\x08", "invisible", "medium"),
        ("x" * 10_001, "long_line", "low"),
    ],
)
def test_hidden_content(line: str, rule: str, severity: str) -> None:
    assert weight(a_change(("a.py", f"+{line}")), rule) == severity
    assert weight(a_change(("a.py", f"-{line}\n+x")), rule) == ""


@pytest.mark.parametrize(
    "line",
    [
        "Привет, мир",
        "Δt = 3 # µs",
        "naïve größe",
        "日本語のコメント",
        "👩‍👩‍👧 family",
        "❤️ and ☎︎ and 5️⃣",
        "می‌خواهم",
        "\tindented",
        "carriage return\r",
        "\ufeffimport os",
        "x" * 10_000,
    ],
)
def test_honest_text_in_any_language_is_free(line: str) -> None:
    assert inspect(a_change(("a.py", f"+{line}")), None, SETTINGS) == ()


def test_a_whitespace_rewrite_is_noted() -> None:
    lines = [f"line{n}" for n in range(25)]
    body = "\n".join([f"-{line}" for line in lines] + [f"+  {line}" for line in lines])
    assert weight(a_change(("a.py", body)), "whitespace_only") == "low"
    assert weight(a_change(("a.py", body + "\n+more")), "whitespace_only") == ""


@pytest.mark.parametrize(
    ("path", "line", "severity", "named"),
    [
        ("package.json", '"left-pad": "1.0.0"', "medium", "low"),
        ("pyproject.toml", '"left-pad>=1"', "medium", "low"),
        ("requirements-dev.txt", "left-pad==1", "medium", "low"),
        ("sub/go.mod", "require x v1", "medium", "low"),
        ("uv.lock", "x", "medium", "low"),
        ("package.json", '"postinstall": "node x.js"', "medium", "medium"),
        ("requirements.txt", "--extra-index-url http://x", "medium", "medium"),
        (".npmrc", "registry=http://x", "medium", "medium"),
        ("pip.conf", "index-url = http://x", "medium", "medium"),
        ("src/package.py", "x", "", ""),
    ],
)
def test_dependencies(path: str, line: str, severity: str, named: str) -> None:
    change = a_change((path, f"+{line}"))
    assert weight(change, "dependency") == severity
    assert weight(change, "dependency", plan=a_plan(likely_files=(path,))) == named


# --- as a whole ----------------------------------------------------------------------------------


def test_an_unreadable_patch_is_high_and_still_searched() -> None:
    change = a_change(a_file("a.py"), patch=f"@@ nonsense @@\n+{GITHUB_TOKEN}\n--- x")
    broken = replace(change, patch=f"@@ -1 +1 @@\n+{GITHUB_TOKEN}")
    assert weight(broken, "unreadable_patch") == "high"
    assert weight(broken, "secret") == "critical"


def test_the_heaviest_comes_first_and_repeats_are_counted() -> None:
    body = "\n".join(f"+{GITHUB_TOKEN}" for _ in range(5))
    findings = inspect(a_change(("a.py", body), ("b/.npmrc", "+x")), None, SETTINGS)
    assert [finding.rule for finding in findings] == ["secret", "dependency"]
    assert findings[0].message.endswith("(and 4 more)")
    assert findings[0].line == 1


@given(st.text(), st.text(min_size=1), st.lists(st.text(), max_size=3).map(tuple))
def test_inspect_never_raises(patch: str, path: str, sensitive: tuple[str, ...]) -> None:
    change = a_change(
        a_file(path), a_file("link", new_mode="120000"), patch=patch + git_patch("x", "+" + patch)
    )
    plan = a_plan(likely_files=(path, patch))
    settings = GuardrailSettings(protected_paths=(path,), allowed_paths=("src",))
    findings = inspect(change, plan, settings, sensitive)
    assert any(finding.rule == "symlink" for finding in findings)


@given(st.sampled_from(SHAPES), st.text(alphabet=" \t'\"=,;#(", max_size=20))
def test_no_decoration_hides_a_token(token: str, around: str) -> None:
    assert weight(a_change(("a.lock", f"+{around}{token}{around}")), "secret") == "critical"
