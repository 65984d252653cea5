"""What notices look like where they arrive."""

from __future__ import annotations

from bridge.model.notices import Notice, NoticeKind
from bridge.ox.notices.channels import payload, slack_notices

BAD = Notice(
    "k", NoticeKind.VULNERABILITY, "group:default/a", "<!here> *x* @all\n/y", "e", "", "/s"
)


def test_a_message_holds_no_mention_and_is_bounded() -> None:
    made = slack_notices("group:default/a", [BAD] * 30, "https://f.example/")
    assert made["text"] == "group:default/a: 30 notices"
    text = "\n".join(block["text"]["text"] for block in made["blocks"])
    assert "<!here>" not in text
    assert "@all" not in text
    assert text.count("<https://f.example/s|more>") == 20
    assert text.endswith("and 10 more")
    long = Notice("k", NoticeKind.GATE, "t", "x" * 9_000)
    blocks = slack_notices("t", [long] * 20)["blocks"]
    assert len(blocks) > 1
    assert all(len(block["text"]["text"]) <= 3_000 for block in blocks)


def test_backstage_shows_one_as_its_title_and_several_as_lines() -> None:
    one = payload([BAD], "b1", "https://f.example")
    assert one == {
        "title": "<!here> *x* @all /y",
        "description": "<!here> *x* @all /y",
        "severity": "critical",
        "topic": "fester",
        "scope": "fester:b1",
        "link": "https://f.example/s",
    }
    gate = Notice("g", NoticeKind.GATE, "t", "a gate")
    many = payload([gate] * 25, "b2")
    assert (many["title"], many["severity"]) == ("25 notices of Fester", "high")
    assert many["description"].splitlines() == ["a gate"] * 20 + ["and 5 more"]
    assert "link" not in many
