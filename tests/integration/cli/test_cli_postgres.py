"""The commands where the state is in PostgreSQL: the same answers, read another way."""

import json
from pathlib import Path

import pytest

from tests.contract.conftest import postgres


@pytest.mark.postgres
@pytest.mark.slow
def test_the_commands_find_the_state_on_a_server(repoagents, example: Path) -> None:
    with postgres() as place:
        url = {"REPOAGENTS_STATE__DATABASE_URL": place}
        assert "no runs yet" in repoagents(example, "status", **url).out
        done = repoagents(example, "trigger", "1", **url)
        assert done.code == 0, done.err
        assert "issue 1 verify" in done.out
        assert "completed" in repoagents(example, "status", **url).out
        shown = json.loads(repoagents(example, "status", "--issue", "1", "--json", **url).out)
        assert shown["runs"][0]["status"] == "completed"
        assert not list((example / ".ai-repoagents/state").glob("*.sqlite"))
        elsewhere = repoagents(example, "status")
        assert "no runs yet" in elsewhere.out, "without the variable it is another state"
