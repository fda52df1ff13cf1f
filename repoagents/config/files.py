"""Files of the control plane: read with bounds, written whole, never through links."""

import os
from pathlib import Path

import repoagents
from repoagents.errors import ConfigError

CONTROL = ".ai-repoagents"
"""The folder of the control plane, in the repository's root."""
CONFIG = "repoagents.yaml"
CONFIG_PATH = f"{CONTROL}/{CONFIG}"
ENVIRONMENT = "repoagents.env"
LARGEST = 1_000_000
MARKED = (".yaml", ".env")
"""Our own files, read without the byte order mark that some editors put in front."""


def shipped(name: str) -> Path:
    """A file or folder of the installed package, or else of the checkout that it runs from.

    Raises `ConfigError` when neither has it.
    """
    package = Path(repoagents.__file__).parent
    for folder in (package, package.parent):
        if (folder / name).exists():
            return folder / name
    raise ConfigError(f"this installation has no {name}", next_step="Install the program again.")


def read_text(path: Path, shown: str) -> str | None:
    """The text of a UTF-8 file, line endings as they are; None when there is none.

    `shown` names the file in errors. Raises `ConfigError` for anything but a readable regular
    file of at most a megabyte.
    """
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise ConfigError(f"{shown} is not a file", next_step=f"Move {shown} out of the way.")
        if not path.stat().st_mode & 0o400:
            # The mode is checked instead of trying: root may read what its owner locked.
            raise ConfigError(f"{shown} is not readable", next_step=f"chmod u+r {shown}")
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{shown} is larger than {LARGEST:,} bytes and was not read")
        return path.read_bytes().decode("utf-8-sig" if path.suffix in MARKED else "utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown} is not UTF-8 text (byte {error.start})", next_step="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{shown} cannot be read: {error.strerror}", next_step=f"chmod u+r {shown}"
        ) from error


def write_whole(path: Path, content: str) -> None:
    """Replace a file in one step, its mode kept; a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with draft.open("x", encoding="utf-8", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            draft.chmod(mode)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def why_not_writable(root: Path, relative: str) -> str | None:
    """Why a file below the root must not be written, or None: a link or a lock on the way."""
    if _is_locked(root):
        return f"{root} is read-only"
    path = root
    parts = Path(relative).parts
    for position, part in enumerate(parts):
        path = path / part
        if path.is_symlink():
            return f"{path.relative_to(root)} is a symbolic link to {path.readlink()}"
        last = position == len(parts) - 1
        if path.exists() and (path.is_dir() if last else not path.is_dir()):
            return f"{path.relative_to(root)} is {'a folder' if last else 'not a folder'}"
        if path.exists() and _is_locked(path):
            return f"{path.relative_to(root)} is read-only"
    return None


def _is_locked(path: Path) -> bool:
    """The mode is checked too: root may write what its owner locked."""
    return not path.stat().st_mode & 0o200 or not os.access(path, os.W_OK)
