"""Bundles on disk: what is kept comes back sound, and whatever is done to them is noticed."""

import base64
import json
import os
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.errors import StoreError
from repoagents.logs import Redactor
from repoagents.ports import BundleEntry
from repoagents.store.bundle_check import examine
from repoagents.store.bundles import FileBundles, render_archive
from repoagents.store.signing import load_key

SECRET = "correct-horse-battery"
TEXTS = {"README.md": "# Read me\n", "issue-1/handoff.md": f"token {SECRET}\n", "empty.log": ""}
STAMP = "20260304T050607Z"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def bundles(tmp_path: Path) -> FileBundles:
    return FileBundles(tmp_path, Redactor((SECRET,)))


def kept(bundles: FileBundles, texts: dict[str, str] = TEXTS) -> tuple[Path, Path]:
    folder, archive, _ = bundles.keep(STAMP, bundles.draft(texts), {"issue": 1}, archive=True)
    assert archive is not None
    return folder, archive


def entry(stamp: str) -> BundleEntry:
    return BundleEntry(stamp, "2026-03-04T05:06:07+00:00", f"{stamp}.zip", 0, "idle", "Idle.", "F")


def test_folder_and_archive_come_back_sound(bundles: FileBundles, tmp_path: Path) -> None:
    folder, archive = kept(bundles)

    fingerprint = load_key(tmp_path).public.fingerprint
    for path in (folder, archive):
        found = examine(path)
        assert (found.problems, found.fingerprint, found.members) == ((), fingerprint, 5)
        assert json.loads((folder / "bundle.json").read_text())["issue"] == 1


def test_secrets_are_hidden_and_counted(bundles: FileBundles) -> None:
    folder, _ = kept(bundles)

    assert (folder / "issue-1/handoff.md").read_text() == "token [redacted]\n"
    manifest = json.loads((folder / "bundle.json").read_text())
    hidden = {member["path"]: member["redactions"] for member in manifest["members"]}
    assert hidden == {"README.md": 0, "empty.log": 0, "issue-1/handoff.md": 1}


def test_the_same_members_make_the_same_archive(bundles: FileBundles) -> None:
    _, first = kept(bundles)
    _, second = kept(bundles, dict(reversed(TEXTS.items())))

    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_the_private_key_is_its_owner_s_alone_and_stays(tmp_path: Path) -> None:
    first = load_key(tmp_path).public
    path = tmp_path / "state/signing-key.pem"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(tmp_path).public == first
    path.write_text("no key")
    with pytest.raises(StoreError, match="holds no Ed25519 key"):
        load_key(tmp_path)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], bytes]:
    """A sound bundle: its folder, its files' bytes, its archive's."""
    folder, archive = kept(FileBundles(tmp_path_factory.mktemp("sealed"), Redactor(())))
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    files = {name: raw for name, raw in files.items() if (folder / name).is_file()}
    return folder, files, archive.read_bytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_the_archive_is_caught(
    data: st.DataObject, sealed: tuple[Path, dict[str, bytes], bytes], tmp_path: Path
) -> None:
    raw = bytearray(sealed[2])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "changed.zip"
    path.write_bytes(raw)

    assert examine(path).problems


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_file_is_caught(
    data: st.DataObject, sealed: tuple[Path, dict[str, bytes], bytes]
) -> None:
    folder, files, _ = sealed
    name = data.draw(st.sampled_from(sorted(name for name, raw in files.items() if raw)))
    raw = bytearray(files[name])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(raw)
    try:
        found = examine(folder)
    finally:
        (folder / name).write_bytes(files[name])

    assert found.problems
    assert not examine(folder).problems


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}(/[A-Za-z0-9_]{1,9})?", fullmatch=True),
        st.text(max_size=200),
        max_size=5,
    )
)
def test_whatever_is_kept_comes_back_sound(texts: dict[str, str], bundles: FileBundles) -> None:
    names = set(texts) | {name.partition("/")[0] for name in texts if "/" in name}
    if len(names) != len(texts) + len({n.partition("/")[0] for n in texts if "/" in n}):
        return  # a file cannot be a folder, too
    if {"bundle.json", "bundle.json.sig"} & names:
        return
    if len({name.lower() for name in names}) != len(names):
        return
    folder, archive = kept(bundles, texts)

    assert examine(folder).problems == examine(archive).problems == ()


def grow(folder: Path) -> None:
    (folder / "extra.txt").write_text("x")


def shrink(folder: Path) -> None:
    (folder / "README.md").unlink()


def link(folder: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/hostname")


def link_folder(folder: Path) -> None:
    (folder / "more").symlink_to("/etc")


def unsign(folder: Path) -> None:
    (folder / "bundle.json.sig").unlink()


def resign(folder: Path) -> None:
    """Somebody else's key signs, and the manifest goes on naming ours."""
    raw = (folder / "bundle.json").read_bytes()
    other = load_key(folder.parent / "elsewhere")
    (folder / "bundle.json.sig").write_text(other.sign(raw) + "\n")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (grow, "extra.txt is not in the manifest"),
        (shrink, "README.md is missing"),
        (link, "README.md is not a plain file"),
        (link_folder, "more is not a plain file"),
        (unsign, "bundle.json.sig is missing: this is no bundle"),
        (resign, "bundle.json is not what bundle.json.sig signs"),
    ],
)
def test_a_folder_that_was_touched_is_refused(
    bundles: FileBundles, change: Callable[[Path], None], problem: str
) -> None:
    folder, _ = kept(bundles)
    change(folder)

    assert examine(folder).problems == (problem,)


def packed(*entries: tuple[zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for info, raw in entries:
            archive.writestr(info, raw, compress_type=method)
    return out.getvalue()


def named(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def dated(name: str) -> zipfile.ZipInfo:
    info = named(name)
    info.date_time = (2001, 2, 3, 4, 5, 6)
    return info


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (packed((named("../up"), b"x")), "leads out of the bundle"),
        (packed((named("/etc/passwd"), b"x")), "leads out of the bundle"),
        (packed((named("a\\..\\b"), b"x")), "leads out of the bundle"),
        (packed((named("a", stat.S_IFLNK | 0o777), b"/etc")), "is not a plain file"),
        (packed((named("a"), b"x" * 99), method=zipfile.ZIP_DEFLATED), "packed in a way"),
        (packed((dated("a"), b"x")), "it is not the archive that these members make"),
        (packed((named("a"), b"x")), "bundle.json is missing"),
        (b"no archive", "it is no archive of ours"),
        (b"", "it is no archive of ours"),
    ],
)
def test_an_archive_that_is_not_ours_is_refused(tmp_path: Path, raw: bytes, problem: str) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(raw)

    (found,) = examine(path).problems

    assert problem in found


@pytest.mark.parametrize(
    ("place", "there"),
    [
        (-6, b"\xff\xff\xff\x00"),  # the list of members begins before the file
        (-10, b"\xff\xff\xff\x00"),  # and is longer than that
        (26, b"\xff\x00"),  # a name that is longer than it is said to be
        (28, b"\xff\xff"),  # more beside the name than there is
        (6, b"\x00\x08"),  # a name that is said to be UTF-8, and is not
    ],
)
def test_an_archive_whose_numbers_lie_is_refused(tmp_path: Path, place: int, there: bytes) -> None:
    raw = bytearray(render_archive({"\u00e9": b"x"}))
    raw[place : place + len(there) or None] = there
    path = tmp_path / "bundle.zip"
    path.write_bytes(raw)

    assert examine(path).problems


def forged(folder: Path, **changes: object) -> Path:
    """A folder whose manifest says what somebody else wants, signed with a key of their own."""
    key = load_key(folder)
    folder.joinpath("bundle").mkdir()
    manifest = {
        "schema": 1,
        "signed_by": {"public_key": key.public.base64, "fingerprint": key.public.fingerprint},
        "members": [],
        **changes,
    }
    raw = json.dumps(manifest).encode()
    (folder / "bundle/bundle.json").write_bytes(raw)
    (folder / "bundle/bundle.json.sig").write_text(key.sign(raw) + "\n")
    return folder / "bundle"


@pytest.mark.parametrize(
    "change",
    [
        {"members": [{"path": "a", "bytes": float("inf"), "sha256": ""}]},
        {"members": [{"path": "a", "bytes": float("nan"), "sha256": ""}]},
        {"members": [{"path": "a\ud800\x1b[2J", "bytes": 1, "sha256": ""}]},
        {"members": {"path": 1}},
        {"members": None},
        {"schema": 2},
        {"signed_by": []},
        {"signed_by": {"public_key": "\u00e9", "fingerprint": ""}},
        {"signed_by": {"public_key": base64.b64encode(b"x" * 32).decode(), "fingerprint": ""}},
    ],
)
def test_a_forged_manifest_is_refused_in_words_that_can_be_shown(
    tmp_path: Path, change: dict[str, object]
) -> None:
    problems = examine(forged(tmp_path, **change)).problems

    assert problems
    assert "".join(problems).isprintable()


def test_a_manifest_without_an_end_is_refused(tmp_path: Path) -> None:
    folder = forged(tmp_path)
    (folder / "bundle.json").write_text("[" * 100_000)

    assert "cannot be read" in examine(folder).problems[0]


@pytest.mark.parametrize(
    "names", [("a.md", "A.md"), ("a", "a/b"), ("a b",), ("\x1b[2Jx",), ("-x",)]
)
def test_names_that_would_not_stay_apart_are_refused(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    key = load_key(tmp_path)
    rows = [{"path": name, "bytes": 0, "sha256": EMPTY} for name in names]
    signer = {"public_key": key.public.base64, "fingerprint": key.public.fingerprint}
    raw = json.dumps({"schema": 1, "signed_by": signer, "members": rows}).encode()
    signature = f"{key.sign(raw)}\n".encode()
    sealed = {"bundle.json": raw, "bundle.json.sig": signature}
    path = tmp_path / "forged.zip"
    path.write_bytes(render_archive({**sealed, **dict.fromkeys(names, b"")}))

    problems = examine(path).problems

    assert problems
    assert "".join(problems).isprintable()


def test_a_folder_with_pipes_is_refused_at_once(bundles: FileBundles) -> None:
    folder, _ = kept(bundles)
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "strange\x1b]0;\udcff")

    assert examine(folder).problems == (
        r"'strange\x1b]0;\udcff' is not a plain file",
        "pipe is not a plain file",
    )


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with pytest.warns(UserWarning, match="Duplicate"):
        path.write_bytes(packed((named("a"), b"x"), (named("a"), b"y")))

    assert examine(path).problems == ("a is in it twice",)


def test_what_claims_to_be_huge_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoagents.store.bundle_check.LARGEST", 1_000)
    path = tmp_path / "bundle.zip"
    path.write_bytes(render_archive({"a": b"x" * 2_000}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"x" * 2_000)

    assert "larger than 1,000 bytes" in examine(path).problems[0]
    assert "larger than 1,000 bytes" in examine(tmp_path / "folder").problems[0]


def test_nothing_to_examine_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="neither a folder nor an archive"):
        examine(tmp_path / "absent")


@pytest.mark.parametrize("name", ["../x", "/x", ".hidden", "a/../b", "a b", "-x", ""])
def test_names_lead_nowhere_else(bundles: FileBundles, name: str) -> None:
    with pytest.raises(StoreError, match="is not a name"):
        bundles.draft({name: "x"})


def test_the_history_keeps_the_newest_and_deletes_what_nobody_names(
    bundles: FileBundles, tmp_path: Path
) -> None:
    root = tmp_path / "reports/ops"
    stamps = [f"20260304T05060{number}Z" for number in range(4)]
    for stamp in stamps:
        bundles.keep(stamp, bundles.draft(TEXTS), {}, archive=True)
        entries = bundles.remember(entry(stamp), keep=2)
    (root / "note-to-self.txt").write_text("mine")

    assert [one.stamp for one in entries] == stamps[:1:-1]
    left = {path.name for path in root.iterdir()} - {".lock", "history.json"}
    assert left == {*stamps[2:], *(f"{stamp}.zip" for stamp in stamps[2:]), "note-to-self.txt"}


def test_a_bundle_that_is_being_made_beside_is_left_alone(
    bundles: FileBundles, tmp_path: Path
) -> None:
    """Another process has written its folder and not yet its line in the history."""
    newer, _, _ = bundles.keep("20260304T090000Z", bundles.draft(TEXTS), {}, archive=False)
    older = "20260304T050607Z"
    bundles.keep(older, bundles.draft(TEXTS), {}, archive=False)

    bundles.remember(entry(older), keep=1)

    assert newer.exists()


def test_two_bundles_of_one_second_do_not_meet(bundles: FileBundles) -> None:
    first, _ = kept(bundles)
    second, _ = kept(bundles)

    assert (first.name, second.name) == (STAMP, f"{STAMP}-2")
    assert not examine(first).problems
    assert not examine(second).problems


def test_a_history_that_cannot_be_read_is_not_thrown_away(
    bundles: FileBundles, tmp_path: Path
) -> None:
    kept(bundles)
    (tmp_path / "reports/ops/history.json").write_text("{half")

    with pytest.raises(StoreError, match=r"history\.json cannot be read"):
        bundles.remember(entry(STAMP), keep=2)
    assert (tmp_path / "reports/ops" / STAMP).exists()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"bundles": [vars(entry(STAMP)) | {"stamp": 5}]}),
        json.dumps({"bundles": [vars(entry(STAMP)) | {"headline": None}]}),
        json.dumps({"bundles": [vars(entry(STAMP)) | {"issue": "1"}]}),
        json.dumps({"bundles": [vars(entry(STAMP)) | {"more": ""}]}),
        "[" * 100_000,
        "[]",
    ],
)
def test_a_history_changed_by_hand_is_told(bundles: FileBundles, tmp_path: Path, text: str) -> None:
    kept(bundles)
    (tmp_path / "reports/ops/history.json").write_text(text)

    with pytest.raises(StoreError, match=r"history\.json cannot be read"):
        bundles.remember(entry(STAMP), keep=2)


def test_no_bundle_goes_with_a_history_that_was_moved_away(
    bundles: FileBundles, tmp_path: Path
) -> None:
    stamps = [f"20260304T05060{number}Z" for number in range(3)]
    for stamp in stamps:
        bundles.keep(stamp, bundles.draft(TEXTS), {}, archive=False)
        bundles.remember(entry(stamp), keep=2 if stamp == stamps[0] else 30)
        (tmp_path / "reports/ops/history.json").unlink()

    assert all((tmp_path / "reports/ops" / stamp).is_dir() for stamp in stamps)


def test_of_two_first_bundles_made_at_once_both_stay(bundles: FileBundles) -> None:
    """The second is in the history before the first is."""
    first, _ = kept(bundles)
    second, _ = kept(bundles)

    bundles.remember(entry(second.name), keep=30)
    entries = bundles.remember(entry(first.name), keep=30)

    assert [one.stamp for one in entries] == [first.name, second.name]
    assert first.is_dir()
    assert second.is_dir()


def test_no_secret_of_a_headline_gets_into_manifest_or_history(
    bundles: FileBundles, tmp_path: Path
) -> None:
    told = f"failed: {SECRET}"
    folder, _, _ = bundles.keep(STAMP, bundles.draft(TEXTS), {"headline": told}, archive=True)
    bundles.remember(replace(entry(STAMP), headline=told), keep=2)

    for path in (folder / "bundle.json", tmp_path / "reports/ops/history.json"):
        assert json.loads(path.read_text())
        assert "failed: [redacted]" in path.read_text()
