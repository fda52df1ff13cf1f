"""What a complaint of the database or of a file means to the operator; standard library only."""

import errno

from repoagents.errors import StateUnreadable, StoreError

RESTORE = (
    "Nothing was changed. Restore a backup of this file, or move it away together with its -wal "
    "and -shm files to begin with an empty state."
)
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")


class Conflict(StoreError):
    """A row would break a rule of its table, such as a unique key."""


_LOCKED = "Make it readable and writable for this user, its folder too; then run the command again."
_IN_THE_WAY = "Move away what lies there; then run the command again."
_SERVER = (
    "See that the server is up and lets this user in; "
    "`repoagents config show` names where state.database_url comes from."
)
_NEXT_STEPS = {
    errno.EACCES: _LOCKED,
    errno.EPERM: _LOCKED,
    errno.EROFS: "Mount the file system writable; then run the command again.",
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP), _IN_THE_WAY),
}


def fault(error: BaseException, place: str, deed: str = "opened") -> StoreError:
    """Our error for one of the database or of a file, in words for the operator.

    `place` names the database without a password, or the file; `deed` is what a file cannot be.
    """
    if isinstance(error, OSError):
        return _of_file(error, place, deed)
    code: str = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return corrupt(place, str(error))
    if code.startswith(_FULL):
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
    step = _SERVER if _is_servers(error) else ""
    return kind(f"the state in {place} refused: {_first_line(error)}", next_step=step)


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


def _of_file(error: OSError, place: str, deed: str) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            f"{place} cannot be written: the disk is full",
            next_step="Free some space and run the command again; what was stored is intact.",
        )
    why = error.strerror or type(error).__name__
    if error.errno == errno.EEXIST:
        why = f"{error.filename} is in the way"
    return StoreError(
        f"{place} cannot be {deed}: {why}", next_step=_NEXT_STEPS.get(error.errno or 0, "")
    )


def _is_conflict(error: BaseException, code: str) -> bool:
    # Class 23: https://www.postgresql.org/docs/current/errcodes-appendix.html
    state: str | None = getattr(error, "sqlstate", None)
    return code.startswith("SQLITE_CONSTRAINT") or (state or "").startswith("23")


def _is_servers(error: BaseException) -> bool:
    """Whether PostgreSQL is not there, full or going down, or lets this user not in."""
    state: str | None = getattr(error, "sqlstate", "none of its errors")
    return state is None or state.startswith(("08", "28", "3D", "53", "57"))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
