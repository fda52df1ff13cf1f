"""The one HTTP door to GitHub: PyGithub writes the requests, the rules of the door are ours.

PyGithub's own connection would repeat writes after a 502, take a 307 for a success, follow a 301
without its query, sleep for an hour, and mix up the requests of two threads. So each request gets
an exchange of its own that carries it and keeps the answer from PyGithub.
"""

import io
import re
from collections.abc import Callable, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import github
import requests
from github.GithubRetry import GithubRetry
from github.Requester import HTTPSRequestsConnectionClass, Requester, RequestsResponse
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, LocationValueError, ProxyError

from repoagents import __version__
from repoagents.errors import GitHubError, Unavailable
from repoagents.github.address import LOOPBACK, is_private, origin_of, parse_api_url
from repoagents.github.answers import Answer, Ask
from repoagents.ports import Clock

API_VERSION = "2022-11-28"
AGENT = f"repoagents/{__version__}"
CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 10.0, 30.0, 90.0
"""To connect, between two pieces of an answer, and for the answer in all."""
MOST_BYTES = 64 * 1024 * 1024
REDIRECTS = 3
GRAPHQL = "/graphql"
_REPO = re.compile(r".*?/(?:repos/[^/]+/[^/]+|repositories/[0-9]+)(?=/|\Z)")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Sends(Protocol):
    """Whoever can carry a request to GitHub."""

    def send(self, ask: Ask, authorization: str) -> Answer:
        """The answer, whatever its status; `GitHubError` when there is none."""

    def tail(self, url: str, most: int) -> bytes:
        """The end of a text elsewhere, asked for without a credential; `GitHubError` without it."""


class SafeRetry(GithubRetry):
    """Tries safe methods again after a broken connection or a 5xx, at once and then soon.

    Rate limits (403, 429) are left to us: a Retry-After is slept through without a cap.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT001, FBT002 - urllib3's signature
        """Whether this answer is worth another try."""
        return status_code >= 500 and super().is_retry(method, status_code, has_retry_after)


class Door:
    """Carries requests to one GitHub API and follows its redirects; knows no credential.

    `api_url` is https, or http on this machine. `read_seconds` is for tests.
    """

    def __init__(self, api_url: str, clock: Clock, *, read_seconds: float = READ_SECONDS) -> None:
        self.api_url = parse_api_url(api_url)
        self._clock = clock
        self._seconds = read_seconds
        again = SafeRetry(
            total=2,
            backoff_factor=0.2,
            allowed_methods=SAFE,
            respect_retry_after_header=False,
            raise_on_status=False,
        )
        self._reading = _session(again, self.api_url)

    def send(self, ask: Ask, authorization: str) -> Answer:
        """The answer, redirects followed; `GitHubError` when there is none that can be used."""
        url, moved = ask.path, False
        if not url.startswith("/"):
            self._refuse_elsewhere(ask, url)
        for _ in range(REDIRECTS + 1):
            answer = self._once(ask, url, authorization)
            wanted = answer.status == 302 and ask.handed_on
            if wanted or answer.status not in (301, 302, 303, 307, 308):
                return Answer(answer.status, answer.headers, answer.body, moved)
            url, moved = self._redirected(ask, answer), True
        raise GitHubError(f"{ask}: GitHub redirects in circles")

    def tail(self, url: str, most: int) -> bytes:
        """The end of a text on whatever host GitHub named: the address alone opens it.

        No credential goes there and no redirect is followed from there.
        """
        there, here = origin_of(url), urlsplit(self.api_url).hostname in LOOPBACK
        if there is None or not (is_private(there) if here else there[0] == "https"):
            raise GitHubError("GitHub names no https:// address for it")
        host, session = there[1], _session(0, url)
        try:
            with session.get(
                url,
                headers={"User-Agent": AGENT, "Accept": "text/plain"},
                timeout=(CONNECT_SECONDS, self._seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code != 200:
                    raise GitHubError(f"{host} answers {response.status_code}")
                end = b""
                for piece in _pieces(response, self._clock.monotonic):
                    end = (end + piece)[-most:]
                return end
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # What stands in the address opens the text: it is not repeated.
            raise GitHubError(f"no whole answer from {host}: {type(error).__name__}") from None
        finally:
            session.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._reading.close()

    def _redirected(self, ask: Ask, answer: Answer) -> str:
        """Where the same request goes on; only ever to the same host, which gets the credential."""
        location = urljoin(f"{self.api_url}/", answer.headers.get("location", ""))
        self._refuse_elsewhere(ask, location)
        # What has another number there was moved to another repository, which is not ours to write.
        same = answer.status in (307, 308) and _in_repo(location) == _in_repo(ask.path)
        if ask.is_write and not same:
            raise GitHubError(
                f"{ask}: GitHub redirects ({answer.status}) a write; nothing was written",
                next_step="Look whether the repository was renamed, and correct tracker.repo.",
            )
        told = urlsplit(location).query or not ask.query
        return location if told else f"{location}?{urlencode(ask.query)}"

    def _refuse_elsewhere(self, ask: Ask, url: str) -> None:
        there = origin_of(url)
        if there != origin_of(self.api_url):
            place = there[1] if there else "what is no address"
            raise GitHubError(
                f"{ask}: GitHub sends us to {place}, which gets no request and no credential of"
                " ours",
                next_step="Correct tracker.api_url.",
            )

    def _once(self, ask: Ask, url: str, authorization: str) -> Answer:
        headers = {"Authorization": authorization, "Accept": "application/vnd.github+json"}
        if ask.etag:
            headers["If-None-Match"] = ask.etag
        session = _session(0, self.api_url) if ask.is_write else self._reading
        exchange = _Exchange(self.api_url, session, self._seconds, self._clock.monotonic)
        requester = self._requester()
        try:
            requester.requestJson(
                ask.verb,
                requester.graphql_url if url == GRAPHQL else url,
                dict(ask.query) if url == ask.path else None,
                headers,
                ask.body,
                exchange,
            )
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._unreachable(ask, error) from error
        except (
            *(AssertionError, TypeError, KeyError, ValueError, RuntimeError),
            github.GithubException,
        ) as error:
            raise GitHubError(f"{ask}: PyGithub gave up: {type(error).__name__}") from error
        finally:
            if session is not self._reading:
                session.close()
        return exchange.answer

    def _requester(self) -> Requester:
        """A new one each time: it remembers requests without a lock."""
        return Requester(
            auth=None,
            base_url=self.api_url,
            timeout=int(READ_SECONDS),
            user_agent=AGENT,
            per_page=100,
            verify=True,
            retry=None,
            pool_size=None,
            api_version=API_VERSION,
        )

    def _unreachable(self, ask: Ask, error: Exception) -> Unavailable:
        host = urlsplit(self.api_url).netloc
        step = f"Look at the network and tracker.api_url; it is tried again. ({self.api_url})"
        if isinstance(error, requests.exceptions.SSLError):
            step = f"Name the certificate authority of {host} in REQUESTS_CA_BUNDLE."
        return Unavailable(f"{ask}: no whole answer from {host}: {_reason(error)}", next_step=step)


class _Exchange(HTTPSRequestsConnectionClass):
    """One request and its answer, in the place of PyGithub's shared connection."""

    def __init__(
        self,
        api_url: str,
        session: requests.Session,
        seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        parts = urlsplit(api_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self.session = session
        self._seconds = seconds
        self._monotonic = monotonic
        self.answer = Answer(0, {}, b"")

    def getresponse(self) -> RequestsResponse:
        """Send; PyGithub gets to see an empty success, because it would act upon the answer."""
        response = self.session.request(
            self.verb,
            f"{self._origin}{self.url}",
            headers=self.headers,
            data=self.input,
            timeout=(CONNECT_SECONDS, self._seconds),
            allow_redirects=False,
            stream=True,
        )
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = b"".join(_pieces(response, self._monotonic))
            self.answer = Answer(response.status_code, headers, body)
        blank = requests.Response()
        blank.status_code, blank.raw = 200, io.BytesIO()
        return RequestsResponse(blank)


def _pieces(response: requests.Response, monotonic: Callable[[], float]) -> Iterator[bytes]:
    """The body, within its size and its time: `requests` limits neither."""
    deadline, size = monotonic() + WHOLE_SECONDS, 0
    while piece := response.raw.read1(65536, decode_content=True):
        size += len(piece)
        if size > MOST_BYTES:
            raise requests.exceptions.ContentDecodingError(
                f"the answer is larger than {MOST_BYTES} bytes"
            )
        if monotonic() > deadline:
            raise requests.exceptions.ReadTimeout("the answer trickles in too slowly")
        yield piece


def _session(retries: GithubRetry | int, url: str) -> requests.Session:
    """A session for this address that keeps no cookie and looks into no .netrc."""
    session = requests.Session()
    # Only this machine is asked without TLS, and no proxy leads to it.
    session.trust_env = urlsplit(url).scheme == "https"
    session.auth = Requester.noopAuth
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def _in_repo(address: str) -> str:
    """What an address names within a repository, by whatever name or number that goes."""
    return unquote(_REPO.sub("", urlsplit(address).path, count=1))


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words, without the objects that urllib3 names."""
    who = ""
    while True:
        if isinstance(error, LocationValueError | requests.exceptions.InvalidURL):
            # Its words are what was typed, a password perhaps.
            return "the address, or the proxy's in the environment, cannot be read"
        who = "the proxy: " if isinstance(error, ProxyError) else who
        inner = (
            getattr(error, "reason", None)
            or getattr(error, "original_error", None)
            or next(iter(error.args), None)
        )
        if not isinstance(inner, BaseException):
            break
        error = inner
    return who + (str(error).rpartition("): ")[2] or type(error).__name__)
