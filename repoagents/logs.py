"""The log door: JSON lines with stable event codes, redacted and rotated.

Whatever is written about the bot's work passes the `Redactor` here; whatever cannot be written is
dropped, because a full disk must not stop the work. Imports of weight happen inside functions.
"""

import base64
import fcntl
import json as json_text
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    import logging

HIDDEN = "[redacted]"
SHORTEST = 8
"""Shorter values are not searched for: hiding every `on` or `1` would hide everything."""

LEARNED = 8
"""How many learned values are remembered: logins replace each other, and the newest are in use."""

FILE_BYTES = 10_000_000
FILES = 4
"""The log and the three before it, `.1` the youngest."""

_TELLING_NAME = (
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|COOKIE|PRIVATE_?KEY"
    r"|(^|_)(API|ACCESS)?_?KEY(S|_ID)?(_|$)|(^|_)(AUTH|PAT)$|._PWD$"
)
_PLACE_NAME = r"_(FILE|PATH|DIR|SOCK|ENV|URL)$"
_SPELLED = {
    "&": r"(?:&(?:amp;)?|\\u0026)",
    "<": r"(?:<|&lt;|\\u003c)",
    ">": r"(?:>|&gt;|\\u003e)",
    '"': r'(?:"|&#34;)',
    "'": r"(?:'|&#39;)",
    "@": r"@\u200b?",
    "|": r"\\?\|",
}
_URL_USERINFO = r"://[^/\s:@]*:([^/\s@]+)@"

_OBEYED = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
"""What JSON may hold as it is, though a terminal obeys it or no encoding has it."""

# Patterns are texts here and compiled on use: importing this module must cost nothing.
_TOKEN68 = r"[A-Za-z0-9._~+/=-]"
_SHAPES = (
    r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{20,}"
    r"|(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{20,}"
    # A digit is asked for, so that words such as sk-learn-compatible-estimators stay.
    r"|(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,100}[0-9])[A-Za-z0-9_-]{20,}"
    r"|(?<![A-Za-z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    # Up to the end mark, or when that was cut off, as far as it looks like a key.
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"(?:(?:[^\0-]|-(?!----)){0,20000}-----END [A-Z ]*PRIVATE KEY-----"
    r"|(?:[A-Za-z0-9+/=\s]|\\[nr])*)"
)
_HEADERS = (
    rf"(?i)(\bbearer\s+)(?={_TOKEN68}*[0-9]){_TOKEN68}{{8,}}"
    rf"|(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+)?)(?!\[){_TOKEN68}{{8,}}"
)
# What is in every text that a pattern can match. To look for a word is many times quicker than to
# try a pattern at each character, and hardly any text holds one of these.
_SHAPES_HOLD = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "AKIA", "ASIA"),
    *("xox", "eyJ", "-----BEGIN "),
)
# Without the letter i: in a pattern that ignores case, it stands for letters of other alphabets.
_HEADERS_HOLD = ("bearer", "author")
# The name holds no colon: otherwise a text of many colons would take hours.
_NAME = r"[^/\s\"'\\@\[\]:]"
# With no password, the name in a web address is mostly a token.
_CREDENTIALS = rf"(://)(?:{_NAME}*:[^/\s\"'\\]+|(?:(?<=http://)|(?<=https://)){_NAME}+)(?=@)"


class Redactor:
    """Takes secrets out of text: by value, in every form it may be written in, and by shape."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._given = tuple(secrets)
        self._learned: tuple[str, ...] = ()
        self._values = _pattern(self._given)
        self._shapes = re.compile(_SHAPES)
        self._headers = re.compile(_HEADERS)
        self._credentials = re.compile(_CREDENTIALS)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that are hidden: those given, and the newest that were learned."""
        return (*self._given, *self._learned)

    def learn(self, secret: str) -> None:
        """Hide this value as well from now on: one that was asked for, like a login for an hour."""
        if secret not in self.secrets:
            self._learned = (*self._learned, secret)[-LEARNED:]
            self._values = _pattern(self.secrets)

    def redact(self, text: str) -> str:
        """The text with `[redacted]` in the place of every secret."""
        if self._values is not None:
            text = self._values.sub(HIDDEN, text)
        if any(word in text for word in _SHAPES_HOLD):
            text = self._shapes.sub(HIDDEN, text)
        small = text.lower()
        if any(word in small for word in _HEADERS_HOLD):
            text = self._headers.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)
        return self._credentials.sub(rf"\1{HIDDEN}", text)


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets for form in _forms(secret)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(_spelled, longest_first))) if forms else None


def _spelled(form: str) -> str:
    """The pattern of a form, its characters as pages and Markdown of ours may spell them."""
    return "".join(_SPELLED.get(character) or re.escape(character) for character in form)


def _forms(secret: str) -> Iterator[str]:
    """A value as it is, line by line, and as JSON, URLs, hexadecimal and base64 write it."""
    value = secret.strip()
    if len(value) < SHORTEST:
        return
    raw = value.encode("utf-8", "surrogateescape")
    once = json_text.dumps(value)[1:-1]
    # Twice, because agents' events hold the JSON that their tools wrote.
    yield from (value, once, json_text.dumps(once)[1:-1], quote(raw, safe=""), quote_plus(raw))
    yield from (raw.hex(), raw.hex().upper())
    yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= 2 * SHORTEST)
    for before in range(3):
        # Inside a longer text, base64 falls in one of three ways; the first and last characters
        # depend on the neighbours.
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = encoded[(0, 2, 3)[before] : -1 if (before + len(raw)) % 3 else None]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names say that they are secret, and passwords in URLs."""
    found = []
    for name, value in environment.items():
        if re.search(_TELLING_NAME, name.upper()) and not re.search(_PLACE_NAME, name.upper()):
            # Two webhook secrets may stand in one variable, while one replaces the other.
            parts = re.split(r"[\s,]+", value)
            found += [value, *(part for part in parts if len(part) >= 2 * SHORTEST)]
        for password in re.findall(_URL_USERINFO, value):
            found += [password, unquote(password)]
    return tuple(dict.fromkeys(found))


class JsonlJournal:
    """`ports.Journal`: one line per event, to a file, to stderr, to both or to neither."""

    def __init__(self, log: Any, sinks: "_Sinks") -> None:
        """Write through a structlog logger to these sinks; see `open_journal`."""
        self._log = log
        self._sinks = sinks

    def listen(self, hear: Callable[[Mapping[str, object]], None]) -> None:
        """Hand every further line to this, too, redacted and from whichever thread wrote it."""
        self._sinks.hear = hear

    def note(self, code: str, message: str, **fields: object) -> None:
        """Write one line at level info; fields are run, issue, role, attempt, stage and such."""
        self.write("info", code, message, fields)

    def warn(self, code: str, message: str, **fields: object) -> None:
        """The same at level warning."""
        self.write("warning", code, message, fields)

    def write(self, level: str, code: str, message: str, fields: Mapping[str, object]) -> None:
        """Write one line at `debug`, `info`, `warning` or `error`."""
        getattr(self._log, level)(message, code=code, fields=fields)


def open_journal(
    path: Path | None,
    *,
    level: str,
    json: bool,
    terminal: bool,
    redactor: Redactor,
    clock_now: Callable[[], datetime],
) -> JsonlJournal:
    """The journal of this process.

    `path` is the JSON-lines file, None for no file. Where stderr is a `terminal` nothing goes
    there; else lines do, as JSON or plain text as `json` says.
    """
    import structlog

    sinks = _Sinks(_RotatedFile(path) if path else None, echo=not terminal, as_json=json)

    def shape(_log: object, method: str, event: MutableMapping[str, Any]) -> _Line:
        line: dict[str, object] = {
            "at": clock_now().astimezone(UTC).isoformat(timespec="milliseconds"),
            "level": method,
            "code": event["code"],
            "message": event["event"],
        }
        line |= {name: value for name, value in event["fields"].items() if name not in line}
        return ((_redacted(line, redactor),), {})

    log = structlog.wrap_logger(
        sinks,
        processors=[shape],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return JsonlJournal(log, sinks)


_Line = tuple[tuple[object], dict[str, object]]


def _redacted(value: object, redactor: Redactor) -> Any:
    """A value as JSON can hold it, every text in it redacted."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _redacted(item, redactor) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(item, redactor) for item in value]
        case _:
            return redactor.redact(str(value))


class _Sinks:
    """Where lines end up; the methods are the levels that structlog calls."""

    def __init__(self, file: "_RotatedFile | None", *, echo: bool, as_json: bool) -> None:
        self._file = file
        self._echo = echo
        self._as_json = as_json
        self.hear: Callable[[Mapping[str, object]], None] = lambda _line: None

    def info(self, line: dict[str, object]) -> None:
        text = escape_obeyed(json_text.dumps(line, ensure_ascii=False))
        if self._file is not None:
            problem = self._file.append(text)
            if problem:
                _to_stderr(f"repoagents: the log cannot be written: {problem}")
        if self._echo:
            _to_stderr(text if self._as_json else _plain(line))
        self.hear(line)

    debug = warning = error = critical = info


def escape_obeyed(text: str) -> str:
    """JSON text in which nothing is left that a terminal obeys, or that no encoding takes.

    For all our JSON: this is the one room that whoever writes it may use.
    """
    return re.sub(_OBEYED, lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(line: dict[str, object]) -> str:
    """A line for people: time, level, sentence, and then what else is known."""
    shown = ("at", "level", "message")
    rest = " ".join(f"{name}={value}" for name, value in line.items() if name not in shown)
    # A line break inside a message would make one event look like several.
    text = f"{line['message']} ({rest})"
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{line['at']} {line['level']:<7} {words}"


def _to_stderr(text: str) -> None:
    try:
        sys.stderr.write(text.encode("utf-8", "replace").decode() + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody reads it any more; the work goes on.
        return


class _RotatedFile:
    """A log file that several processes append to; each line is one write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn = False
        self._complained = False

    def append(self, line: str) -> str:
        """Add a line; returns what went wrong, the first time that something does."""
        content = f"{line}\n".encode("utf-8", "replace")
        try:
            self._append(content)
        except OSError as error:
            first, self._complained = not self._complained, True
            return str(error) if first else ""
        return ""

    def _append(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rotate(len(content))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            # After a line that a full disk cut short, the next one begins on a line of its own.
            whole = b"\n" + content if self._torn else content
            self._torn = os.write(descriptor, whole) != len(whole)
        finally:
            os.close(descriptor)

    def _rotate(self, coming: int) -> None:
        if self._size() + coming <= FILE_BYTES:
            return
        lock = os.open(
            self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another process may have done it while this one waited.
            if self._size() + coming > FILE_BYTES:
                for number in range(FILES - 1, 0, -1):
                    source = self._numbered(number - 1)
                    if source.exists():
                        source.replace(self._numbered(number))
        finally:
            os.close(lock)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def route_stdlib(journal: JsonlJournal) -> None:
    """Send what libraries log through the journal: code `library`, the logger's name beside it."""
    import logging

    class IntoJournal(logging.Handler):
        """Hands each record on as one line."""

        def emit(self, record: logging.LogRecord) -> None:
            _hand_on(journal, record)

    root = logging.getLogger()
    root.handlers = [IntoJournal()]
    # The durable engine's logger writes to the console of its own accord unless it has a sink.
    engine = logging.getLogger("dbos")
    engine.handlers = [IntoJournal()]
    engine.propagate = False


def _hand_on(journal: JsonlJournal, record: "logging.LogRecord") -> None:
    import logging
    import traceback

    level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
    fields: dict[str, object] = {"logger": record.name}
    if record.exc_info and record.exc_info[0]:
        fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        message = f"{record.msg} {record.args}"
    journal.write(
        level if level in ("debug", "info", "warning") else "error", "library", message, fields
    )
