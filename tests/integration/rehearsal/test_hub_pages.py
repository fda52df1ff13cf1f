"""The pages that a demo's links lead to."""

import pytest
import requests

from repoagents.rehearsal.hub import LoopbackGitHub


def page(url: str) -> str:
    reply = requests.get(url, timeout=100)
    assert reply.status_code == 200
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    return reply.text


def test_a_conversation_is_shown_and_escaped(hub: LoopbackGitHub) -> None:
    number = hub.open_issue("<script>1</script>", "a & b", ["<b>"], by="maya")
    hub.comment(number, "</pre><img src=x>", by="tom")
    text = page(f"{hub.site}/{hub.full_name}/issues/{number}")
    assert "&lt;script&gt;" in text
    assert "&lt;/pre&gt;&lt;img" in text
    assert "<script>" not in text
    assert "<img" not in text


def test_a_pull_request_shows_its_change_and_where_it_stands(hub: LoopbackGitHub) -> None:
    hub.commit_on("side", by="wren", files={"new.txt": "brand new\n"})
    number = hub.open_pull("Add it", head="side", by="wren", draft=True)
    link = f"{hub.site}/{hub.full_name}/pull/{number}"
    assert "+brand new" in page(link)
    states = [page(link).split("<p>")[1].split("<")[0].strip()]
    hub.mark_ready(number, by="wren")
    states.append(page(link).split("<p>")[1].split("<")[0].strip())
    hub.merge_pull(number, by="maya")
    states.append(page(link).split("<p>")[1].split("<")[0].strip())
    assert states == ["draft", "open", "merged"]


def test_the_repository_lists_both(hub: LoopbackGitHub) -> None:
    hub.open_issue("An issue", by="maya")
    hub.commit_on("side", by="wren")
    hub.open_pull("A pull request", head="side", by="wren")
    text = page(f"{hub.site}/{hub.full_name}")
    assert text.index("A pull request") < text.index("An issue")
    assert f'href="/{hub.full_name}/pull/2"' in text


@pytest.mark.parametrize("path", ["/", "/example/other", "/example/python-lib/issues/9"])
def test_elsewhere_is_nothing(hub: LoopbackGitHub, path: str) -> None:
    assert requests.get(f"{hub.site}{path}", timeout=100).status_code == 404
    assert hub.requests == ()
