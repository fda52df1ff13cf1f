"""Backups of a real state: made under a live writer, checked whole, restored without loss."""

import json
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.domain.places import DATABASE
from repoagents.errors import ConfigError, StateUnreadable, StoreError
from repoagents.ports import Request
from repoagents.store.backup import MANIFEST, Backup, dump_line, make_backup, refuse_server
from repoagents.store.database import Database, open_database
from repoagents.store.restore import restore_backup
from repoagents.store.signing import KEY, load_key
from tests.fakes.clock import FakeClock

STAMP = "20260304T050607Z"
ARTIFACT = "artifacts/issue-7/run-1/handoff.md"
CONFIG = "repoagents.yaml"


def ask(books: Database, clock: FakeClock, number: int) -> None:
    """One row, in one transaction."""
    books.inbox.put(Request(f"{number:08x}", "trigger", number, clock.now()))


def asked(control: Path, clock: FakeClock) -> list[int]:
    """The issues that a state knows of."""
    books = open_database(control / DATABASE, clock=clock)
    try:
        return sorted(request.issue_number for request in books.inbox.pending())
    finally:
        books.close()


@pytest.fixture
def filled(control: Path, books: Database, clock: FakeClock) -> Path:
    """A control plane with a row, a key, a configuration, an artifact, and what is not kept."""
    ask(books, clock, 7)
    load_key(control)
    for name in (ARTIFACT, CONFIG, "roles/planner.md", "policies/règles.md"):
        (control / name).parent.mkdir(parents=True, exist_ok=True)
        (control / name).write_text(f"{name}\n")
    for name in ("git/HEAD", "cache/x", "workspaces/issue-7/x", "logs/x.jsonl", "repoagents.env"):
        (control / name).parent.mkdir(parents=True, exist_ok=True)
        (control / name).write_text("not in a backup\n")
    (control / "artifacts/link").symlink_to(control / "repoagents.env")
    return control


@pytest.fixture
def made(filled: Path, tmp_path: Path, clock: FakeClock) -> Backup:
    """A backup of it."""
    return make_backup(filled, tmp_path / "elsewhere" / "backup.zip", clock.now())


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The control plane's folder on another machine."""
    control = tmp_path / "other" / ".ai-repoagents"
    (control / "state").mkdir(parents=True)
    return control


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Write an archive anew with other members; the manifest stays unless `change` changes it."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | 0o600) << 16
            archive.writestr(entry, content)


def listed(path: Path) -> dict[str, object]:
    """The manifest."""
    found: dict[str, object] = json.loads(zipfile.ZipFile(path).read(MANIFEST))
    return found


class TestMaking:
    def test_it_holds_what_cannot_be_had_again(self, made: Backup) -> None:
        names = set(zipfile.ZipFile(made.path).namelist())
        kept = {DATABASE, KEY, CONFIG, "roles/planner.md", "policies/règles.md", ARTIFACT}
        assert names == {*kept, MANIFEST}
        assert (made.members, made.runs) == (len(kept), 0)
        assert made.size == made.path.stat().st_size

    def test_only_its_owner_can_read_it(self, made: Backup) -> None:
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600

    def test_it_replaces_nothing(self, made: Backup, filled: Path, clock: FakeClock) -> None:
        before = made.path.read_bytes()
        with pytest.raises(StoreError, match="there already"):
            make_backup(filled, made.path, clock.now())
        assert made.path.read_bytes() == before
        assert list(made.path.parent.iterdir()) == [made.path]

    def test_a_place_that_cannot_be_written_is_named(
        self, made: Backup, filled: Path, clock: FakeClock
    ) -> None:
        with pytest.raises(StoreError, match="cannot be written"):
            make_backup(filled, made.path / "below.zip", clock.now())

    def test_nothing_is_left_beside_the_state(self, made: Backup, filled: Path) -> None:
        assert not list((filled / "state").glob(".backup-*"))

    def test_without_a_state_there_is_nothing_to_back_up(
        self, empty: Path, tmp_path: Path, clock: FakeClock
    ) -> None:
        with pytest.raises(StoreError, match="no state"):
            make_backup(empty, tmp_path / "none.zip", clock.now())
        assert not (tmp_path / "none.zip").exists()

    @pytest.mark.parametrize("place", [4096, -4096], ids=["all", "the last page"])
    def test_a_damaged_state_is_no_backup(
        self, place: int, filled: Path, books: Database, tmp_path: Path, clock: FakeClock
    ) -> None:
        books.close()
        path = filled / DATABASE
        raw = bytearray(path.read_bytes())
        raw[place:] = b"\xff" * len(raw[place:])
        path.write_bytes(raw)
        with pytest.raises(StateUnreadable):
            make_backup(filled, tmp_path / "none.zip", clock.now())
        assert not (tmp_path / "none.zip").exists()

    def test_under_a_live_writer_it_is_one_instant(
        self, filled: Path, books: Database, empty: Path, tmp_path: Path
    ) -> None:
        done = threading.Event()

        def write() -> None:
            clock, number = FakeClock(), 100
            while not done.is_set():
                ask(books, clock, number)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            made = make_backup(filled, tmp_path / "live.zip", FakeClock().now())
        finally:
            done.set()
            writer.join()
        restore_backup(empty, made.path, STAMP, force=False)
        seen = asked(empty, FakeClock())
        # Every row up to some instant, and none after it.
        assert seen == [7, *range(100, 100 + len(seen) - 1)]
        assert len(seen) <= len(asked(filled, FakeClock()))


class TestRestoring:
    def test_everything_is_as_it_was(
        self, made: Backup, filled: Path, empty: Path, clock: FakeClock
    ) -> None:
        done = restore_backup(empty, made.path, STAMP, force=False)
        assert (done.made_at, done.aside, done.kept) == (listed(made.path)["made_at"], None, ())
        assert asked(empty, clock) == [7]
        assert load_key(empty).public == load_key(filled).public
        for name in (ARTIFACT, CONFIG, "policies/règles.md"):
            assert (empty / name).read_bytes() == (filled / name).read_bytes()
        assert stat.S_IMODE((empty / KEY).stat().st_mode) == 0o600
        assert not list((empty / "state").glob(".restore-*"))

    def test_a_state_that_is_there_stays(
        self, made: Backup, filled: Path, books: Database, clock: FakeClock
    ) -> None:
        ask(books, clock, 8)
        with pytest.raises(StoreError, match="already"):
            restore_backup(filled, made.path, STAMP, force=False)
        assert asked(filled, clock) == [7, 8]

    def test_by_force_it_is_put_aside_whole(
        self, made: Backup, filled: Path, books: Database, clock: FakeClock
    ) -> None:
        ask(books, clock, 8)
        (filled / ARTIFACT).write_text("newer\n")
        assert (filled / f"{DATABASE}-wal").stat().st_size, "as after a crash"
        done = restore_backup(filled, made.path, STAMP, force=True)
        assert done.aside == filled / "state" / f"before-{STAMP}"
        assert asked(filled, clock) == [7]
        assert (filled / ARTIFACT).read_text() == f"{ARTIFACT}\n"
        old = done.aside
        assert (old / ARTIFACT).read_text() == "newer\n"
        (old / "state").mkdir()
        for path in old.glob("repoagents.sqlite*"):
            path.rename(old / "state" / path.name)
        assert asked(old, clock) == [7, 8]

    def test_the_operators_files_are_never_replaced(
        self, made: Backup, empty: Path, clock: FakeClock
    ) -> None:
        (empty / CONFIG).write_text("edited since\n")
        done = restore_backup(empty, made.path, STAMP, force=True)
        assert done.kept == (CONFIG,)
        assert (empty / CONFIG).read_text() == "edited since\n"
        assert (empty / "roles/planner.md").exists()


def damage(members: dict[str, bytes]) -> None:
    members[ARTIFACT] = members[ARTIFACT].replace(b"handoff", b"hand0ff")


def shorten(members: dict[str, bytes]) -> None:
    members[ARTIFACT] = members[ARTIFACT][:-1]


def lengthen(members: dict[str, bytes]) -> None:
    members[ARTIFACT] += b"x" * 3_000_000


def add(members: dict[str, bytes]) -> None:
    members["artifacts/issue-7/run-1/more.md"] = b"more\n"


def drop(members: dict[str, bytes]) -> None:
    del members[ARTIFACT]


def other_format(members: dict[str, bytes]) -> None:
    members[MANIFEST] = members[MANIFEST].replace(b'"format": 1', b'"format": 2')


def no_manifest(members: dict[str, bytes]) -> None:
    del members[MANIFEST]


def broken_manifest(members: dict[str, bytes]) -> None:
    members[MANIFEST] = b"[" * 100_000


def no_database(members: dict[str, bytes]) -> None:
    relist(members, DATABASE, None)


def foreign_database(members: dict[str, bytes]) -> None:
    relist(members, DATABASE, b"SQLite format 3\0 but not really" * 100)


def relist(members: dict[str, bytes], name: str, content: bytes | None) -> None:
    """Replace or drop a member, and list it as it is now."""
    import hashlib

    manifest = json.loads(members[MANIFEST])
    manifest["members"] = [row for row in manifest["members"] if row["path"] != name]
    members.pop(name, None)
    if content is not None:
        digest = hashlib.sha256(content).hexdigest()
        manifest["members"].append({"path": name, "bytes": len(content), "sha256": digest})
        members[name] = content
    members[MANIFEST] = json.dumps(manifest).encode()


def hostile(name: str) -> Callable[[dict[str, bytes]], None]:
    """A member of this name, listed like any other."""

    def change(members: dict[str, bytes]) -> None:
        relist(members, name, b"pwned\n")

    return change


def sized(size: float) -> Callable[[dict[str, bytes]], None]:
    """A manifest that tells this size of a member."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members[MANIFEST])
        manifest["members"][-1]["bytes"] = size
        members[MANIFEST] = json.dumps(manifest).encode()

    return change


def timed(members: dict[str, bytes]) -> None:
    manifest = json.loads(members[MANIFEST])
    members[MANIFEST] = json.dumps({**manifest, "made_at": "\x1b]0;pwned\x07"}).encode()


def below_a_file(members: dict[str, bytes]) -> None:
    """Fits nowhere: where it is restored, roles/planner.md is a file."""
    relist(members, "roles/planner.md", None)
    relist(members, "roles/planner.md/deeper", b"x")


def in_place_of_a_folder(members: dict[str, bytes]) -> None:
    for name in ("roles/planner.md", "roles"):
        relist(members, name, None)
    relist(members, "roles", b"x")


HOSTILE = (
    "../escaped",
    "artifacts/../../escaped",
    "/tmp/escaped",
    "artifacts//x",
    "artifacts/./x",
    "artifacts\\..\\x",
    "state/worker.lock",
    "state/location.json",
    "git/config",
    "repoagents.env",
    "artifacts/a\nb",
)


@pytest.mark.parametrize(
    "change",
    [
        *(damage, shorten, lengthen, add, drop, other_format, no_manifest, broken_manifest),
        *(no_database, foreign_database, timed, below_a_file, in_place_of_a_folder),
        *(pytest.param(sized(size), id=f"{size} bytes") for size in (-5, 1e999, float("nan"))),
        *(pytest.param(hostile(name), id=repr(name)) for name in HOSTILE),
    ],
)
def test_what_is_not_as_it_was_backed_up_changes_nothing(
    change: Callable[[dict[str, bytes]], None], made: Backup, filled: Path, books: Database
) -> None:
    books.close()
    rewrite(made.path, change)
    before = {path: path.lstat().st_ino for path in filled.parent.rglob("*")}
    with pytest.raises(StoreError):
        restore_backup(filled, made.path, STAMP, force=True)
    assert {path: path.lstat().st_ino for path in filled.parent.rglob("*")} == before


def test_a_link_in_an_archive_is_refused(made: Backup, empty: Path) -> None:
    with zipfile.ZipFile(made.path, "a") as archive:
        entry = zipfile.ZipInfo("artifacts/link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(StoreError, match="not a plain file"):
        restore_backup(empty, made.path, STAMP, force=False)
    assert list(empty.iterdir()) == [empty / "state"]


def test_a_name_that_comes_twice_is_refused(made: Backup, empty: Path) -> None:
    with zipfile.ZipFile(made.path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CONFIG, "another\n")
    with pytest.raises(StoreError, match="twice"):
        restore_backup(empty, made.path, STAMP, force=False)


@pytest.mark.parametrize("keep", [0, 10, -200, -1])
def test_half_an_archive_is_refused(made: Backup, empty: Path, keep: int) -> None:
    made.path.write_bytes(made.path.read_bytes()[:keep])
    with pytest.raises(StoreError, match="cannot be restored"):
        restore_backup(empty, made.path, STAMP, force=False)
    assert not (empty / DATABASE).exists()


@pytest.mark.parametrize("offset", range(2, 30, 3))
def test_a_byte_that_went_wrong_on_the_disk_is_told(made: Backup, empty: Path, offset: int) -> None:
    raw = bytearray(made.path.read_bytes())
    start = len(DATABASE) + 50  # within the packed database
    raw[start + offset] ^= 0xFF
    made.path.write_bytes(raw)
    with pytest.raises(StoreError, match="cannot be restored"):
        restore_backup(empty, made.path, STAMP, force=False)
    assert not (empty / DATABASE).exists()


def test_a_backup_of_a_newer_version_is_refused(
    filled: Path, books: Database, empty: Path, tmp_path: Path, clock: FakeClock
) -> None:
    with books.door.begin() as execute:
        execute("UPDATE meta SET value = '99' WHERE key = 'schema'", {})
    made = make_backup(filled, tmp_path / "newer.zip", clock.now())
    with pytest.raises(StateUnreadable, match="schema 99"):
        restore_backup(empty, made.path, STAMP, force=False)
    assert not (empty / DATABASE).exists()


def test_for_postgresql_the_line_is_told_without_the_password() -> None:
    url = "postgresql://bot:hunter2@db.example:5433/agents"
    line = dump_line(url)
    assert line.split()[0] == "pg_dump"
    assert {"--host=db.example", "--port=5433", "--username=bot", "agents"} <= set(line.split())
    assert "hunter2" not in line
    with pytest.raises(ConfigError) as caught:
        refuse_server(url)
    assert line in caught.value.next_step
    refuse_server("")
