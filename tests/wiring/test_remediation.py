"""From settings and scores to what is proposed, and what each group allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from bridge.errors import ConfigurationError
from bridge.model.entities import Catalog, CatalogEntity, Json, Origin, Ref
from bridge.model.memory import KnownProject, Memory
from bridge.model.numbers import number_of
from bridge.model.remediation import IssuePlace
from bridge.model.scores import CheckResult, CheckState, Score, Scoreboard
from bridge.model.scrape import Project
from bridge.ox.remediation.assignment import Grounds, places_of, proposals
from bridge.ox.remediation.closed_projects import closed_projects
from bridge.ox.remediation.situation import Policy
from bridge.settings import RemediationSettings, Settings
from bridge.settings.ox import NoticesSettings
from bridge.store import open_store
from bridge.wiring.remediation import notifying, terms_of
from tests.ox.rubrics import shipped

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TERMS = terms_of(
    RemediationSettings.model_validate(
        {
            "merge_requests": ["codeowners", "runbook"],
            "owners": {"crew": {"mention": "@corp/crew"}},
            "confidential": True,
            "groups": {
                "shop": {"apply": True, "per_run": 5, "confidential": False},
                "shop/old": {},
                "lab:shop/old": {"apply": True, "per_service": 1},
            },
        }
    )
)


def failing(name: str) -> Score:
    ref = Ref("component", "default", name)
    results = tuple(
        CheckResult(ref, check, CheckState.FAIL, 1.0) for check in ("codeowners", "runbook")
    )
    return Score(ref, 0.0, 1.0, True, "", 1, 90.0, (), results, "r", NOW)


def test_a_shared_repository_is_nobodys_alone() -> None:
    """Two services in one project: no code owners are guessed, and each runbook has its name."""
    scores = {one.entity: one for one in map(failing, ("alone", "left", "right"))}
    # An API is scored, too, and its project is that of its service: it is no second service.
    api = Ref("api", "default", "alone")
    scores[api] = replace(scores[Ref("component", "default", "alone")], entity=api)
    grounds = Grounds(Scoreboard(NOW, "r", scores), shipped().rubric, Catalog(()), Memory())
    places = {
        ref: IssuePlace(
            1 if ref.name == "alone" else 2, "corp/x", "", "group:default/crew", "", "main"
        )
        for ref in scores
    }
    made = [(each.key.entity.name, each.file) for each in proposals(TERMS, grounds, places)]
    assert made == [
        ("alone", "CODEOWNERS"),
        ("alone", "docs/runbook.md"),
        ("left", "docs/runbook-left.md"),
        ("right", "docs/runbook-right.md"),
    ]


def test_nothing_is_proposed_to_projects_that_take_nothing() -> None:
    """Archived ones and those to be deleted keep their place, so that the reason can be told."""
    read = datetime(2026, 3, 1, tzinfo=UTC)
    projects = {
        1: Project(1, "corp/live", default_branch="main"),
        2: Project(2, "corp/old", default_branch="main", archived=True),
        3: Project(3, "corp/dead", default_branch="main", marked_for_deletion=True),
        4: Project(4, "corp-deleted-4/dead", default_branch="main"),
        5: Project(5, "corp/dead-deletion_scheduled-5", default_branch="main"),
    }
    memory = Memory({number: KnownProject(each, read) for number, each in projects.items()})
    assert {number: reason.split(",")[0] for number, reason in closed_projects(memory).items()} == {
        2: "the project is archived",
        3: "the project is scheduled for deletion",
        4: "the project is scheduled for deletion",
        5: "the project is scheduled for deletion",
    }
    terms = terms_of(RemediationSettings.model_validate({"merge_requests": ["manifest"]}))
    grounds = Grounds(Scoreboard(NOW, "r", {}), shipped().rubric, Catalog(()), memory)
    assert [each.project for each in proposals(terms, grounds, {})] == ["corp/live"]
    body = {"kind": "Component", "metadata": {"name": "old"}}
    entity = CatalogEntity(Ref.of(body), body, (Origin(2, "corp/old", "qm.yaml", "a", "m"),))
    assert [place.project for place in places_of(Catalog((entity,)), memory).values()] == [
        "corp/old"
    ]


def test_the_longest_group_that_fits_counts() -> None:
    """Its own word where it has one, else the section's; a plan of the command line stays one."""

    def policy(project: str, apply: bool | None = None, gitlab: str = "") -> Policy:
        return TERMS.policy(IssuePlace(number_of(gitlab, 1), project, ""), apply)

    assert policy("Shop/api") == Policy("shop", True, 3, 5, False)
    assert policy("shop/old/api") == Policy("shop/old", False, 3, 20, True)
    assert policy("shopping/api") == Policy("", False, 3, 20, True)
    assert policy("shop/api", apply=False).applies is False
    assert policy("shop/old/api", gitlab="lab") == Policy("lab:shop/old", True, 1, 20, True)
    assert policy("shop/api", gitlab="lab") == Policy("", False, 3, 20, True)
    assert policy("elsewhere/api", apply=True).applies is True


@pytest.mark.store
@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"notices": {"send": True}}, "nothing leads to a team"),
        (
            {"notices": {"send": True, "backstage": True}, "digest_webhook": "https://h.example/x"},
            "needs `backstage.url`",
        ),
    ],
)
async def test_notices_that_lead_nowhere_are_refused(tree: dict[str, Json], said: str) -> None:
    store = await open_store("sqlite://")
    with pytest.raises(ConfigurationError, match=said):
        notifying(Settings.model_validate(tree), "x", store)
    await store.close()


@pytest.mark.store
async def test_notices_go_where_the_settings_say() -> None:
    store = await open_store("sqlite://")
    tree: dict[str, Json] = {
        "notices": {"send": True, "backstage": True, "quiet": "20:00-07:00", "apart": 7200},
        "team_webhooks": {"crew": "https://hooks.example/secret"},
        "backstage": {"url": "https://backstage.example"},
        "backstage_token": "a-static-token",
    }
    assert notifying(Settings.model_validate(tree | {"notices": {}}), "x", store) is None
    made = notifying(Settings.model_validate(tree), "x", store)
    assert made is not None
    webhook, backstage = made.channels
    assert (webhook.reaches("group:default/crew"), webhook.reaches("group:default/x")) == (
        True,
        False,
    )
    assert (webhook.name, backstage.name, backstage.reaches("group:default/x")) == (
        "webhook",
        "backstage",
        True,
    )
    assert made.apart == timedelta(hours=2)
    assert made.quiet is not None
    assert made.quiet.hold(datetime(2026, 3, 1, 21, tzinfo=UTC))
    await made.close()
    await store.close()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("quiet", "20-7", "pattern"),
        ("quiet", "25:00-07:00", "pattern"),
        ("quiet", "20:00-20:00", "all day"),
        ("timezone", "../../etc/passwd", "expected a time zone"),
        ("timezone", "Europe/Nowhere", "expected a time zone"),
    ],
)
def test_hours_that_are_none_are_refused(key: str, value: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NoticesSettings.model_validate({key: value})
