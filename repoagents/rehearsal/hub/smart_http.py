"""Git over HTTP: `git http-backend` behind the same tokens and permissions as the API."""

from email.parser import BytesHeaderParser

from repoagents.rehearsal.hub.accounts import Caller
from repoagents.rehearsal.hub.bare import BareRepository
from repoagents.rehearsal.hub.repository import Repository
from repoagents.rehearsal.hub.routing import Reply, Request

ASKING = {"WWW-Authenticate": 'Basic realm="GitHub"', "Content-Type": "text/plain"}
PASSED_ON = {"content-type": "CONTENT_TYPE", "content-encoding": "HTTP_CONTENT_ENCODING"}


def is_git(repository: Repository, request: Request) -> bool:
    """Whether the address is the repository's for git."""
    return request.path.lower().startswith(f"/{repository.full_name.lower()}.git/")


def is_push(request: Request) -> bool:
    """Whether git is about to push, or asks whether it may."""
    service = request.query.get("service") or request.path.rpartition("/")[2]
    return service == "git-receive-pack"


def answer_git(
    repository: Repository, bare: BareRepository, caller: Caller, request: Request
) -> Reply:
    """What git's own server says, once the caller may ask."""
    pushing = is_push(request)
    if caller.token is None and (pushing or repository.private):
        return Reply(401, raw=b"Authentication required.\n", headers=ASKING)
    level, role = ("write", "write") if pushing else ("read", "read")
    if repository.private and not caller.has_role("read"):
        return Reply(404, raw=b"Repository not found.\n")
    denied = not caller.has("contents", level) or (pushing and not caller.has_role(role))
    if denied or (pushing and repository.archived):
        told = f"Permission to {repository.full_name}.git denied to {caller.login}.\n"
        return Reply(403, raw=told.encode(), headers={"Content-Type": "text/plain"})
    return _backend(bare, caller, request)


def _backend(bare: BareRepository, caller: Caller, request: Request) -> Reply:
    place = request.path.rpartition(".git/")[2]
    variables = {
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(bare.folder),
        "PATH_INFO": f"/{place}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.raw_query,
        "CONTENT_LENGTH": str(len(request.body)),
        "REMOTE_USER": caller.login,
        "REMOTE_ADDR": "127.0.0.1",
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
    }
    for header, name in PASSED_ON.items():
        if header in request.headers:
            variables[name] = request.headers[header]
    git = bare.git.told(**variables)
    said = git.run("-c", "http.receivepack=true", "http-backend", stdin=request.body).out
    head, _, body = said.partition(b"\r\n\r\n")
    headers = dict(BytesHeaderParser().parsebytes(head).items())
    status = int(headers.pop("Status", "200").split()[0])
    return Reply(status, raw=body, headers=headers)
