"""Hard caps on calls, tokens and cost: asked before a stage starts, with its estimate."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from repoagents.domain.reports import Usage
from repoagents.domain.settings import LimitSettings

Scope = Literal["run", "hour", "day"]

CHARACTERS_PER_TOKEN = 4
TOKEN_RESERVE = 8_000
"""What a call may use beyond its prompt until the engine says what it did."""

_WINDOWS: dict[Scope, str] = {
    "run": "by this run",
    "hour": "in the last hour",
    "day": "in the last 24 hours",
}
_LOOK_AGAIN: dict[Scope, timedelta] = {"hour": timedelta(minutes=10), "day": timedelta(hours=1)}


@dataclass(frozen=True)
class Refusal:
    """A cap that the next call would exceed.

    `scope` is the window that has to free itself; `run` means that waiting does not help and a
    person must raise the limit.
    """

    limit_key: str
    message: str
    scope: Scope


@dataclass(frozen=True)
class _Cap:
    key: str
    unit: str
    scope: Scope
    used: float
    wanted: float
    limit: float

    @property
    def exceeded(self) -> bool:
        at_cap = self.used > 0 and self.used >= self.limit
        return at_cap or self.used + self.wanted > self.limit


def estimate(prompt: str) -> Usage:
    """What to reserve for a call with this prompt: the real figure replaces it afterwards."""
    return Usage(calls=1, tokens=len(prompt) // CHARACTERS_PER_TOKEN + TOKEN_RESERVE)


def why_not(
    run: Usage, hour: Usage, day: Usage, estimate: Usage, limits: LimitSettings
) -> Refusal | None:
    """The first cap that a call of this estimate would exceed, or None.

    An unknown cost counts as nothing; the refusal says so. What can never fit, however long one
    waits, is refused with scope `run`.
    """
    caps = (
        _Cap("calls_per_hour", "agent calls", "hour", hour.calls, estimate.calls,
             limits.calls_per_hour),
        _Cap("tokens_per_run", "tokens", "run", run.tokens, estimate.tokens,
             limits.tokens_per_run),
        _Cap("tokens_per_day", "tokens", "day", day.tokens, estimate.tokens,
             limits.tokens_per_day),
        _Cap("cost_per_run", "cost", "run", run.cost or 0.0, estimate.cost or 0.0,
             limits.cost_per_run),
        _Cap("cost_per_day", "cost", "day", day.cost or 0.0, estimate.cost or 0.0,
             limits.cost_per_day),
    )  # fmt: skip
    for cap in caps:
        if cap.exceeded:
            return _refusal(cap, cost_known=day.cost is not None)
    return None


def window_wait(message: str) -> timedelta | None:
    """How long to wait before a refusal's window is looked at again; None when it never frees.

    The windows slide, so room returns bit by bit; looking again costs no call.
    """
    for scope, wait in _LOOK_AGAIN.items():
        if _WINDOWS[scope] in message:
            return wait
    return None


def _refusal(cap: _Cap, *, cost_known: bool) -> Refusal:
    key = f"limits.{cap.key}"
    note = "" if cost_known else "; the engine reports no cost, so no cost cap applies"
    if cap.wanted > cap.limit or not cap.limit:
        text = (
            f"one call alone needs {_shown(cap.wanted)} {cap.unit}, {key} allows "
            f"{_shown(cap.limit)}: raise it{note}"
        )
        return Refusal(key, text, "run")
    text = (
        f"{_shown(cap.used)} of {_shown(cap.limit)} {cap.unit} are used or reserved "
        f"{_WINDOWS[cap.scope]} and the next call needs {_shown(cap.wanted)} ({key}){note}"
    )
    return Refusal(key, text, cap.scope)


def _shown(number: float) -> str:
    return f"{number:,.2f}".removesuffix(".00")
