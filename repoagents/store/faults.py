"""What a database's complaint means to the operator; standard library only."""

import errno

from repoagents.errors import StateUnreadable, StoreError

RESTORE = (
    "Nothing was changed. Restore a backup of this file, or move it away together with its -wal "
    "and -shm files to begin with an empty state."
)
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")


class Conflict(StoreError):
    """A row would break a rule of its table, such as a unique key."""


def fault(error: BaseException, place: str) -> StoreError:
    """The error to raise for a database's own; `place` names the database without a password."""
    code: str = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return corrupt(place, str(error))
    if code.startswith(_FULL) or _is_no_space(error):
        return StoreError(
            f"the state in {place} cannot be written: the disk is full",
            next_step="Free some space and run the command again; what was stored is intact.",
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"the state in {place} stayed locked by another process for 30 seconds",
            next_step="See `repoagents status` for the live worker; then run the command again.",
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"the state in {place} cannot be opened for this: {error}",
            next_step="Make the file and its folder readable and writable for this user.",
        )
    kind = Conflict if _is_conflict(error, code) else StoreError
    return kind(f"the state in {place} refused: {_first_line(error)}")


def corrupt(place: str, why: str) -> StateUnreadable:
    """The state is there but cannot be read."""
    return StateUnreadable(f"the state in {place} is damaged: {why}", next_step=RESTORE)


def foreign_schema(place: str, found: int, known: int) -> StateUnreadable:
    """The state has a schema that this program cannot use as it is."""
    if found > known:
        return StateUnreadable(
            f"the state in {place} has schema {found}; this program knows schema {known}",
            next_step="Use the newer repoagents that wrote it, or restore the backup made before.",
        )
    return StateUnreadable(
        f"the state in {place} has schema {found}, older than this program's schema {known}",
        next_step="Start `repoagents run` once: it brings the state up to date and keeps a backup.",
    )


def _is_no_space(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _is_conflict(error: BaseException, code: str) -> bool:
    # Class 23: https://www.postgresql.org/docs/current/errcodes-appendix.html
    state: str | None = getattr(error, "sqlstate", None)
    return code.startswith("SQLITE_CONSTRAINT") or (state or "").startswith("23")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
