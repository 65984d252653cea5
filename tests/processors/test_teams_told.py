"""What teams and systems say of themselves, and one path in two GitLabs."""

from __future__ import annotations

from bridge.model.manifests import TranslatedManifest
from bridge.model.numbers import number_of
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import load_mappings
from bridge.processors.teams import OwnerRules
from tests import whole
from tests.processors.test_aggregation import rules

MAPPINGS = load_mappings(None)


def manifest(number: int, name: str, file: str, text: str) -> TranslatedManifest:
    project = Project(number, f"shop/{name}", f"https://g.example/shop/{name}", "main")
    translation = MAPPINGS.translate(project, ManifestFile(file, f"o{number}", 9, text))
    return TranslatedManifest(project, file, f"o{number}", translation, held_since="2026")


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
    written = manifest(-7, "pay", "gitlab:group", text % '"Takes the money"')
    assert descriptions(written, service(1, "a"))["group:default/pay"] == "Takes the money"
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
    return TranslatedManifest(project, "gitlab:group", "o", translation, held_since="2026")


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
