"""What stands around a branch: rulesets, which everybody may read, and protection, which not."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from repoagents.domain.access import BranchRules
from repoagents.domain.pull_request import RequiredCheck
from repoagents.errors import Forbidden, NotFound
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import Fields, items, mapping, number, text

NOT_PROTECTED = "Branch not protected"
"""What GitHub says to an admin; whoever is none gets another word, or a bare 404."""

NOT_IN_THE_PLAN = "make this repository public to enable this feature"
"""How GitHub refuses (403) the rules of a private repository whose plan has none."""

UNREAD = (
    "how many reviews the classic protection of {branch} asks for is told to admins only "
    "(an App or fine-grained token: `administration: read`)"
)


class GitHubBranches:
    """The branches of one repository, and what they ask of a merge."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def rules(self, name: str) -> tuple[Fields, ...]:
        """Every active rule that rulesets, also the organization's, lay on a branch."""
        path = f"{self._client.root}/rules/branches/{quote(name, safe='')}"
        try:
            return self._client.listing(path)
        except Forbidden as error:
            if NOT_IN_THE_PLAN in str(error):
                return ()
            raise

    def required_checks(self, name: str) -> tuple[RequiredCheck, ...]:
        """The checks that rulesets and the branch's protection require, each named once."""
        return _required(self.rules(name), self._branch(name))

    def read(self, name: str) -> BranchRules:
        """What stands around a branch; at most four requests."""
        rules, fields = self.rules(name), self._branch(name)
        classic = mapping(fields.get("protection")).get("enabled", fields.get("protected")) is True
        reviews: int | None = max((_reviews(rule) for rule in rules), default=0)
        unread: tuple[str, ...] = ()
        if classic:
            found = self._classic_reviews(name)
            # The larger of the two holds; of one that is not known, none does.
            reviews = None if found is None or reviews is None else max(found, reviews)
            unread = (UNREAD.format(branch=name),) if found is None else ()
        return BranchRules(
            name=name,
            protected=classic or bool(rules),
            reviews=reviews,
            checks=tuple(dict.fromkeys(check.name for check in _required(rules, fields))),
            rules=tuple(sorted({text(rule, "type") for rule in rules} - {""})),
            rulesets=self._names(rules),
            unread=unread,
        )

    def _branch(self, name: str) -> Fields:
        return self._client.get(f"{self._client.root}/branches/{quote(name, safe='')}")

    def _classic_reviews(self, name: str) -> int | None:
        """None where the credential may not see it; an App's token tells what it may."""
        known = self._client.credential()
        if known.kind == "app" and not any(s.startswith("administration") for s in known.scopes):
            return None
        path = f"{self._client.root}/branches/{quote(name, safe='')}/protection"
        try:
            asked = mapping(self._client.get(path).get("required_pull_request_reviews"))
        except (Forbidden, NotFound) as error:
            if isinstance(error, Forbidden) and error.kind == "auth":
                raise
            return 0 if NOT_PROTECTED in str(error) else None
        return number(asked, "required_approving_review_count")

    def _names(self, rules: Iterable[Fields]) -> tuple[str, ...]:
        """The rulesets that the rules come from; one whose name is not told by its number."""
        wanted = dict.fromkeys(filter(None, (number(rule, "ruleset_id") for rule in rules)))
        if not wanted:
            return ()
        try:
            page, _ = self._client.first_page(f"{self._client.root}/rulesets", {})
        except (Forbidden, NotFound):
            page = ()
        names = {number(fields, "id"): text(fields, "name") for fields in page}
        return tuple(names.get(wanted_id) or f"ruleset {wanted_id}" for wanted_id in wanted)


def _required(rules: Iterable[Fields], branch: Fields) -> tuple[RequiredCheck, ...]:
    found = (*_of_rules(rules), *_classic(branch))
    return tuple(dict.fromkeys(check for check in found if check.name))


def _of_rules(rules: Iterable[Fields]) -> Iterator[RequiredCheck]:
    for rule in rules:
        if text(rule, "type") == "required_status_checks":
            for check in items(mapping(rule.get("parameters")), "required_status_checks"):
                yield RequiredCheck(text(check, "context"), number(check, "integration_id"))


def _classic(branch: Fields) -> Iterator[RequiredCheck]:
    """Those of the protection; an App that it names as -1 is any."""
    required = mapping(mapping(branch.get("protection")).get("required_status_checks"))
    checks = items(required, "checks")
    for check in checks:
        yield RequiredCheck(text(check, "context"), number(check, "app_id"))
    # An older GitHub Enterprise Server names them in this list alone.
    contexts = required.get("contexts")
    for context in contexts if isinstance(contexts, list) and not checks else ():
        if isinstance(context, str):
            yield RequiredCheck(context)


def _reviews(rule: Fields) -> int:
    if text(rule, "type") != "pull_request":
        return 0
    return number(mapping(rule.get("parameters")), "required_approving_review_count")
