"""The environment that agents, checks and hooks get: named variables and nothing else."""

from collections.abc import Iterable, Mapping

from repoagents.domain.settings import AgentSettings

ALWAYS = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "TZ"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"),
    }
)
"""What every process gets; in addition, LC_* and a TMPDIR of its own."""

NEVER = frozenset(
    {"GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_ENTERPRISE_TOKEN", "SSH_AUTH_SOCK"}
)
"""What no process gets, even when `agent.env` names it: whoever holds these can write as we do."""

OURS = "REPOAGENTS_"
"""Our own settings and secrets begin so; `agent.env` cannot pass them on."""


def child_environment(
    agent: AgentSettings,
    ambient: Mapping[str, str],
    credentials: Iterable[str] = (),
) -> dict[str, str]:
    """Choose from the bot's own environment what a process may see.

    `credentials` are the variables of the engine that is started; checks and hooks get none. With
    an isolated home there is no HOME among them: each process gets an empty one of its own, in
    which nothing waits that an earlier one has left. Codex still finds the operator's login.
    """
    named = {*ALWAYS, *credentials, *agent.env}
    chosen = {
        name: value
        for name, value in ambient.items()
        if (name in named or name.startswith("LC_"))
        and name not in NEVER
        and not name.startswith(OURS)
    }
    if agent.home == "isolated":
        home = chosen.pop("HOME", "")
        if "CODEX_HOME" in named and home:
            chosen.setdefault("CODEX_HOME", f"{home}/.codex")
    return chosen
