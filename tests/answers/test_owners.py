"""Whose a problem is, also where the services of a repository have several teams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.answers.owners import OwnedProject, Owners
from bridge.model.problems import Problem
from tests.answers.fleet import FLEET, GITLAB, known, service

RED, BLUE, GREEN = (f"group:default/{name}" for name in ("red", "blue", "green"))


def owned(name: str, team: str, file: str, *, branch: str = "main", project: str = "x/mono") -> Any:
    """A component of a team, made by a manifest of a project that several teams share."""
    annotations = {
        "gitlab.com/project-slug": project,
        "backstage.io/view-url": f"{GITLAB}/{project}/-/blob/{branch}/{file}",
    }
    made = service(name, annotations=annotations)
    return replace(made, body={**made.body, "spec": {**made.body["spec"], "owner": team}})


def of(*entities: Any) -> Owners:
    return Owners.of(known(*FLEET, *entities).index)


def problem(file: str, ref: str = "", project: str = "x/mono") -> Problem:
    return Problem("?", "rule", project=project, file=file, ref=ref)


ROOT = owned("whole", RED, "qm.yaml")
NESTED = owned("part", BLUE, "services/part/qm.yaml")
OTHER = owned("other", GREEN, "services/other/qm.yaml")


@pytest.mark.parametrize("branch", ["main", "release/2026", "a%23b"])
def test_the_teams_of_a_root_manifest_and_of_a_nested_one_are_told_apart(branch: str) -> None:
    owners = of(
        owned("whole", RED, "qm.yaml", branch=branch),
        owned("part", BLUE, "services/part/qm.yaml", branch=branch),
        owned("odd", GREEN, "services/an%20odd/qm.yaml", branch=branch),
    )
    assert owners.team(problem("qm.yaml")) == RED
    assert owners.team(problem("services/part/qm.yaml")) == BLUE
    assert owners.team(problem("services/an odd/qm.yaml")) == GREEN
    # Also where a manifest speaks of what is another's.
    assert owners.team(problem("qm.yaml", "component:default/part")) == RED
    assert owners.team(problem("services/part/qm.yaml", "component:default/whole")) == BLUE


def test_a_root_manifest_that_makes_nothing_is_not_a_nested_ones_teams() -> None:
    """Its name ends the address of every nested one, too."""
    owners = of(NESTED, OTHER)
    assert owners.team(problem("qm.yaml", "component:default/part")) == BLUE
    assert owners.team(problem("qm.yaml", "component:default/cart")) in (BLUE, GREEN)
    assert owners.team(problem("qm.yaml", "component:default/other")) == GREEN


def test_a_nested_manifest_that_makes_nothing_is_the_root_ones_teams() -> None:
    owners = of(ROOT, NESTED)
    assert owners.team(problem("services/broken/qm.yaml")) == RED
    assert owners.team(problem("part/qm.yaml")) == RED  # the end of another's path is no path
    assert owners.team(problem("services/broken/qm.yaml", "component:default/part")) == BLUE


def test_what_is_of_no_file_is_the_projects() -> None:
    assert of(NESTED).team(problem("")) == BLUE
    assert of(NESTED).team(problem("elsewhere.yaml")) == BLUE
    owners = of(NESTED, ROOT)
    assert owners.team(problem("")) == RED
    assert owners.team(problem("", "component:default/part")) == BLUE
    assert owners.team(problem("", "group:default/gone")) == "group:default/gone"


def test_a_problem_of_no_known_project_is_its_entitys_or_nobodys() -> None:
    owners = of()
    assert owners.team(problem("qm.yaml", "component:default/cart", "x/new")) == (
        "group:default/payments"
    )
    assert owners.team(problem("qm.yaml", project="x/new")) == ""
    assert owners.team(problem("", "group:default/gone", "")) == "group:default/gone"
    assert Owners().team(problem("qm.yaml", "component:default/cart")) == ""


def test_a_manifest_is_looked_for_once_however_many_problems_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    found = OwnedProject.of_file

    def counted(self: OwnedProject, file: str) -> frozenset[str]:
        looked.append(file)
        return found(self, file)

    monkeypatch.setattr(OwnedProject, "of_file", counted)
    owners = of(ROOT, NESTED)
    for line in range(1000):
        assert owners.team(replace(problem("services/part/qm.yaml"), line=line)) == BLUE
        assert owners.team(replace(problem("services/broken/qm.yaml"), line=line)) == RED
    assert looked == ["services/part/qm.yaml", "services/broken/qm.yaml"]


def test_projects_of_one_path_in_two_gitlabs_have_each_its_own_teams() -> None:
    """Also where the one GitLab lies under a path of the other's host."""
    theirs = owned("theirs", BLUE, "qm.yaml")
    url = theirs.body["metadata"]["annotations"]["backstage.io/view-url"]
    lab = url.replace(GITLAB, f"{GITLAB}/lab")
    theirs.body["metadata"]["annotations"]["backstage.io/view-url"] = lab
    index = known(*FLEET, ROOT, theirs).index
    owners = Owners.of(index, {"": GITLAB, "lab": f"{GITLAB}/lab"})
    asked = problem("qm.yaml")
    assert owners.team(asked) == RED
    assert owners.team(replace(asked, source="lab")) == BLUE
    assert owners.team(replace(asked, source="?")) == ""  # one that is read no more
