"""What GitHub sent to our webhooks, and the wish that it send something again."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlsplit

from repoagents.domain.delivery import WEBHOOKS, Sending
from repoagents.errors import Forbidden, NotFound
from repoagents.github.address import origin_of
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import Fields, instant, mapping, number, text

OF_THE_APP = "/app/hook/deliveries"

GRANT_STEP = (
    "It takes an account with the role Admin and a token with `Webhooks: read and write` (a"
    " classic one with `repo` or `write:repo_hook`). Or leave it: polling finds the same issues."
)
APP_STEP = (
    "Look on the App's page whether its webhook is active, or leave it: polling finds the same"
    " issues."
)


class GitHubHooks:
    """`ports.Hooks` of one repository: its own webhooks that lead to our receiver, or the App's.

    `installation` is that of the App that the bot works as, None for a token. An App has one
    webhook for all its installations; of its deliveries, only those of our repository count.
    """

    def __init__(self, client: GitHubClient, installation: int | None) -> None:
        self._client = client
        self._installation = installation

    def sendings(self, since: datetime) -> tuple[Sending, ...]:
        """What was sent since then, newest first for each webhook, as far as GitHub's list goes."""
        try:
            if self._installation is not None:
                return tuple(self._sent_by_app(since))
            return tuple(s for hook in self._ours() for s in self._sent_to(hook, since))
        except (Forbidden, NotFound) as error:
            raise self._refused(error) from error

    def resend(self, sending: Sending) -> None:
        """Ask for one more sending; the answer says only that the wish was heard."""
        as_app = sending.hook is None
        listed = OF_THE_APP if sending.hook is None else self._deliveries_of(sending.hook)
        path = f"{listed}/{sending.id}/attempts"
        try:
            self._client.write("POST", path, None, as_app=as_app)
        except Forbidden as error:
            raise self._refused(error) from error

    def _ours(self) -> tuple[int, ...]:
        """The ids of the active webhooks whose address is the receiver's."""
        found = self._client.listing(f"{self._client.root}/hooks")
        return tuple(number(hook, "id") for hook in found if _leads_to_us(hook))

    def _sent_to(self, hook: int, since: datetime) -> Iterable[Sending]:
        for fields, at in self._listed(self._deliveries_of(hook), since):
            yield _parse_sending(fields, at, hook)

    def _sent_by_app(self, since: datetime) -> Iterable[Sending]:
        here = number(self._client.get(self._client.root), "id"), self._installation
        for fields, at in self._listed(OF_THE_APP, since):
            if (number(fields, "repository_id"), number(fields, "installation_id")) == here:
                yield _parse_sending(fields, at, None)

    def _listed(self, path: str, since: datetime) -> Iterable[tuple[Fields, datetime]]:
        """The records since then, and their times, of a listing that has the newest first."""
        for page in self._client.scroll(path, as_app=path == OF_THE_APP):
            for fields in page:
                at = instant(fields, "delivered_at")
                if at is None:
                    continue
                if at < since:
                    return
                yield fields, at

    def _deliveries_of(self, hook: int) -> str:
        return f"{self._client.root}/hooks/{hook}/deliveries"

    def _refused(self, error: Forbidden | NotFound) -> Forbidden:
        """What stands for good, until a person grants more; a credential that ended does not."""
        told = f"missed webhook deliveries cannot be asked for: {error}"
        step = GRANT_STEP if self._installation is None else APP_STEP
        if error.kind == "auth":
            return Forbidden(told, next_step=error.next_step, kind="auth")
        return Forbidden(told, next_step=step)


def _leads_to_us(hook: Fields) -> bool:
    url = text(mapping(hook.get("config")), "url")
    return hook.get("active") is True and bool(origin_of(url)) and urlsplit(url).path == WEBHOOKS


def _parse_sending(fields: Fields, at: datetime, hook: int | None) -> Sending:
    return Sending(
        delivery_id=text(fields, "guid"),
        id=number(fields, "id"),
        hook=hook,
        event=text(fields, "event"),
        at=at,
        status=number(fields, "status_code"),
        again=fields.get("redelivery") is True,
    )
