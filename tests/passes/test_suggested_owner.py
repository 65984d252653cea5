"""Who may own what names nobody: a guess in words, and nothing of it in the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bridge.model.entities import CatalogEntity, Origin, Ref
from bridge.model.numbers import mark_of, number_of
from bridge.model.scrape import Project
from bridge.model.suggested_owner import GROUP_PATH, LikelyOwners
from bridge.ox.remediation.proposals import manifest_proposal


def entity(kind: str, name: str, project: str = "", **spec: object) -> CatalogEntity:
    path = spec.pop("path", None)
    metadata = {"name": name, "annotations": {GROUP_PATH: path} if path else {}}
    origins = (Origin(1, project, "qm.yaml", "", ""),) if project else ()
    body = {"kind": kind, "metadata": metadata, "spec": spec}
    return CatalogEntity(Ref(kind.lower(), "default", name), body, origins)


def team(path: str, *members: str) -> list[CatalogEntity]:
    name = path.replace("/", "-")
    users = [entity("User", member, memberOf=[f"group:default/{name}"]) for member in members]
    return [entity("Group", name, path=path), *users]


def service(name: str, group: str, owner: str) -> CatalogEntity:
    return entity("Component", name, f"{group}/{name}", owner=owner)


def likely(path: str, *parts: Iterable[CatalogEntity]) -> tuple[str, str] | None:
    found = LikelyOwners([each for part in parts for each in part]).of(path)
    return (found.team, found.reason) if found else None


SHOP = (team("shop", "boss"), team("shop/payments", "ann"), team("shop/empty"))
CREW = (entity("Group", "crew"), entity("Group", "other"))


@pytest.mark.parametrize(
    ("path", "owners", "expected"),
    [
        ("Shop/Payments/api", (), ("shop-payments", "whose members they are")),
        ("shop/empty/api", (), ("shop", "it lies in the GitLab group shop")),
        ("shop/empty/api", ("crew", "crew", "other"), ("crew", "2 of 3 services in shop/empty")),
        ("shop/empty/api", ("crew", "other"), ("shop", "")),  # nobody owns more than half
        ("shop/empty/api", ("crew",), ("shop", "")),  # one speaks for nobody else
        ("shop/empty/api", ("nobody", "nobody"), ("shop", "")),  # no team that there is
        ("shop/payments/api", ("crew", "crew"), ("shop-payments", "")),  # members come first
        ("elsewhere/api", (), None),
        ("alone", (), None),
    ],
)
def test_the_group_that_it_lies_in_or_who_owns_what_lies_beside(
    path: str, owners: tuple[str, ...], expected: tuple[str, str] | None
) -> None:
    group = path.rpartition("/")[0]
    beside = [service(f"s{number}", group, owner) for number, owner in enumerate(owners)]
    found = likely(path, *SHOP, CREW, beside)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == expected[0]
        assert expected[1] in found[1]


def test_a_draft_names_the_guess_and_says_that_it_is_one() -> None:
    beside = [service(f"s{number}", "shop", "crew") for number in range(3)]
    draft = manifest_proposal(Project(7, "shop/api", "", "main"), LikelyOwners([*CREW, *beside]))
    assert '    # A guess: 3 of 3 services in shop are theirs.\n    team: "crew"\n' in draft.content
    unknown = manifest_proposal(Project(7, "shop/api", "", "main"), LikelyOwners(()))
    assert 'team: "shop"\n' in unknown.content


@pytest.mark.parametrize(
    ("handles", "name"),
    [
        (("@Shop/Payments",), "shop-payments"),
        (("@nobody", "@other", "@crew"), "other"),  # the first that is known
        (("@crew/payments",), None),  # a path is no name
        (("@nobody",), None),
        ((), None),
    ],
)
def test_code_owners_count_where_they_are_a_known_team(
    handles: tuple[str, ...], name: str | None
) -> None:
    likely = LikelyOwners([*(each for part in SHOP for each in part), *CREW])
    found = likely.named(handles, "CODEOWNERS")
    assert (found.ref.name if found else None) == name


def test_what_lies_in_another_gitlab_tells_nothing() -> None:
    """A group of one path may be others there."""
    lab = number_of("lab", 1)
    theirs = [
        replace(each, origins=(Origin(lab, each.origins[0].project, "qm.yaml", "", ""),))
        for each in (service("a", "web", "crew"), service("b", "web", "crew"))
    ]
    guesses = LikelyOwners([*CREW, *theirs])
    assert guesses.of("web/new") is None
    found = guesses.of("web/new", mark_of("lab"))
    assert found is not None
    assert found.team == "crew"
