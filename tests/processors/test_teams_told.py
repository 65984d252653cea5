"""What teams and systems say of themselves, and one path in two GitLabs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import moment_in
from bridge.model.numbers import number_of
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import load_mappings
from bridge.processors.teams import OwnerRules
from tests import whole
from tests.processors.test_aggregation import entity, rules
from tests.processors.test_aggregation import manifest as written

MAPPINGS = load_mappings(None)


def manifest(number: int, name: str, file: str, text: str) -> TranslatedManifest:
    project = Project(number, f"shop/{name}", f"https://g.example/shop/{name}", "main")
    translation = MAPPINGS.translate(project, ManifestFile(file, f"o{number}", 9, text))
    return TranslatedManifest(
        project, file, f"o{number}", translation, held_since=moment_in("2026-01-01")
    )


def service(number: int, name: str) -> TranslatedManifest:
    text = (
        f"version: 1\nservice:\n  name: {name}\n  system: till\n"
        "  owner: {team: pay, channel: '#pay'}\n"
    )
    return manifest(number, name, "qm.yaml", text)


def descriptions(*manifests: TranslatedManifest) -> dict[str, object]:
    catalog, _ = whole.processed(manifests, BackstageProcessor(rules()))
    return {str(e.ref): e.body["metadata"].get("description") for e in catalog.entities}


def test_a_team_and_a_system_are_described_by_the_first_projects_that_name_them() -> None:
    one = descriptions(service(1, "a"))
    assert one["group:default/pay"] == "The team behind a. Channel: #pay"
    assert one["system:default/till"] == "A system of a."
    assert one["component:default/a"] is None
    three = descriptions(service(3, "c"), service(1, "a"), service(2, "b"))
    assert three["system:default/till"] == "A system of a, b and c."
    # From the fourth on nothing changes, whatever their number.
    more = [service(number, f"s{number}") for number in range(1, 5)]
    found = descriptions(*more)
    assert found["system:default/till"] == "A system of s1, s2, s3 and others."
    assert found["group:default/pay"] == "The team behind s1, s2, s3 and others. Channel: #pay"
    assert (
        descriptions(*more, service(9, "s9"))["system:default/till"]
        == (found["system:default/till"])
    )


def test_what_somebody_wrote_stands() -> None:
    text = (
        '{"first": true, "members": [], "group": {"id": 7, "path": "pay", "name": "Pay", '
        '"url": null, "parent": null, "description": %s}}'
    )
    told = manifest(-7, "pay", "gitlab:group", text % '"Takes the money"')
    assert descriptions(told, service(1, "a"))["group:default/pay"] == "Takes the money"
    silent = manifest(-7, "pay", "gitlab:group", text % "null")
    assert descriptions(silent)["group:default/pay"] == "The GitLab group pay."
    assert descriptions(silent, service(1, "a"))["group:default/pay"] == (
        "The team behind a. Channel: #pay"
    )


def gitlab_group(number: int, path: str, member: str) -> TranslatedManifest:
    person = (
        f'{{"username": "{member}", "name": "{member}", "email": null, "state": "active", '
        '"bot": false, "role": 30, "direct": true}'
    )
    text = (
        f'{{"first": true, "members": [{person}], "group": {{"id": 7, "path": "{path}", '
        f'"name": "{path} {number}", "url": null, "parent": "pay", "description": null}}}}'
    )
    project = Project(number, path, "")
    translation = MAPPINGS.translate(project, ManifestFile("gitlab:group", "o", 9, text))
    return TranslatedManifest(
        project, "gitlab:group", "o", translation, held_since=moment_in("2026-01-01")
    )


def test_one_path_in_two_gitlabs_is_two_teams_of_which_the_first_has_the_name() -> None:
    first, other = gitlab_group(-7, "pay", "ann"), gitlab_group(number_of("b", -7), "pay", "bob")
    below = gitlab_group(number_of("b", -8), "pay/below", "cy")
    beside = gitlab_group(-9, "pay/beside", "dee")
    processor = BackstageProcessor(rules(), OwnerRules(people=True))
    catalog, problems = whole.processed((other, below, first, beside), processor)
    found = {str(each.ref): each.body for each in catalog.entities}
    assert found["group:default/pay"]["metadata"]["title"] == "pay -7"
    assert "user:default/bob" not in found
    # Of one below the group that is left out the parent is not the one of the same name.
    assert "parent" not in found["group:default/pay-below"]["spec"]
    assert found["group:default/pay-beside"]["spec"]["parent"] == "group:default/pay"
    (problem,) = [each for each in problems if each.rule == "claim-lost"]
    assert "the groups pay of another GitLab and pay both become group:default/pay" in (
        problem.message
    )


def with_people(
    *manifests: TranslatedManifest,
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The specs of all that becomes of manifests where GitLab tells the people, and problems."""
    processor = BackstageProcessor(rules(), OwnerRules(people=True))
    catalog, problems = whole.processed(manifests, processor)
    return {str(each.ref): dict(each.body["spec"]) for each in catalog.entities}, list(problems)


PAY = "group:default/pay"


def test_no_manifest_puts_anybody_into_a_group_of_gitlab_or_a_group_elsewhere() -> None:
    crawled = (gitlab_group(-7, "pay", "ann"), gitlab_group(-9, "secops", "bob"))
    alone, _ = with_people(*crawled)
    evil = written(
        5,
        entity(
            "User", "ann", {"memberOf": ["secops", "pay"], "profile": {"email": "e@vil.example"}}
        ),
        entity("Group", "secops", {"type": "team", "children": [], "members": ["evil"]}),
        entity("Group", "pay", {"type": "team", "children": ["secops"], "parent": "root"}),
        entity("User", "eve", {"memberOf": ["secops", "guests"]}),
        entity("Group", "guests", {"type": "team", "children": ["pay"], "members": ["ann"]}),
    )
    found, problems = with_people(*crawled, evil)
    for ref in alone:
        assert found[ref] == alone[ref]
    # What GitLab does not tell of is the manifest's to say, as long as it joins no group there.
    assert found["user:default/eve"]["memberOf"] == ["guests"]
    assert found["group:default/guests"]["children"] == []
    assert found["group:default/guests"]["members"] == []
    told = {(p.ref, p.project): p.message for p in problems if p.rule == "membership-of-gitlab"}
    ann = [p.message for p in problems if p.ref == "user:default/ann"]
    assert any('(by the group pay), so ["secops"] of org/p5 is left out' in each for each in ann)
    assert any("`profile.email`" in each for each in ann)
    assert {ref for ref, _ in told} == {
        *("user:default/ann", "user:default/eve", PAY),
        *("group:default/secops", "group:default/guests"),
    }
    assert {project for _, project in told} == {"org/p5"}


def test_a_manifest_names_people_of_gitlab_only_as_members_of_groups_near_them() -> None:
    crawled = (gitlab_group(-7, "org", "ann"), gitlab_group(-9, "secops", "bob"))
    names = ["ann", "user:default/bob", "eve"]
    guild = written(5, entity("Group", "guild", {"type": "team", "children": [], "members": names}))
    found, problems = with_people(*crawled, guild)
    # The project org/p5 lies in org, where ann is; eve nobody knows.
    assert found["group:default/guild"]["members"] == ["ann", "eve"]
    (told,) = [each for each in problems if each.rule == "membership-of-gitlab"]
    assert told.project == "org/p5"
    assert '["user:default/bob"] are in no GitLab group that org/p5 lies in' in told.message
    # One's own project is near, too; another GitLab's group of the same path is not.
    own = replace(guild, project=replace(guild.project, path="bob/notes"))
    assert "user:default/bob" in with_people(*crawled, own)[0]["group:default/guild"]["members"]
    elsewhere = gitlab_group(number_of("b", -7), "org", "cy")
    names[:] = ["cy"]
    assert with_people(elsewhere, guild)[0]["group:default/guild"]["members"] == []


def test_what_agrees_with_gitlab_is_no_problem_and_without_people_manifests_say_all() -> None:
    own = written(
        5, entity("User", "ann", {"memberOf": ["pay"], "profile": {"picture": "https://a"}})
    )
    found, problems = with_people(gitlab_group(-7, "pay", "ann"), own)
    assert found["user:default/ann"]["memberOf"] == [PAY]
    assert found["user:default/ann"]["profile"]["picture"] == "https://a"
    assert [each for each in problems if each.rule == "membership-of-gitlab"] == []
    found, problems = with_people(own)
    assert found["user:default/ann"]["memberOf"] == ["pay"]


def test_one_username_in_two_gitlabs_is_two_people_of_whom_the_first_has_the_name() -> None:
    first, again = gitlab_group(-7, "pay", "ann"), gitlab_group(-9, "tills", "ann")
    other = gitlab_group(number_of("b", -8), "secops", "ann")
    found, problems = with_people(other, again, first)
    assert found["user:default/ann"]["memberOf"] == [PAY, "group:default/tills"]
    assert "group:default/secops" in found
    (problem,) = [each for each in problems if each.rule == "claim-lost"]
    assert (problem.project, problem.severity) == ("secops", Severity.ERROR)
    assert "ann and ann of another GitLab both become user:default/ann" in problem.message
    # Who is left out together with a group holds no name against anybody.
    lost = replace(
        gitlab_group(number_of("b", -7), "pay", "cy"), held_since=moment_in("2026-02-01")
    )
    late = replace(gitlab_group(-11, "shop", "cy"), held_since=moment_in("2026-03-01"))
    found, _ = with_people(first, lost, late)
    assert found["user:default/cy"]["memberOf"] == ["group:default/shop"]
