"""What agents, checks and hooks see of the bot's environment."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.agents.environment import NEVER, child_environment
from repoagents.domain.settings import AgentSettings

AMBIENT = {
    "PATH": "/bin",
    "HOME": "/home/op",
    "USER": "op",
    "LANG": "en_US.UTF-8",
    "LC_TIME": "de_DE.UTF-8",
    "TZ": "Europe/Berlin",
    "TMPDIR": "/var/tmp",
    "https_proxy": "http://proxy:3128",
    "NO_PROXY": "localhost",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "CODEX_API_KEY": "key",
    "GITHUB_TOKEN": "ghp",
    "GH_TOKEN": "ghp",
    "AWS_SECRET_ACCESS_KEY": "aws",
    "PYTHONPATH": "/somewhere",
    "LD_PRELOAD": "/somewhere.so",
    "SSH_AUTH_SOCK": "/agent.sock",
    "REPOAGENTS_STATE__DATABASE_URL": "postgres://user:password@host/db",
    "DATABASE_URL": "postgres://test",
}


def test_a_check_gets_the_named_variables_and_nothing_else() -> None:
    assert child_environment(AgentSettings(), AMBIENT) == {
        name: AMBIENT[name]
        for name in (
            *("PATH", "HOME", "USER", "LANG", "LC_TIME", "TZ"),
            *("https_proxy", "NO_PROXY", "SSL_CERT_FILE"),
        )
    }


def test_only_the_engine_gets_its_credentials() -> None:
    chosen = child_environment(AgentSettings(), AMBIENT, ("CODEX_API_KEY",))
    assert chosen["CODEX_API_KEY"] == "key"
    assert "AWS_SECRET_ACCESS_KEY" not in chosen


def test_a_name_in_agent_env_is_passed_on() -> None:
    agent = AgentSettings(env=("DATABASE_URL", "NOT_SET"))
    chosen = child_environment(agent, AMBIENT)
    assert chosen["DATABASE_URL"] == "postgres://test"
    assert "NOT_SET" not in chosen


@pytest.mark.parametrize("name", [*sorted(NEVER), "REPOAGENTS_STATE__DATABASE_URL"])
def test_what_could_write_as_us_is_never_passed_on(name: str) -> None:
    agent = AgentSettings(env=(name,))
    assert name not in child_environment(agent, AMBIENT | {name: "x"}, (name,))


def test_with_an_isolated_home_codex_keeps_its_login() -> None:
    agent = AgentSettings(home="isolated")
    chosen = child_environment(agent, AMBIENT)
    assert "HOME" not in chosen
    assert "CODEX_HOME" not in chosen
    for_codex = child_environment(agent, AMBIENT, ("CODEX_HOME",))
    assert for_codex["CODEX_HOME"] == "/home/op/.codex"
    own = child_environment(agent, AMBIENT | {"CODEX_HOME": "/c"}, ("CODEX_HOME",))
    assert own["CODEX_HOME"] == "/c"


@given(
    st.dictionaries(st.text(string.ascii_uppercase + "_", min_size=1), st.text(), max_size=20),
    st.lists(st.text(string.ascii_uppercase + "_", min_size=1), max_size=5),
)
def test_nothing_is_invented_and_nothing_is_leaked(
    ambient: dict[str, str], named: list[str]
) -> None:
    agent = AgentSettings(env=tuple(named))
    chosen = child_environment(agent, ambient | {"GITHUB_TOKEN": "ghp"})
    assert chosen.items() <= ambient.items()
    assert "GITHUB_TOKEN" not in chosen
    assert {n for n in named if n in ambient and not n.startswith("REPOAGENTS_")} <= {
        *chosen,
        *NEVER,
    }
