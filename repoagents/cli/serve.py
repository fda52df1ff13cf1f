"""`serve`: receive GitHub's webhooks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, INTERRUPTED
from repoagents.cli.options import Whole
from repoagents.cli.output import examples, remark

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.domain.host_settings import WebhookSettings
    from repoagents.web.server import HttpServer


@click.command(epilog=examples("serve", "serve --host 0.0.0.0 --port 9000"))
@click.option("--host", help="The address to listen on; else webhook.host.")
@click.option("--port", type=Whole(0, 65_535), metavar="N", help="The port; else webhook.port.")
@click.option(
    "--allow-unsigned",
    is_flag=True,
    help="Without a secret, take deliveries that nobody signed; on a loopback address only.",
)
def command(*, host: str | None, port: int | None, allow_unsigned: bool) -> int:
    """Receive GitHub's webhooks and record them, for the worker to act on.

    It does no work of its own: `repoagents run` does. Each delivery is answered when it is on
    disk, so none that was answered is lost. GET /healthz says whether the state can be written.
    """
    import signal

    from repoagents.web.server import ended_by_signals

    premises = place.open_premises()
    with (
        listening(premises, host, port, allow_unsigned=allow_unsigned) as (server, is_signed),
        ended_by_signals(server) as signals,
    ):
        click.echo(_where(premises, server, host, signed=is_signed))
        server.serve()
    remark("stopped; what was answered is recorded")
    return INTERRUPTED if signal.SIGINT in signals else DONE


def address(settings: "WebhookSettings", host: str | None, port: int | None) -> tuple[str, int]:
    """Where to listen: as typed, else as configured."""
    return host or settings.host, settings.port if port is None else port


@contextmanager
def listening(
    premises: "Premises", host: str | None, port: int | None, *, allow_unsigned: bool
) -> "Iterator[tuple[HttpServer, bool]]":
    """A server that listens, and is about to answer; and whether it asks for signatures."""
    from repoagents.logs import route_stdlib
    from repoagents.web.heart import Heart
    from repoagents.web.receiver import Receiver, make_app
    from repoagents.web.reception import Recorder, recipient_of
    from repoagents.web.server import HttpServer
    from repoagents.web.signature import require_secrets

    settings, environment = premises.loaded.settings.webhook, premises.loaded.environment
    host, port = address(settings, host, port)
    recipient = recipient_of(premises.loaded.settings.tracker)
    secrets = require_secrets(environment, settings.secret_env, host, allow_unsigned=allow_unsigned)
    route_stdlib(premises.journal)
    with premises.database() as database, Recorder(database.deliveries) as recorder:
        receiver = Receiver(recipient, recorder, secrets, premises.clock, premises.journal)
        heart = Heart(database.pulses, premises.clock, lambda: receiver.heard_at)
        server = HttpServer(make_app(receiver), host, port)
        with heart:
            yield server, bool(secrets)


@contextmanager
def serving(premises: "Premises") -> "Iterator[str]":
    """A server that answers beside whatever else is done; gives the sentence that says where."""
    from threading import Thread

    with listening(premises, None, None, allow_unsigned=False) as (server, is_signed):
        thread = Thread(target=server.serve, name="receiver")
        thread.start()
        try:
            yield _where(premises, server, None, signed=is_signed)
        finally:
            server.stop()
            thread.join()


def _where(premises: "Premises", server: "HttpServer", host: str | None, *, signed: bool) -> str:
    from repoagents.domain.delivery import WEBHOOKS

    which = "signed" if signed else "UNSIGNED"
    repo = premises.loaded.settings.tracker.repo
    said = f"listening on {server.url}{WEBHOOKS} for {which} webhooks of {repo}"
    name, _ = address(premises.loaded.settings.webhook, host, None)
    if ":" in name or name in server.url:
        return said
    return f"{said}; of {name} this is the IPv4 address, and there is no other listener"
