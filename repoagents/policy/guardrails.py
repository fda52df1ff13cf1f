"""What a change may not be, whatever any agent says: rules over the change as git tells it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from posixpath import dirname, join, normpath

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.reports import Finding, Plan, Severity
from repoagents.domain.settings import GuardrailSettings
from repoagents.policy.content import find_content
from repoagents.policy.patch import Patch, read_patch
from repoagents.policy.paths import CONTROL_FILES, matches, named, planned
from repoagents.policy.weakening import find_weakening

_SYMLINK, _SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"
_MASS_FILES, _MASS_LINES, _MASS_SHARE = 10, 400, 0.8


def inspect(
    change: ChangeSet,
    plan: Plan | None,
    settings: GuardrailSettings,
    sensitive: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """Every finding in the change, the heaviest first; a critical one blocks publication.

    `sensitive` are secrets that this machine holds; none is ever repeated in a message. Any patch
    text is answered: one that cannot be read is itself a finding.
    """
    # Only a change needs the detectors, which take longer to import than most commands run.
    from repoagents.policy.secrets import find_hidden_secrets, find_secrets, find_secrets_in_name

    patch = read_patch(change.patch)
    likely = plan.likely_files if plan else ()
    found = [*_whole(change, patch, settings)]
    for file in change.files:
        found += find_secrets_in_name(file.path, sensitive)
        found += _place(file, plan, settings)
        found += _form(file, patch, settings, is_named=named(file.path, likely))
    for file_patch in patch.files:
        found += find_secrets(file_patch, sensitive)
        found += find_content(file_patch, named=named(file_patch.path, likely))
    for binary in patch.binaries:
        found += find_hidden_secrets(binary, sensitive)
    found += find_weakening(change, patch)
    return _merged(found)


def _whole(change: ChangeSet, patch: Patch, settings: GuardrailSettings) -> Iterator[Finding]:
    for count, limit, key, what in (
        (len(change.files), settings.max_files, "max_files", "files"),
        (change.lines, settings.max_lines, "max_lines", "lines added and deleted"),
    ):
        if count > limit:
            yield _too_large(f"{count:,} {what}, guardrails.{key} allows {limit:,}")
    if change.patch_cut:
        yield _too_large("the patch is too large to be inspected to its end")
    if not patch.readable:
        message = "the patch cannot be read file by file, so rules per file could not look"
        yield Finding("unreadable_patch", Severity.HIGH, message)
    for skipped in change.skipped:
        message = f"left out of the change: {skipped.reason}"
        yield Finding("skipped_path", Severity.HIGH, message, skipped.path)
    yield from _mass_deletion(change)


def _mass_deletion(change: ChangeSet) -> Iterator[Finding]:
    files = sum(file.kind is ChangeKind.DELETED for file in change.files)
    lines = sum(file.deleted or 0 for file in change.files)
    if files >= _MASS_FILES or (lines >= _MASS_LINES and lines >= _MASS_SHARE * change.lines):
        message = f"{files:,} files and {lines:,} lines are deleted"
        yield Finding("mass_deletion", Severity.HIGH, message)


def _place(file: FileChange, plan: Plan | None, settings: GuardrailSettings) -> Iterator[Finding]:
    """Whether the path is one that this change may touch."""
    path = file.path
    globs = (*CONTROL_FILES, *settings.protected_paths)
    if glob := matches(path, globs, fold=True):
        message = f"protected ({glob.strip('/')}): only a person changes it"
        yield Finding("protected_path", Severity.CRITICAL, message, path)
    elif matches(path, (".gitattributes",), fold=True):
        message = "says how git reads other files: leave it as it is"
        yield Finding("protected_path", Severity.HIGH, message, path)
    if settings.allowed_paths and not matches(path, settings.allowed_paths):
        message = "outside guardrails.allowed_paths"
        yield Finding("not_allowed_path", Severity.CRITICAL, message, path)
    if plan is not None and not planned(path, plan.likely_files):
        severity = Severity.MEDIUM if settings.outside_plan == "revise" else Severity.NOTE
        yield Finding("outside_plan", severity, "not among the plan's likely files", path)


def _form(
    file: FileChange, patch: Patch, settings: GuardrailSettings, *, is_named: bool
) -> Iterator[Finding]:
    """What sort of object the path became. What the plan names by its path weighs less."""
    if _SUBMODULE in (file.old_mode, file.new_mode):
        message = "a submodule pointer: its content cannot be inspected here"
        yield Finding("submodule", Severity.CRITICAL, message, file.path)
        return
    if file.kind is ChangeKind.DELETED:
        return
    weight = Severity.LOW if is_named else Severity.MEDIUM
    if file.new_mode == _SYMLINK:
        yield _symlink(file, patch)
    elif file.added is None:
        message = f"binary content, {file.size:,} bytes: nobody can review it as a diff"
        yield Finding("binary", weight, message, file.path)
    if file.new_mode == _EXECUTABLE != file.old_mode:
        yield Finding("executable_bit", weight, "becomes executable", file.path)
    if file.size > settings.max_file_bytes:
        limit = f"guardrails.max_file_bytes allows {settings.max_file_bytes:,}"
        yield _too_large(f"{file.size:,} bytes, {limit}", file.path)


def _symlink(file: FileChange, patch: Patch) -> Finding:
    lines = patch.find(file.path).added
    target = lines[0].text if lines else ""
    landing = normpath(join(dirname(file.path), target))
    outside = landing.startswith(("/", "../")) or landing in ("..", ".git")
    if not target or outside or landing.startswith(".git/"):
        message = "a symlink that leaves the repository, or whose target cannot be read"
        return Finding("symlink", Severity.CRITICAL, message, file.path)
    return Finding("symlink", Severity.HIGH, "a new or changed symlink", file.path)


def _too_large(message: str, file: str = "") -> Finding:
    return Finding("too_large", Severity.HIGH, message, file)


def _merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding per rule, severity and file, with the count of the others; heaviest first."""
    first: dict[tuple[str, Severity, str, str], Finding] = {}
    more: dict[tuple[str, Severity, str, str], int] = {}
    for finding in findings:
        key = (finding.rule, finding.severity, finding.file, finding.message)
        if key in first:
            more[key] = more.get(key, 0) + 1
        else:
            first[key] = finding
    counted = (
        replace(finding, message=f"{finding.message} (and {more[key]:,} more)")
        if key in more
        else finding
        for key, finding in first.items()
    )
    weights = list(Severity)
    return tuple(sorted(counted, key=lambda finding: -weights.index(finding.severity)))
