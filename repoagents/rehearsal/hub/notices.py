"""What subscribers are told: a change of the state as the payload of a webhook."""

from repoagents.rehearsal.hub.code_payloads import CodePayloads
from repoagents.rehearsal.hub.payloads import Payloads
from repoagents.rehearsal.hub.records import Issue, Json, Notice


def payload_of(notice: Notice, common: Payloads, code: CodePayloads) -> Json:
    """The body of the webhook, with everything that GitHub puts into this kind of event."""
    payload: Json = {
        "action": notice.action,
        "repository": common.repo(),
        "sender": common.account(notice.by),
        **notice.detail,
    }
    if notice.issue is not None:
        payload |= _subject(notice.event, notice.issue, common, code)
    label = common.repository.label_named(notice.label) if notice.label else None
    if label is not None:
        payload["label"] = common.label(label)
    if notice.comment is not None:
        payload["comment"] = common.comment(notice.comment)
    if notice.review is not None:
        payload["review"] = code.review(notice.review)
    if notice.remark is not None:
        payload["comment"] = code.remark(notice.remark)
    if notice.check is not None:
        suite = notice.event == "check_suite"
        check = notice.check
        payload[notice.event] = code.suite(check.sha, check) if suite else code.check(check)
    return payload


def _subject(event: str, issue: Issue, common: Payloads, code: CodePayloads) -> Json:
    if issue.pull is None or event == "issue_comment":
        return {"issue": common.issue(issue)}
    pull = code.pull(issue, issue.pull)
    if event == "pull_request":
        pull |= {"merged": issue.pull.merged_at is not None, "mergeable": None}
        return {"number": issue.number, "pull_request": pull}
    return {"pull_request": pull}
