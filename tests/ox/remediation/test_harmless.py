"""No text of a stranger does anything in GitLab. The sandbox obeys texts, so it is the judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.model.entities import Ref
from bridge.model.remediation import IssueKey, IssuePlace
from bridge.model.scores import CheckState, Evidence
from bridge.ox.remediation.drafts import FILES, Contact, load_drafts
from bridge.ox.remediation.harmless import TITLE_LIMIT, plain, quoted, titled
from bridge.sandbox.tracker import BOT, CODE, Thing, Tracker
from tests.ox.remediation.fleets import CHECKS, TEMPLATES, drafts, result, service

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DRAFTS = drafts()
nasty = st.text(st.sampled_from("/@#!~`\\<>[]()|*_-\n\r\u2028\u202eacloseFixes 17\"'&$\ud800"))


def filed(title: str, reason: str, value: object) -> tuple[Thing, Tracker]:
    """An issue of ours with strangers' texts everywhere, as GitLab keeps it."""
    seen = result(service(1), "ci", CheckState.FAIL, NOW, reason)
    seen = replace(seen, evidence=(Evidence(reason, value, NOW, title),))
    place = IssuePlace(1, title, title, reason)
    draft = DRAFTS.render(IssueKey.checklist(1, service(1)), place, [(CHECKS["ci"], seen)])
    tracker = Tracker(lambda: NOW, 1)
    return tracker.create(1, draft.title, BOT, description=draft.text), tracker


@given(nasty, nasty, nasty)
@example("/close", "\n/close\n", "@all please")
@example("`@all`", "``` \n/close\n```", "</code>@all")
def test_strangers_texts_are_harmless(title: str, reason: str, value: str) -> None:
    """No quick action, nobody told, no markup, no reference, one line each, a title that fits."""
    thing, tracker = filed(title, reason, value)
    assert (thing.state, thing.labels, thing.confidential) == ("opened", [], False)
    assert tracker.told == []
    spoken = CODE.sub("", thing.description)
    for found in ("@", "<script", "![", "Fixes #", "Fixes 17"):
        assert found not in spoken.replace("<!--", "")
    assert len(thing.title) <= 255
    assert "@a" not in thing.title
    thing.description.encode()


@given(nasty)
def test_a_code_span_cannot_be_left(text: str) -> None:
    inside = quoted(text)[1:-1]
    assert "`" not in inside
    assert "\n" not in inside
    assert "|" not in inside


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Closes #3", "Clos\u200bes #\u200b3"),
        ("see @all", "see @\u200ball"),
        ("https://evil.example/x", "https:\u200b//evil.example/x"),
        ("a\u202eb\x00c", "abc"),
        ("fixes group/project!7", "fix\u200bes group/project!\u200b7"),
    ],
)
def test_references_are_taken_apart(text: str, shown: str) -> None:
    assert quoted(text) == f"`{shown}`"


def test_lengths_are_bounded() -> None:
    assert len(plain("x" * 10_000)) == 160
    assert len(titled("x" * 10_000)) == TITLE_LIMIT
    assert titled("_my_payment_api__v2_ *x*") == "my_payment_api__v2 x"


def test_the_owners_mention_is_the_settings_word() -> None:
    made = drafts(team=Contact("kim", "@corp/team")).render(
        IssueKey(1, service(1), "owner"),
        IssuePlace(1, "a/b", "B", "group:default/team"),
        [(CHECKS["owner"], result(service(1), "owner", CheckState.FAIL, NOW))],
    )
    assert "\n@corp/team\n" in made.text
    assert "**How to fix it:** add owner" in made.text


def test_a_template_of_ones_own_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "gate.md").write_text(
        "{{ service_title }} again\n\nFix {{ check.title }}\n/close\n"
    )
    made = load_drafts([tmp_path, TEMPLATES]).render(
        IssueKey(1, service(1), "owner"), IssuePlace(1, "a/b", "B"), [(CHECKS["owner"], None)]
    )
    assert made.title == "B again"
    assert "\n/close" not in made.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ check.title", "gate.md:1: not a template"),
        ("{{ nonsense }}", "gate.md: cannot be filled in: 'nonsense' is undefined"),
        ("{{ check.__class__.mro() }}", "cannot be filled in"),
        ("{% for x in range(100000000) %}{% endfor %}", "cannot be filled in: Range too big"),
        ("x" * 70_000, "larger than 64000 bytes"),
    ],
)
def test_a_broken_template_is_reported_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "gate.md").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_drafts([tmp_path, TEMPLATES])
    assert message.rpartition(":")[2].strip() in str(caught.value)
    assert "gate.md" in str(caught.value)


def test_every_problem_of_all_templates_comes_at_once(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text("{{")
    with pytest.raises(ConfigurationError) as caught:
        load_drafts([tmp_path, TEMPLATES])
    assert len(caught.value.problems) == len(FILES)


def test_an_odd_reference_is_quoted_too() -> None:
    key = IssueKey(1, Ref("component", "default", "x`/close"), "owner")
    made = DRAFTS.render(key, IssuePlace(1, "a/b", ""), [(CHECKS["owner"], None)])
    assert "`x'/clos" in made.text
