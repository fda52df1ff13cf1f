"""The addresses of branches, commits, checks and the rules that stand around them."""

from repoagents.rehearsal.hub.bare import Commit
from repoagents.rehearsal.hub.records import Annotation, Check, Json
from repoagents.rehearsal.hub.refusals import Refusal, not_found
from repoagents.rehearsal.hub.routing import REPO, Call, Reply, route


@route("GET", f"{REPO}/git/ref/heads/{{ref}}", "contents:read")
def ref(call: Call) -> Reply:
    """One branch as a reference."""
    return Reply(200, call.forge.code.ref(call.parameters["ref"], _head(call, "ref")))


@route("GET", f"{REPO}/branches/{{branch}}/protection", "administration:read", role="admin")
def protection(call: Call) -> Reply:
    """What the branch asks of a merge; only its admins may look."""
    name = call.parameters["branch"]
    _head(call, "branch")
    asked = call.forge.checks.protection.get(name)
    if asked is None:
        raise Refusal(404, "Branch not protected")
    payload: Json = {"url": f"{call.forge.payloads.base}/branches/{name}/protection"}
    if asked.checks:
        contexts = [{"context": check, "app_id": None} for check in asked.checks]
        payload["required_status_checks"] = {
            "strict": asked.up_to_date,
            "contexts": list(asked.checks),
            "checks": contexts,
        }
    if asked.reviews:
        payload["required_pull_request_reviews"] = {
            "required_approving_review_count": asked.reviews,
            "dismiss_stale_reviews": False,
            "require_code_owner_reviews": False,
        }
    return Reply(200, payload | {"enforce_admins": {"enabled": False}})


@route("GET", f"{REPO}/branches/{{branch}}", "contents:read")
def branch(call: Call) -> Reply:
    """One branch."""
    return Reply(200, call.forge.code.branch(call.parameters["branch"], _head(call, "branch")))


def _head(call: Call, name: str) -> str:
    sha = call.forge.bare.heads().get(call.parameters[name])
    if sha is None:
        raise Refusal(404, "Branch not found" if name == "branch" else "Not Found")
    return sha


@route("GET", f"{REPO}/rulesets", "metadata:read")
def rulesets(call: Call) -> Reply:
    """The repository's rulesets."""
    return call.page(call.forge.checks.rulesets, lambda ruleset: ruleset)


@route("GET", f"{REPO}/rules/branches/{{branch}}", "metadata:read")
def rules(call: Call) -> Reply:
    """The rules of rulesets that hold for a branch; protection is not among them."""
    found = [rule for set_ in call.forge.checks.rulesets for rule in _rules(set_)]
    return call.page(found, lambda rule: rule)


def _rules(ruleset: Json) -> list[object]:
    listed = ruleset.get("rules")
    return listed if isinstance(listed, list) else []


@route("GET", f"{REPO}/compare/{{sha}}", "contents:read")
def compare(call: Call) -> Reply:
    """How `base...head` differ."""
    before, _, after = call.parameters["sha"].partition("...")
    bare, (base, head) = call.forge.bare, (_commit(call, before), _commit(call, after))
    common = bare.merge_base(base.sha, head.sha)
    if common is None:
        raise not_found()
    ahead, behind = bare.log(base.sha, head.sha), bare.log(head.sha, base.sha)
    words = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    return Reply(
        200,
        {
            "url": f"{call.forge.payloads.base}/compare/{call.parameters['sha']}",
            "status": words.get((bool(ahead), bool(behind)), "diverged"),
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "base_commit": call.forge.code.commit(base),
            "merge_base_commit": call.forge.code.commit(bare.commit(common)),
            "commits": [call.forge.code.commit(commit) for commit in ahead],
            "files": [call.forge.code.file(f, head.sha) for f in bare.difference(common, head.sha)],
        },
    )


def _commit(call: Call, name: str) -> Commit:
    sha = call.forge.bare.resolve(name)
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {name}")
    return call.forge.bare.commit(sha)


def _sha(call: Call) -> str:
    return _commit(call, call.parameters["sha"]).sha


@route("GET", f"{REPO}/commits/{{sha}}/check-runs", "checks:read")
def check_runs(call: Call) -> Reply:
    """The check runs of a commit, the newest of each name."""
    return call.page(call.forge.checks.latest(_sha(call)), call.forge.code.check, "check_runs")


@route("GET", f"{REPO}/commits/{{sha}}/status", "statuses:read")
def combined_status(call: Call) -> Reply:
    """The older statuses of a commit, and what they come to."""
    sha = _sha(call)
    found = call.forge.checks.latest_statuses(sha)
    states = {status.state for status in found}
    bad = bool(states & {"failure", "error"})
    state = "failure" if bad else "success" if states == {"success"} else "pending"
    statuses = [call.forge.code.status(status) for status in found]
    totals = {"state": state, "sha": sha, "total_count": len(found), "statuses": statuses}
    return Reply(200, {**totals, "url": f"{call.forge.payloads.base}/commits/{sha}/status"})


@route("GET", f"{REPO}/check-runs/{{id}}/annotations", "checks:read")
def annotations(call: Call) -> Reply:
    """What a check remarked on lines."""
    return call.page(_run(call).annotations, _annotation)


@route("GET", f"{REPO}/actions/jobs/{{id}}/logs", "actions:read")
def job_log(call: Call) -> Reply:
    """Where an Actions job's log lies, on another host; its id is the check run's."""
    run, checks = _run(call), call.forge.checks
    return Reply(302, headers={"Location": f"{checks.log_host}/logs/{run.id}?sig={run.sha}"})


def _run(call: Call) -> Check:
    for run in call.forge.checks.runs:
        if run.id == call.id:
            return run
    raise not_found()


def _annotation(annotation: Annotation) -> Json:
    return {
        "path": annotation.path,
        "start_line": annotation.line,
        "end_line": annotation.line,
        "start_column": None,
        "end_column": None,
        "annotation_level": annotation.level,
        "message": annotation.message,
        "title": annotation.title or None,
        "raw_details": None,
    }
