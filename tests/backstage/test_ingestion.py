"""A stock Backstage, configured by nothing but the example's lines, takes what Fester publishes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.exporters.backstage_refresh import Refresher
from bridge.exporters.render import SHARD_LIMIT
from bridge.model.definitions import with_definition
from bridge.model.entities import Body, Ref
from bridge.model.runs import Outcome
from bridge.neighbours.backstage_catalog import groups_and_users
from bridge.neighbours.http_client import HttpClient
from bridge.secret.live import Secret
from bridge.settings import Settings
from bridge.store import open_store
from bridge.wiring.backstage_teams import BackstageTeams
from bridge.wiring.clock import utc_now
from tests.backstage.conftest import Town
from tests.backstage.server import REFRESH_TOKEN, Backstage
from tests.backstage.site import Site

pytestmark = [pytest.mark.backstage, pytest.mark.real]

MANIFEST = """\
version: 1
service:
  name: {name}
  lifecycle: production
  type: service
  tier: tier_3
  product: {product}
  system: {system}
  description: {description}
  owner: {{team: {team}, channel: "#{team}"}}
"""


def test_all_kinds_from_http_and_from_a_bucket_are_ingested_as_published(town: Town) -> None:
    """Nothing is missing, nothing is extra, and every field arrives as it was published."""
    published: dict[str, Body] = {
        ref: body
        for site in (town.company, town.young, town.bucket)
        for ref, body in site.entities().items()
    }

    def ingested() -> dict[str, dict[str, Any]] | None:
        held = {
            ref: entity
            for ref, entity in town.backstage.entities().items()
            if entity["kind"] != "Location"
        }
        return held if held.keys() == published.keys() else None

    held = town.backstage.eventually(ingested, "Backstage holds exactly what was published")
    kinds = {body["kind"] for body in published.values()}
    assert kinds >= {"API", "Component", "Domain", "Group", "System"}
    for site in (town.company, town.bucket):  # over HTTP, and from the bucket
        definitions = site.definitions()
        assert definitions
        for ref, text in definitions.items():
            published[ref] = with_definition(published[ref], text)
    for ref, body in published.items():
        assert sorted_references(held[ref]["spec"]) == sorted_references(body["spec"])
        assert contains(held[ref]["metadata"], body["metadata"]), ref


def sorted_references(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec with its lists of texts in order: Backstage sorts those that hold references."""
    return {
        key: sorted(value) if isinstance(value, list) and all_texts(value) else value
        for key, value in spec.items()
    }


def all_texts(items: list[Any]) -> bool:
    return all(isinstance(item, str) for item in items)


def contains(whole: Any, part: Any) -> bool:
    """Whether a tree holds another; Backstage adds uid, etag, namespace and annotations."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(contains(whole.get(k), v) for k, v in part.items())
    return bool(whole == part)


def test_no_entity_has_a_processing_error(town: Town) -> None:
    """The indexes' and shards' Locations included: one error there would freeze them."""
    locations = {f"location:default/{prefix}-" for prefix in ("fester", "young", "bucket")}

    def arrived() -> dict[str, dict[str, Any]] | None:
        held = town.backstage.entities()
        first = (any(ref.startswith(location) for ref in held) for location in locations)
        return held if all(first) and held.keys() >= town.company.entities().keys() else None

    held = town.backstage.eventually(arrived, "the Locations of all three are ingested")
    errors = {
        ref: entity["status"]["items"]
        for ref, entity in held.items()
        if entity.get("status", {}).get("items")
    }
    assert errors == {}


def test_owners_systems_and_domains_are_related(backstage: Backstage, company: Site) -> None:
    """Every reference that a published spec makes is a relation, and those ends exist."""
    types = {"owner": "ownedBy", "system": "partOf", "domain": "partOf"}
    checked = set()
    for ref, body in company.entities().items():
        wanted = {
            (types[key], str(Ref.parse(value, kind="group" if key == "owner" else key)))
            for key, value in body["spec"].items()
            if key in types
        }
        related = backstage.eventually(
            lambda ref=ref, wanted=wanted: related_to(backstage, ref, wanted),  # type: ignore[misc]
            f"{ref} is related to {wanted}",
        )
        assert related >= wanted
        checked |= {(body["kind"], kind, target.partition(":")[0]) for kind, target in wanted}
    assert checked >= {
        ("Component", "ownedBy", "group"),
        ("Component", "partOf", "system"),
        ("System", "ownedBy", "group"),
        ("System", "partOf", "domain"),
        ("Domain", "ownedBy", "group"),
    }


def test_a_teams_page_shows_its_members_and_where_it_belongs(town: Town) -> None:
    """What the pages of groups and users are made from: relations in both directions, profiles."""
    backstage, team = town.backstage, "group:default/lighthouse"
    crew = {"jonas", "kaya", "lotte"}
    members = {("hasMember", f"user:default/{name}") for name in crew}
    found = backstage.eventually(lambda: related_to(backstage, team, members), "it has members")
    # Neither a guest, nor a bot, nor who cannot sign in.
    assert {ref for kind, ref in found if kind == "hasMember"} == {ref for _, ref in members}
    assert ("ownerOf", "component:default/mobile-gateway") in found
    for name in crew:
        assert ("memberOf", team) in (related_to(backstage, f"user:default/{name}", set()) or ())
    lotte = backstage.entity("user:default/lotte")
    assert lotte is not None
    assert lotte["spec"]["profile"] == {
        "displayName": "Lotte of Lighthouse",
        "email": "lotte@kestrel.example",
    }
    parent, child = "group:default/kestrel-booking", "group:default/kestrel-booking-checkout"
    below = {("parentOf", child)}
    assert backstage.eventually(lambda: related_to(backstage, parent, below), f"{child} is below")
    assert ("childOf", parent) in (related_to(backstage, child, set()) or ())
    # Dora is a member of two teams: of one directly, of the other by invitation.
    both = {("memberOf", f"group:default/{name}") for name in ("gangway", "harbour-lights")}
    assert related_to(backstage, "user:default/dora", both)
    assert backstage.entity("user:default/walter") is None


def test_what_fester_published_is_none_of_the_teams_that_backstage_has_from_others(
    town: Town, tmp_path: Path
) -> None:
    """Backstage's own answer, by the query and with the token that Fester asks with."""
    backstage = town.backstage
    wait_for(backstage, "user:default/lotte")
    settings = Settings.model_validate(
        {
            "backstage": {"url": backstage.url},
            "backstage_token": REFRESH_TOKEN,
            "owners": {"backstage": True},
        }
    )

    async def asked() -> tuple[BackstageTeams, set[str]]:
        http = HttpClient(backstage.url, secret=Secret(REFRESH_TOKEN))
        told = await groups_and_users(http)
        await http.close()
        store = await open_store(f"sqlite:///{tmp_path}/s.db")
        try:
            teams = BackstageTeams(settings, utc_now)
            await teams.renew(store, "shop")
        finally:
            await store.close()
        return teams, {str(Ref.of(each)) for each in told}

    teams, told = asyncio.run(asked())
    assert told >= {"user:default/lotte", "group:default/lighthouse", "group:default/kestrel"}
    assert (teams.refs(), teams.problems) == (frozenset(), ())


def related_to(
    backstage: Backstage, ref: str, wanted: set[tuple[str, str]]
) -> set[tuple[str, str]] | None:
    entity = backstage.entity(ref) or {}
    found = {(r["type"], r["targetRef"]) for r in entity.get("relations", ())}
    return (found or {("none", "")}) if found >= wanted else None


def test_an_update_shows_after_a_refresh(backstage: Backstage, company: Site) -> None:
    """One manifest changed: one shard changes, and Backstage shows it once it is told."""
    ref = "component:default/fare-editor"
    wait_for(backstage, ref)
    change(company, "kestrel/booking/fares/fare-editor", "Prices, shaped with care")
    backstage.refresh(company.location_of(ref))
    wait_for(backstage, ref, "Prices, shaped with care")


def test_an_update_in_a_bucket_shows_after_a_refresh(town: Town) -> None:
    ref = next(ref for ref in town.bucket.entities() if ref.startswith("component:"))
    project = next(
        project.path
        for project in town.bucket.world
        if project.path.endswith("/" + ref.rpartition("/")[2])
    )
    wait_for(town.backstage, ref)
    change(town.bucket, project, "Kept in a bucket")
    town.backstage.refresh(town.bucket.location_of(ref))
    wait_for(town.backstage, ref, "Kept in a bucket")


def test_a_deleted_service_disappears(backstage: Backstage, company: Site) -> None:
    ref = "component:default/promo-codes"
    location = company.location_of(ref)
    wait_for(backstage, ref)
    project = company.world.find("kestrel/booking/fares/promo-codes")
    assert project is not None
    company.world.delete(project.id)
    company.make_pass()
    assert ref not in company.entities()
    backstage.refresh(location)
    backstage.eventually(lambda: backstage.entity(ref) is None, f"{ref} is gone")
    assert backstage.entity("component:default/fare-engine") is not None


def test_a_broken_manifest_keeps_its_last_good_entity(backstage: Backstage, company: Site) -> None:
    """Broken, then mended: Backstage shows the old text in between, never a hole."""
    ref, path = "component:default/push-notifier", "kestrel/passenger/app/push-notifier"
    wait_for(backstage, ref)
    good = company.manifest(path)
    before = company.entities()[ref]["metadata"]["description"]
    company.commit(path, good.replace("lifecycle:", "lifecycle: [", 1))
    report = company.make_pass()
    assert any(problem.project == path for problem in report.problems)
    reread(backstage, company, ref)
    assert description(backstage, ref) == before
    held = backstage.eventually(lambda: stale(backstage, ref), f"{ref} is seen to be stale")
    (link,) = [each for each in held["links"] if each.get("type") == "manifest"]
    assert link["url"].endswith(f"{path}/-/blob/main/qm.yaml")
    assert link["title"].startswith("The manifest is broken since 20")
    company.commit(path, good)
    change(company, path, "Says so, in time")
    backstage.refresh(company.location_of(ref))
    wait_for(backstage, ref, "Says so, in time")


def stale(backstage: Backstage, ref: str) -> dict[str, Any] | None:
    """The metadata of an entity with the tag of what stands on an old text."""
    metadata: dict[str, Any] = (backstage.entity(ref) or {}).get("metadata", {})
    return metadata if "stale-manifest" in metadata.get("tags", []) else None


def test_dependencies_lead_somewhere_and_every_entity_to_its_manifest(
    backstage: Backstage, company: Site
) -> None:
    """What Backstage warns of on a page, and what its "view source" and pencil are made from."""
    published = company.entities()
    kinds = {ref.partition(":")[0] for ref in published}
    assert kinds >= {"api", "component", "domain", "group", "resource", "system"}
    for ref in published:
        wait_for(backstage, ref)
    held = backstage.entities()
    pointing = 0
    for ref in published:
        annotations = held[ref]["metadata"]["annotations"]
        if "fester.dev/gitlab-group" in annotations:  # it leads to the group's own page
            assert "/groups/" in annotations["backstage.io/view-url"], ref
            continue
        if ref.startswith("user:"):  # a group's list of members is no file
            continue
        assert "/-/blob/" in annotations["backstage.io/view-url"], ref
        assert "/-/edit/" in annotations["backstage.io/edit-url"], ref
        if "/docs/" not in annotations["backstage.io/view-url"]:  # a document's own
            assert annotations["backstage.io/source-location"].startswith("url:http"), ref
        for relation in held[ref].get("relations", ()):
            if relation["type"] == "dependsOn":
                assert relation["targetRef"] in held, ref
                pointing += relation["targetRef"].startswith("resource:")
    assert pointing > 10


def test_a_catalog_that_begins_empty_is_a_location_like_any_other(town: Town) -> None:
    """`targets: []` is no error; the first manifest shows after a refresh."""
    ref = "component:default/idea"
    wait_for(town.backstage, "location:default/young-all")
    if ref not in town.young.entities():
        assert b"targets: []" in town.young.body("index.yaml")
    entity = town.backstage.entity("location:default/young-all")
    assert entity is not None
    assert not entity.get("status", {}).get("items")
    text = MANIFEST.format(
        name="idea", product="young", system="ideas", description="A start", team="dreamers"
    )
    town.young.commit("young/idea", text)
    assert town.young.make_pass().outcome is Outcome.COMPLETE
    town.backstage.refresh("location:default/young-all")
    wait_for(town.backstage, ref, "A start")


def test_backstage_never_fetches_what_a_manifest_names(backstage: Backstage, company: Site) -> None:
    """Placeholders in manifests of several formats reach Backstage as nothing it would fetch.

    The addresses are ones that it is allowed to read, so only the text keeps it from them.
    """
    trap = f"http://{company.host}/catalog/trap.txt"
    lure = f"{{$text: '{trap}'}}"
    template = MANIFEST.format(
        name="lure", product="booking", system="fares", description=lure, team="tide-tables"
    )
    company.commit("kestrel/attic/lure", template)
    company.commit(
        "kestrel/attic/lure-two",
        "schema-version: v2.2\ndd-service: lure-two\nteam: shipwrights\n"
        f"application: observability\ndescription: {lure}\n"
        f"extensions: {{a.b/c: {lure}}}\nlinks: [{{name: {lure}, type: doc, url: '{trap}'}}]\n",
        "service.datadog.yaml",
    )
    company.commit(
        "kestrel/attic/lure-three",
        "version: 1\nservice:\n  name: Lure Three\n  owner: gangway\n  lifecycle: production\n"
        f"  tier: tier_3\n  product: harbour\n  system: terminals\n  description: {lure}\n"
        f"  tags: [{{key: $text, value: '{trap}'}}]\n",
        "opslevel.yml",
    )
    change(company, "kestrel/harbour/terminals/lane-marshal", "Waves at each car")
    for location in {company.location_of(ref) for ref in company.entities()}:
        backstage.refresh(location)
    wait_for(backstage, "component:default/lane-marshal", "Waves at each car")
    assert not [path for path, _ in company.requests if "trap" in path]


def test_what_is_pushed_shows_by_itself_when_fester_tells_backstage(town: Town) -> None:
    """Nothing but Fester's own refresh, with the token and rights of the example's lines."""
    backstage, company = town.backstage, town.company
    ref = "component:default/timetable-api"
    wait_for(backstage, ref)
    assert company.tell(backstage.url, REFRESH_TOKEN) is None
    change(company, "kestrel/harbour/timetables/timetable-api", "Told, not found")
    assert company.tell(backstage.url, REFRESH_TOKEN) is None
    wait_for(backstage, ref, "Told, not found")


def test_new_shards_show_by_themselves_when_fester_tells_backstage(town: Town) -> None:
    """A catalog of one shard grows into several: Backstage knows none of the new Locations yet."""
    backstage, young = town.backstage, town.young
    wait_for(backstage, "location:default/young-all")
    assert young.tell(backstage.url, REFRESH_TOKEN) is None
    for number in range(SHARD_LIMIT + 5):
        text = MANIFEST.format(
            name=f"sprout-{number}", product="young", system="ideas", description="Up", team="dream"
        )
        young.commit(f"young/sprout-{number}", text)
    young.make_pass()
    assert "entities/all.yaml" not in young.live.files
    assert young.tell(backstage.url, REFRESH_TOKEN) is None
    for number in range(SHARD_LIMIT + 5):
        wait_for(backstage, f"component:default/sprout-{number}")


def test_a_wrong_token_is_said_to_be_wrong(town: Town) -> None:
    refused = Refresher(
        town.backstage.url, "wrong-token", "fester", lambda path: "location:default/x"
    )
    problem = asyncio.run(refused.tell({"entities/x.yaml": "a digest"}))
    assert problem is not None
    assert "FESTER_BACKSTAGE_TOKEN" in problem.message


def test_what_did_not_change_is_answered_by_304(backstage: Backstage, company: Site) -> None:
    """A refresh with nothing new costs a 304 for the index and for the shard."""
    ref = "component:default/fare-engine"
    wait_for(backstage, ref)
    reread(backstage, company, ref)
    begun = len(company.requests)
    reread(backstage, company, ref)
    assert {status for _, status in company.requests[begun:]} == {304}


def change(site: Site, path: str, text: str) -> None:
    """Commit another description and make a pass."""
    manifest = site.manifest(path)
    lines = [
        f'  description: "{text}"' if line.startswith("  description:") else line
        for line in manifest.splitlines()
    ]
    assert lines != manifest.splitlines()
    site.commit(path, "\n".join(lines) + "\n")
    site.make_pass()


def reread(backstage: Backstage, site: Site, ref: str) -> None:
    """Have Backstage read an entity's shard again, and wait until it has asked for it."""
    path, begun = f"/catalog/{site.shard_of(ref)}", len(site.requests)
    backstage.refresh(site.location_of(ref))
    backstage.eventually(
        lambda: any(asked == path for asked, _ in site.requests[begun:]), f"{path} is read again"
    )


def wait_for(backstage: Backstage, ref: str, text: str | None = None) -> None:
    """Wait until Backstage holds an entity, with this description if one is given."""
    backstage.eventually(
        lambda: (
            backstage.entity(ref) is not None
            and (text is None or description(backstage, ref) == text)
        ),
        f"{ref} is there" + (f" and says {text!r}" if text else ""),
    )


def description(backstage: Backstage, ref: str) -> Any:
    return (backstage.entity(ref) or {}).get("metadata", {}).get("description")


def test_services_of_one_repository_and_a_nested_manifest_that_is_deleted(town: Town) -> None:
    """Each has links to its own folder; the others stay when one goes."""
    backstage, ref = town.backstage, "component:default/galley-menus"
    wait_for(backstage, ref)
    for name in ("galley-orders", "galley-stock"):
        wait_for(backstage, f"component:default/{name}")
    entity = backstage.entity(ref)
    assert entity is not None
    annotations = entity["metadata"]["annotations"]
    folder = "kestrel/passenger/onboard/galley/-/tree/main/services/menus/"
    assert annotations["backstage.io/source-location"].endswith(folder)
    assert annotations["backstage.io/techdocs-ref"].endswith(folder)
    project = town.company.world.find("kestrel/passenger/onboard/galley")
    assert project is not None
    text = project.files["services/menus/qm.yaml"].content.decode()
    location = town.company.location_of(ref)
    town.company.world.delete_file(project.id, "services/menus/qm.yaml")
    town.company.make_pass()
    assert ref not in town.company.entities()
    backstage.refresh(location)
    backstage.eventually(lambda: backstage.entity(ref) is None, f"{ref} is gone")
    assert backstage.entity("component:default/galley-orders") is not None
    town.company.world.commit_file(project.id, "services/menus/qm.yaml", text)
    town.company.make_pass()
    backstage.refresh(town.company.location_of(ref))
    wait_for(backstage, ref)
