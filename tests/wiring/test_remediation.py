"""From settings and scores to what is proposed, and what each group allows."""

from __future__ import annotations

from datetime import UTC, datetime

from bridge.model.entities import Catalog, Ref
from bridge.model.memory import Memory
from bridge.model.remediation import Place
from bridge.model.scores import CheckResult, CheckState, Score, Scoreboard
from bridge.ox.remediation.planning import Policy
from bridge.settings import RemediationSettings
from bridge.wiring.remediation import Known, policy_of, proposals
from tests.ox.rubrics import shipped

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = RemediationSettings.model_validate(
    {
        "merge_requests": ["codeowners", "runbook"],
        "owners": {"crew": {"mention": "@corp/crew"}},
        "confidential": True,
        "groups": {"shop": {"apply": True, "per_run": 5, "confidential": False}, "shop/old": {}},
    }
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
    known = Known(Scoreboard(NOW, "r", scores), shipped().rubric, Catalog(()), Memory())
    places = {
        ref: Place(1 if ref.name == "alone" else 2, "corp/x", "", "group:default/crew", "", "main")
        for ref in scores
    }
    made = [(each.key.entity.name, each.file) for each in proposals(SETTINGS, known, places)]
    assert made == [
        ("alone", "CODEOWNERS"),
        ("alone", "docs/runbook.md"),
        ("left", "docs/runbook-left.md"),
        ("right", "docs/runbook-right.md"),
    ]


def test_the_longest_group_that_fits_counts() -> None:
    """Its own word where it has one, else the section's; a plan of the command line stays one."""

    def policy(project: str, apply: bool | None = None) -> Policy:
        return policy_of(SETTINGS, Place(1, project, ""), apply)

    assert policy("Shop/api") == Policy("shop", True, 3, 5, False)
    assert policy("shop/old/api") == Policy("shop/old", False, 3, 20, True)
    assert policy("shopping/api") == Policy("", False, 3, 20, True)
    assert policy("shop/api", apply=False).applies is False
    assert policy("elsewhere/api", apply=True).applies is True
