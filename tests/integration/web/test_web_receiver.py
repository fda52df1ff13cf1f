"""From a signed request to a row on disk, over real sockets."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repoagents.domain.delivery import Delivery
from repoagents.errors import StoreError
from repoagents.store.database import Database
from tests.fakes.clock import START
from tests.integration.web.conftest import (
    LABELED,
    OLD_SECRET,
    SECRET,
    Reply,
    Serve,
    Served,
    eventually,
    signature,
)

ACCEPTED = Reply(202, {"status": "accepted"})
DUPLICATE = Reply(202, {"status": "duplicate"})
UNSIGNED = Reply(401, {"status": "refused", "reason": "the signature is missing or wrong"})


def test_a_signed_delivery_is_recorded_and_then_answered(served: Served) -> None:
    reply = served.post(X_GitHub_Delivery="72d3162e-cc78-11e3-81ab-4c9367dc0958")
    assert reply == ACCEPTED
    (delivery,) = served.deliveries.pending()
    assert delivery.id == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert delivery.updated_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert delivery.look is not None
    assert (delivery.look.number, delivery.look.because) == (7, "issues labeled repoagents, by ann")


# --- signatures ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [None, "", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, "sha256=" + "\xfc" * 64],
)
def test_whatever_is_not_signed_is_a_401_and_leaves_nothing(
    served: Served, header: str | None
) -> None:
    assert served.post(X_Hub_Signature_256=header) == UNSIGNED
    assert served.deliveries.pending() == ()


def test_the_old_sha1_header_does_not_count(served: Served) -> None:
    body = json.dumps(LABELED).encode()
    old = signature(body).replace("sha256=", "sha1=")[:45]
    assert served.post(X_Hub_Signature_256=None, X_Hub_Signature=old) == UNSIGNED


def test_two_signature_headers_are_none(served: Served) -> None:
    body = json.dumps(LABELED).encode()
    lines = [
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close",
        b"Content-Type: application/json\r\nX-GitHub-Event: issues\r\nX-GitHub-Delivery: a",
        *[f"X-Hub-Signature-256: {signature(body)}".encode()] * 2,
        b"Content-Length: %d\r\n\r\n" % len(body),
    ]
    assert served.raw(b"\r\n".join(lines) + body).startswith(b"HTTP/1.1 401")


def test_while_a_secret_is_replaced_both_count(serve: Serve) -> None:
    served = serve(secrets=(SECRET, OLD_SECRET))
    assert served.post(other(1), secret=OLD_SECRET) == ACCEPTED
    assert served.post(other(2), secret=SECRET) == ACCEPTED
    assert served.post(other(3), secret="another-secret-altogether") == UNSIGNED


def test_where_nobody_signs_nothing_is_asked_for(serve: Serve) -> None:
    served = serve(secrets=())
    assert served.post(X_Hub_Signature_256=None) == ACCEPTED


def test_strangers_learn_nothing_and_cannot_fill_the_log(served: Served) -> None:
    for n in range(20):
        assert served.post(b"not even json", secret=f"wrong {n}", Content_Type="x/y") == UNSIGNED
    assert served.journal.codes() == ["delivery_refused"]
    assert SECRET not in repr(served.journal.lines)


# --- which deliveries ------------------------------------------------------------------------


def other(number: int, **changes: object) -> dict[str, object]:
    """A delivery about another issue, changed elsewhere too."""
    issue = {**LABELED["issue"], "id": number, "number": number}  # type: ignore[dict-item]
    return {**LABELED, "issue": issue, **changes}


def test_a_ping_is_answered_and_not_kept(served: Served) -> None:
    assert served.post({"zen": "Keep it simple."}, "ping") == Reply(200, {"status": "pong"})
    assert served.deliveries.pending() == ()


def test_an_event_that_is_not_read_is_ignored(served: Served) -> None:
    reply = served.post({"ref": "x", "repository": {"full_name": "octo/cat"}}, "push")
    assert (reply.code, reply.said["status"]) == (202, "ignored")
    assert "push" in reply.said["reason"]
    assert served.deliveries.pending() == ()


@pytest.mark.parametrize("name", ["OCTO/CAT", "octo/cat"])
def test_the_repositorys_name_may_be_in_any_case(served: Served, name: str) -> None:
    assert served.post(other(1, repository={"full_name": name})) == ACCEPTED


@pytest.mark.parametrize(
    "name", ["octo/dog", "octo/cat2", "evil/cat", "octo/cat/..", "oct\u043e/cat"]
)
def test_another_repository_is_a_403(served: Served, name: str) -> None:
    reply = served.post(other(1, repository={"full_name": name}))
    assert (reply.code, reply.said["status"]) == (403, "refused")
    assert served.deliveries.pending() == ()


def test_an_issue_of_no_repository_is_ignored(served: Served) -> None:
    assert served.post(other(1, repository=None)).said["status"] == "ignored"
    assert served.deliveries.pending() == ()


def test_an_apps_deliveries_come_from_its_installation(serve: Serve) -> None:
    served = serve(installation=5)
    assert served.post(other(1, installation={"id": 5})) == ACCEPTED
    assert served.post(other(2, installation={"id": 6})).code == 403
    assert served.post({"action": "deleted", "installation": {"id": 6}}, "installation").code == 403
    assert served.post({"action": "suspend", "installation": {"id": 5}}, "installation") == ACCEPTED


# --- known already ---------------------------------------------------------------------------


def test_a_delivery_that_is_sent_again_is_known(served: Served) -> None:
    assert served.post(other(1), X_GitHub_Delivery="one") == ACCEPTED
    assert served.post(other(1), X_GitHub_Delivery="one") == DUPLICATE
    assert served.post(other(2), X_GitHub_Delivery="one") == DUPLICATE
    assert [delivery.issue_number for delivery in served.deliveries.pending()] == [1]


def test_it_stays_known_after_it_was_taken(served: Served, books: Database) -> None:
    served.post(other(1), X_GitHub_Delivery="one")
    books.deliveries.take("one", "looked", START)
    assert served.post(other(1), X_GitHub_Delivery="one") == DUPLICATE


def test_the_same_change_under_another_id_is_known(served: Served) -> None:
    assert served.post(other(1)) == ACCEPTED
    assert served.post(other(1)) == DUPLICATE
    assert len(served.deliveries.pending()) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"action": "unlabeled"},
        {"label": {"name": "another"}},
        {"issue": {**LABELED["issue"], "updated_at": "2026-01-02T03:04:06Z"}},  # type: ignore[dict-item]
        {"issue": {**LABELED["issue"], "id": 4243}},  # type: ignore[dict-item]
        {"issue": {"id": 4242, "number": 7}},
    ],
)
def test_another_change_is_not_known(served: Served, changed: dict[str, object]) -> None:
    assert served.post(LABELED) == ACCEPTED
    assert served.post({**LABELED, **changed}) == ACCEPTED


def test_what_has_no_time_is_known_by_its_id_alone(served: Served) -> None:
    payload = {**LABELED, "issue": {"id": 1, "number": 1}}
    assert [served.post(payload) for _ in range(2)] == [ACCEPTED] * 2


def test_sent_many_times_at_once_it_is_recorded_once(served: Served) -> None:
    replies: list[Reply] = []
    senders = [
        threading.Thread(target=lambda: replies.append(served.post(X_GitHub_Delivery="one")))
        for _ in range(12)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(reply.said["status"] for reply in replies) == ["accepted"] + ["duplicate"] * 11
    assert len(served.deliveries.pending()) == 1


# --- when it cannot be stored ----------------------------------------------------------------


class BrokenDeliveries:
    """`ports.Deliveries` on a disk that is full."""

    def put(self, delivery: Delivery) -> bool:
        """Refuse."""
        raise StoreError("the disk is full")

    def put_all(self, deliveries: Sequence[Delivery]) -> tuple[bool, ...]:
        """Refuse."""
        raise StoreError("the disk is full")

    def pending(self) -> tuple[Delivery, ...]:
        """Nothing."""
        return ()

    def take(self, delivery_id: str, outcome: str, at: datetime) -> None:
        """Refuse."""
        raise StoreError("the disk is full")

    def forget_before(self, at: datetime) -> bool:
        """Refuse."""
        raise StoreError("the disk is full")

    def probe(self) -> None:
        """Refuse."""
        raise StoreError("the disk is full")


def test_what_could_not_be_stored_is_a_503(serve: Serve) -> None:
    served = serve(deliveries=BrokenDeliveries())
    reply = served.post()
    assert (reply.code, reply.said["status"]) == (503, "unavailable")
    assert "full" not in reply.said["reason"]
    assert [line[:2] for line in served.journal.lines] == [
        ("delivery_not_stored", "answered 503: the disk is full")
    ]


def test_while_another_process_holds_the_state_it_is_a_503_and_then_recorded(
    serve: Serve, path: Path
) -> None:
    served = serve(patience=0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert served.post(other(1), X_GitHub_Delivery="one").code == 503
        assert served.ask("GET", "/healthz").code == 503
        holder.execute("ROLLBACK")
    for _ in range(2):
        assert eventually(lambda: served.post(other(1), X_GitHub_Delivery="one").code == 202)
    assert [delivery.id for delivery in served.deliveries.pending()] == ["one"]


def test_a_bad_request_is_a_4xx_even_when_nothing_can_be_stored(serve: Serve) -> None:
    served = serve(deliveries=BrokenDeliveries())
    assert served.post(b"{").code == 400


# --- the rest of the house -------------------------------------------------------------------


def test_health_says_whether_a_delivery_could_be_stored(serve: Serve) -> None:
    assert serve().ask("GET", "/healthz") == Reply(200, {"status": "ok"})
    assert serve(deliveries=BrokenDeliveries()).ask("GET", "/healthz").code == 503


def test_health_costs_a_stranger_no_write_each(serve: Serve) -> None:
    class Counted(BrokenDeliveries):
        probes = 0

        def probe(self) -> None:
            """Count."""
            self.probes += 1

    deliveries = Counted()
    served = serve(deliveries=deliveries)
    assert {served.ask("GET", "/healthz").code for _ in range(30)} == {200}
    assert 1 <= deliveries.probes < 30


@pytest.mark.parametrize(
    ("method", "where", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/webhooks/github", 405),
        ("PUT", "/webhooks/github", 405),
        ("OPTIONS", "/webhooks/github", 405),
        ("POST", "/healthz", 405),
        ("POST", "/webhooks/github/", 404),
        ("POST", "/webhooks/../webhooks/github", 404),
        ("GET", "/static/x", 404),
    ],
)
def test_there_is_nothing_else(served: Served, method: str, where: str, code: int) -> None:
    request = f"{method} {where} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    answer = served.raw(request)
    assert answer.startswith(b"HTTP/1.1 %d " % code)
    assert b"Server:" not in answer
    assert b"Access-Control" not in answer


@pytest.mark.parametrize("where", ["/webhooks/github", "/healthz", "/"])
def test_who_asks_for_the_head_alone_gets_no_body(served: Served, where: str) -> None:
    """A body would be taken for the beginning of the next answer."""
    request = f"HEAD {where} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    assert served.raw(request).partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"a": 1, "a": 2}', {}, 400),
        (b"payload=%7B%7D", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"Content_Type": "application/json; charset=nonsense"}, 415),
        (b"{}", {"Content_Type": None}, 415),
        (b"{}", {"X_GitHub_Event": None}, 400),
        (b"{}", {"X_GitHub_Event": "../../x"}, 400),
        (b"{}", {"X_GitHub_Delivery": None}, 400),
        (b"\x1f\x8b\x08\x00", {"Content_Encoding": "gzip"}, 400),
    ],
)
def test_a_signed_but_bad_request_is_a_4xx_with_its_reason(
    served: Served, body: bytes, headers: dict[str, str | None], code: int
) -> None:
    reply = served.post(body, **headers)
    assert (reply.code, reply.said["status"]) == (code, "refused")
    assert reply.said["reason"]
    assert served.deliveries.pending() == ()


def test_what_was_recorded_can_be_forgotten_once_it_was_taken(
    served: Served, books: Database
) -> None:
    for number in (1, 2):
        served.post(other(number), X_GitHub_Delivery=f"n{number}")
    books.deliveries.take("n1", "looked", datetime.now(UTC))
    books.deliveries.forget_before(datetime.now(UTC) + timedelta(days=1))
    assert [delivery.id for delivery in served.deliveries.pending()] == ["n2"]
    assert served.post(other(1), X_GitHub_Delivery="n1") == ACCEPTED
