"""The endpoint for GitHub's webhooks, and the one for whoever watches over us."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from repoagents.errors import StoreError, WebhookRejected
from repoagents.ports import Clock, Journal
from repoagents.web.reception import ACCEPTED, DUPLICATE, Answer, Recipient, Recorder
from repoagents.web.signature import genuine
from repoagents.web.wire import MAX_BODY_BYTES, Header, parse_delivery

WEBHOOKS = "/webhooks/github"
HEALTH = "/healthz"
QUIET_SECONDS = 60.0
"""Strangers must not be able to fill the log: a kind of refusal is noted once in this time."""


@dataclass
class Receiver:
    """Turns requests into answers; without secrets, signatures are not asked for."""

    recipient: Recipient
    recorder: Recorder
    secrets: tuple[str, ...]
    clock: Clock
    journal: Journal
    _noted: dict[int, float] = field(default_factory=dict)

    def receive(self, header: Header, body: bytes) -> Answer:
        """Check, read and record one delivery.

        Raises `WebhookRejected` for a request that is refused, `StoreError` when it could not be
        made durable.
        """
        if self.secrets and not genuine(header("X-Hub-Signature-256"), body, self.secrets):
            raise WebhookRejected(HTTPStatus.UNAUTHORIZED, "the signature is missing or wrong")
        delivery = parse_delivery(header, body, self.clock.now())
        answer = self.recipient.answer_at_once(delivery)
        if answer is not None:
            return answer
        return ACCEPTED if self.recorder.record(delivery) else DUPLICATE

    def warn(self, code: str, message: str, status: int) -> None:
        """Note what was not taken, each status once a minute at most."""
        now = self.clock.monotonic()
        if now >= self._noted.get(status, now):
            self._noted[status] = now + QUIET_SECONDS
            self.journal.warn(code, message, status=status)


def make_app(receiver: Receiver) -> Flask:
    """The application: `POST /webhooks/github` and `GET /healthz`, everything in JSON."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    @app.post(WEBHOOKS)
    def deliver() -> Response:
        answer = receiver.receive(request.headers.get, request.get_data(cache=False))
        if answer.code >= HTTPStatus.BAD_REQUEST:
            receiver.warn("delivery_refused", f"refused: {answer.reason}", answer.code)
        return _respond(answer)

    @app.get(HEALTH)
    def health() -> Response:
        receiver.recorder.probe()
        return _respond(Answer(HTTPStatus.OK, "ok"))

    @app.errorhandler(WebhookRejected)
    def reject(error: WebhookRejected) -> Response:
        receiver.warn("delivery_refused", f"refused: {error}", error.status)
        return _respond(Answer(HTTPStatus(error.status), "refused", str(error)))

    @app.errorhandler(StoreError)
    def postpone(error: StoreError) -> Response:
        code = HTTPStatus.SERVICE_UNAVAILABLE
        receiver.warn("delivery_not_stored", f"answered 503: {error}", code)
        return _respond(Answer(code, "unavailable", "the state cannot be written; send it again"))

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> Response:
        code = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        return _respond(Answer(code, "refused" if code < 500 else "failed", code.phrase))

    return app


def _respond(answer: Answer) -> Response:
    document = {"status": answer.status} | ({"reason": answer.reason} if answer.reason else {})
    return Response(json.dumps(document) + "\n", answer.code, mimetype="application/json")
