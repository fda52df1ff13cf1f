"""The endpoint for GitHub's webhooks, and the one for whoever watches over us."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from repoagents.domain.delivery import WEBHOOKS
from repoagents.errors import StoreError, WebhookRejected
from repoagents.ports import Clock, Journal
from repoagents.web.reception import ACCEPTED, DUPLICATE, Answer, Recipient, Recorder
from repoagents.web.signature import genuine
from repoagents.web.wire import MAX_BODY_BYTES, Header, parse_delivery

HEALTH = "/healthz"
QUIET_SECONDS = 60.0
"""Strangers must not be able to fill the log: a kind of refusal is noted once in this time."""

WELL_SECONDS = 1.0
"""For so long a probe that succeeded speaks for the next: each one writes, and anybody may ask."""

WRONG_METHOD = Answer(HTTPStatus.METHOD_NOT_ALLOWED, "refused", "deliveries come by POST")
NOT_STORED = Answer(
    HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "the state cannot be written; send it again"
)


@dataclass
class Receiver:
    """Turns deliveries into answers; without secrets, signatures are not asked for.

    `heard_at` is when the last genuine one came, a ping or a duplicate too.
    """

    recipient: Recipient
    recorder: Recorder
    secrets: tuple[str, ...]
    clock: Clock
    journal: Journal
    heard_at: datetime | None = None
    _noted: dict[int, float] = field(default_factory=dict)
    _well_until: float | None = None

    def receive(self, header: Header, body: bytes) -> Answer:
        """Check, read and record one delivery; the answer holds once it is given."""
        try:
            answer = self._receive(header, body)
        except WebhookRejected as error:
            answer = Answer(HTTPStatus(error.status), "refused", str(error))
        except StoreError as error:
            return self.not_stored(error)
        if answer.code >= HTTPStatus.BAD_REQUEST and self._is_news(answer.code):
            reason = f"refused: {answer.reason}"
            self.journal.warn("delivery_refused", reason, status=int(answer.code))
        return answer

    def probe(self) -> None:
        """Raises `StoreError` when a delivery could not be kept; asks the disk once a second."""
        if self._well_until is None or self.clock.monotonic() >= self._well_until:
            self.recorder.probe()
            self._well_until = self.clock.monotonic() + WELL_SECONDS

    def not_stored(self, error: StoreError) -> Answer:
        """Note why the state cannot be written; the answer does not tell it to strangers."""
        if self._is_news(NOT_STORED.code):
            reason, status = f"answered 503: {error}", int(NOT_STORED.code)
            self.journal.warn("delivery_not_stored", reason, status=status)
        return NOT_STORED

    def _receive(self, header: Header, body: bytes) -> Answer:
        if self.secrets and not genuine(header("X-Hub-Signature-256"), body, self.secrets):
            raise WebhookRejected(HTTPStatus.UNAUTHORIZED, "the signature is missing or wrong")
        delivery = parse_delivery(header, body, self.clock.now())
        self.heard_at = delivery.received_at
        answer = self.recipient.answer_at_once(delivery)
        if answer is not None:
            return answer
        return ACCEPTED if self.recorder.record(delivery) else DUPLICATE

    def _is_news(self, status: int) -> bool:
        """Whether a status has not been noted for a while: strangers cannot fill the log."""
        now = self.clock.monotonic()
        if now < self._noted.get(status, now):
            return False
        self._noted[status] = now + QUIET_SECONDS
        return True


def make_app(receiver: Receiver) -> Flask:
    """The application: `POST /webhooks/github` and `GET /healthz`, everything in JSON."""
    app = Flask(__name__, static_folder=None)
    app.wsgi_app = _Entrance(receiver, app.wsgi_app)  # type: ignore[method-assign]

    @app.get(HEALTH)
    def health() -> Response:
        receiver.probe()
        return _respond(Answer(HTTPStatus.OK, "ok"))

    @app.errorhandler(StoreError)
    def complain(error: StoreError) -> Response:
        return _respond(receiver.not_stored(error))

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> Response:
        code = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        return _respond(Answer(code, "refused" if code < 500 else "failed", code.phrase))

    return app


class _Entrance:
    """Answers deliveries itself and leaves every other request to Flask.

    Flask's routing and contexts take as long as all that is done with a delivery, the disk apart;
    `benchmarks/receiver.py` tells.
    """

    def __init__(self, receiver: Receiver, others: WSGIApplication) -> None:
        self._receiver = receiver
        self._others = others

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != WEBHOOKS:
            return self._others(environ, start_response)
        answer = WRONG_METHOD
        if environ["REQUEST_METHOD"] == "POST":
            # The server has read and bounded it.
            body = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
            answer = self._receiver.receive(_headers(environ), body)
        document = _render(answer)
        kind = ("Content-Type", "application/json")
        length = ("Content-Length", str(len(document)))
        start_response(f"{answer.code.value} {answer.code.phrase}", [kind, length])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [document]


def _headers(environ: Mapping[str, str]) -> Header:
    def header(name: str) -> str | None:
        key = name.upper().replace("-", "_")
        return environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}")

    return header


def _respond(answer: Answer) -> Response:
    return Response(_render(answer), answer.code, mimetype="application/json")


def _render(answer: Answer) -> bytes:
    reason = {"reason": answer.reason} if answer.reason else {}
    return json.dumps({"status": answer.status, **reason}).encode() + b"\n"
