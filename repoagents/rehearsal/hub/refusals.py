"""GitHub's ways to say no: a status, a sentence, and for 422 the fields that do not fit."""

from repoagents.errors import RepoAgentsError


class Refusal(RepoAgentsError):
    """A request that GitHub would not carry out; becomes the error reply."""

    def __init__(self, status: int, message: str, errors: tuple[dict[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


def not_found() -> Refusal:
    """404, also for what the caller may not know of."""
    return Refusal(404, "Not Found")


def invalid(resource: str, field: str, code: str, message: str = "") -> Refusal:
    """422 with the one field that does not fit."""
    error = {"resource": resource, "code": code, "field": field}
    return Refusal(422, "Validation Failed", (error | ({"message": message} if message else {}),))
