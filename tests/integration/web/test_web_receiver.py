"""From a signed request to a row on disk, over real sockets."""

from datetime import UTC, datetime

from tests.integration.web.conftest import Served


def test_a_signed_delivery_is_recorded_and_then_answered(served: Served) -> None:
    reply = served.post(X_GitHub_Delivery="72d3162e-cc78-11e3-81ab-4c9367dc0958")
    assert (reply.code, reply.said) == (202, {"status": "accepted"})
    (delivery,) = served.deliveries.pending()
    assert delivery.id == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert delivery.updated_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert delivery.look is not None
    assert (delivery.look.number, delivery.look.because) == (7, "issues labeled repoagents, by ann")
