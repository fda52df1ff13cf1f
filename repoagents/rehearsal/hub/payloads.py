"""The JSON that GitHub makes of accounts, the repository, issues and what is said below them."""

from collections.abc import Iterable
from datetime import datetime

from repoagents.rehearsal.hub.accounts import ROLES, Accounts, App
from repoagents.rehearsal.hub.records import Comment, Happening, Issue, Json, Label, Reaction
from repoagents.rehearsal.hub.repository import Repository

EMOJI = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def stamp(at: datetime | None) -> str | None:
    """An instant as GitHub writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


class Payloads:
    """Renders records; `api` and `site` are the URLs before `/repos/...` and `/owner/name`."""

    def __init__(self, repository: Repository, accounts: Accounts, api: str, site: str) -> None:
        self.repository = repository
        self.accounts = accounts
        self.api = api
        self.site = site

    @property
    def base(self) -> str:
        """The repository's API URL."""
        return f"{self.api}/repos/{self.repository.full_name}"

    @property
    def page(self) -> str:
        """The repository's page."""
        return f"{self.site}/{self.repository.full_name}"

    def account(self, login: str) -> Json | None:
        """An account; None for one that was deleted."""
        account = self.accounts.find(login)
        if account is None:
            return None
        return {
            "login": account.login,
            "id": account.id,
            "node_id": f"U_{account.id}",
            "avatar_url": f"{self.site}/avatars/{account.id}",
            "gravatar_id": "",
            "url": f"{self.api}/users/{account.login}",
            "html_url": f"{self.site}/{account.login}",
            "type": account.kind,
            "user_view_type": "public",
            "site_admin": False,
        }

    def owner(self) -> Json:
        """The owner, an organization of that name."""
        login = self.repository.full_name.partition("/")[0]
        number = self.repository.id + 900_000
        known = self.account(login)
        return known or {
            "login": login,
            "id": number,
            "node_id": f"O_{number}",
            "url": f"{self.api}/users/{login}",
            "html_url": f"{self.site}/{login}",
            "type": "Organization",
            "site_admin": False,
        }

    def repo(self, role: str | None = None) -> Json:
        """The repository; with the caller's permissions when a role is given."""
        repository = self.repository
        payload: Json = {
            "id": repository.id,
            "node_id": f"R_{repository.id}",
            "name": repository.full_name.partition("/")[2],
            "full_name": repository.full_name,
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "owner": self.owner(),
            "html_url": self.page,
            "url": self.base,
            "clone_url": f"{self.page}.git",
            "description": None,
            "fork": False,
            "archived": repository.archived,
            "disabled": False,
            "has_issues": True,
            "default_branch": repository.default_branch,
            "open_issues_count": sum(i.state == "open" for i in repository.issues.values()),
            "allow_merge_commit": True,
            "allow_squash_merge": True,
            "allow_rebase_merge": False,
            "allow_auto_merge": True,
            "created_at": stamp(repository.created_at),
        }
        if role is not None:
            payload["permissions"] = permissions(role)
        return payload

    def fork(self, full_name: str) -> Json:
        """Somebody's fork: another id, another owner, the same name."""
        login, _, name = full_name.partition("/")
        number = self.repository.id + 500_000 + sum(map(ord, login))
        return {
            "id": number,
            "node_id": f"R_{number}",
            "name": name,
            "full_name": full_name,
            "private": False,
            "owner": self.account(login),
            "html_url": f"{self.site}/{full_name}",
            "url": f"{self.api}/repos/{full_name}",
            "fork": True,
            "default_branch": self.repository.default_branch,
        }

    def label(self, label: Label) -> Json:
        """A label."""
        return {
            "id": label.id,
            "node_id": f"LA_{label.id}",
            "url": f"{self.base}/labels/{label.name}",
            "name": label.name,
            "color": label.color,
            "default": False,
            "description": None,
        }

    def labels_of(self, issue: Issue) -> list[Json]:
        """The labels that an issue wears."""
        found = [self.repository.label_named(name) for name in issue.labels]
        return [self.label(label) for label in found if label is not None]

    def reactions(self, url: str, reactions: Iterable[Reaction]) -> Json:
        """The counts of every emoji."""
        contents = [reaction.content for reaction in reactions]
        counts: Json = {emoji: contents.count(emoji) for emoji in EMOJI}
        return {"url": f"{url}/reactions", "total_count": len(contents), **counts}

    def reaction(self, reaction: Reaction) -> Json:
        """One person's emoji."""
        return {
            "id": reaction.id,
            "node_id": f"REA_{reaction.id}",
            "user": self.account(reaction.by),
            "content": reaction.content,
            "created_at": stamp(reaction.at),
        }

    def association(self, login: str) -> str:
        """How the author stands to the repository, as GitHub words it."""
        account = self.accounts.find(login)
        if account is None or account.kind == "Bot":
            return "NONE"
        return "COLLABORATOR" if ROLES.index(account.role) >= ROLES.index("triage") else "NONE"

    def issue(self, issue: Issue) -> Json:
        """An issue, as lists and webhooks give it; a pull request says that it is one."""
        url = f"{self.base}/issues/{issue.number}"
        part = "pull" if issue.pull else "issues"
        payload: Json = {
            "id": issue.id,
            "node_id": f"I_{issue.id}",
            "url": url,
            "repository_url": self.base,
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "html_url": f"{self.page}/{part}/{issue.number}",
            "comments": len(self.repository.comments_of(issue.number)),
            "state_reason": issue.state_reason,
            "closed_by": self.account(issue.closed_by) if issue.closed_by else None,
            "reactions": self.reactions(url, ()),
            "performed_via_github_app": self.performed_by(issue.by),
            **self.shared(issue),
        }
        if issue.pull:
            payload["draft"] = issue.pull.draft
            payload["pull_request"] = {
                "url": f"{self.base}/pulls/{issue.number}",
                "html_url": f"{self.page}/pull/{issue.number}",
                "merged_at": stamp(issue.pull.merged_at),
            }
        return payload

    def shared(self, issue: Issue) -> Json:
        """What the payloads of issues and of pull requests have in common."""
        return {
            "number": issue.number,
            "title": issue.title,
            "user": self.account(issue.by),
            "labels": self.labels_of(issue),
            "state": issue.state,
            "locked": issue.locked,
            "active_lock_reason": None,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": stamp(issue.closed_at),
            "author_association": self.association(issue.by),
            "body": issue.body,
        }

    def comment(self, comment: Comment) -> Json:
        """A comment below an issue or a pull request."""
        issue = self.repository.issue(comment.number)
        url = f"{self.base}/issues/comments/{comment.id}"
        part = "pull" if issue.pull else "issues"
        return {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "url": url,
            "issue_url": f"{self.base}/issues/{comment.number}",
            "html_url": f"{self.page}/{part}/{comment.number}#issuecomment-{comment.id}",
            "user": self.account(comment.by),
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
            "author_association": self.association(comment.by),
            "body": comment.body,
            "reactions": self.reactions(url, comment.reactions),
            "performed_via_github_app": self.performed_by(comment.by),
        }

    def happening(self, happening: Happening) -> Json:
        """A line of a timeline."""
        return {
            "id": happening.id,
            "node_id": f"EV_{happening.id}",
            "url": f"{self.base}/issues/events/{happening.id}",
            "actor": self.account(happening.by),
            "event": happening.name,
            "commit_id": None,
            "commit_url": None,
            "created_at": stamp(happening.at),
            "performed_via_github_app": self.performed_by(happening.by),
            **happening.detail,
        }

    def said(self, comment: Comment) -> Json:
        """A comment as a line of the timeline."""
        return {
            **self.comment(comment),
            "event": "commented",
            "actor": self.account(comment.by),
        }

    def performed_by(self, login: str) -> Json | None:
        """The App whose bot did it, or None."""
        for app in self.accounts.apps.values():
            if login == f"{app.slug}[bot]":
                return self.app(app)
        return None

    def app(self, app: App) -> Json:
        """A GitHub App."""
        return {
            "id": app.id,
            "node_id": f"A_{app.id}",
            "slug": app.slug,
            "name": app.slug,
            "owner": self.owner(),
            "description": "",
            "external_url": self.site,
            "html_url": f"{self.site}/apps/{app.slug}",
            "permissions": app.permissions,
            "events": [],
            "created_at": stamp(self.repository.created_at),
            "updated_at": stamp(self.repository.created_at),
        }


def permissions(role: str) -> Json:
    """A role as the five switches that a repository's payload has."""
    reached = ROLES.index(role)
    words = {"pull": "read", "triage": "triage", "push": "write"}
    words |= {"maintain": "maintain", "admin": "admin"}
    return {switch: reached >= ROLES.index(word) for switch, word in words.items()}
