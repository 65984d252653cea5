"""Owners: who is meant by a name, and what is said of one that means nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bridge.language.naming import ref
from bridge.model.entities import Draft, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import moment_in
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.model.suggested_owner import GROUP_PATH, SOURCE_NAME
from bridge.processors.aliases import ALIASES
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import load_mappings
from bridge.processors.teams import OwnerRules, Team, team_of
from tests import whole
from tests.processors.test_aggregation import component, entity, manifest, rules

MAPPINGS = load_mappings(None)
PAYMENTS, CHECKOUT = Ref("group", "default", "payments"), Ref("group", "default", "checkout")


def group(name: str, title: str = "", **annotations: str) -> dict[str, Any]:
    spec = {"type": "squad", "children": [], "profile": {"displayName": title or name}}
    return entity("Group", name, spec, annotations=annotations, title=title or name)


def known(*bodies: Mapping[str, Any], **more: Any) -> OwnerRules:
    teams = (team_of(body, elsewhere=True) for body in bodies)
    return OwnerRules(tuple(team for team in teams if team is not None), **more)


def qm(number: int, team: str, name: str = "") -> TranslatedManifest:
    """A real manifest, by the shipped mapping."""
    text = (
        f"version: 1\nservice:\n  name: {name or f's{number}'}\n  system: shop\n"
        f"  owner:\n    team: '{team}'\n    channel: '#pay'\n"
    )
    project = Project(number, f"shop/s{number}", f"https://g.example/shop/s{number}", "main")
    translation = MAPPINGS.translate(project, ManifestFile("qm.yaml", f"o{number}", 9, text))
    return TranslatedManifest(
        project, "qm.yaml", f"o{number}", translation, held_since=moment_in("2026-01-01")
    )


def processed(
    owners: OwnerRules, *manifests: TranslatedManifest, by: BackstageProcessor | None = None
) -> tuple[dict[str, Mapping[str, Any]], tuple[Problem, ...]]:
    processor = by or BackstageProcessor(rules(), owners)
    catalog, problems = whole.processed(manifests, processor)
    return {str(each.ref): each.body for each in catalog.entities}, problems


def groups(bodies: Mapping[str, Any]) -> set[str]:
    return {name for name in bodies if name.startswith("group:")}


def owner(bodies: Mapping[str, Any], name: str = "s1") -> str:
    return str(bodies[f"component:default/{name}"]["spec"]["owner"])


def test_where_no_teams_are_known_every_name_makes_a_group_as_before() -> None:
    manifests = (qm(1, "payments"), qm(2, "paymnets"), qm(3, "Payments Team"))
    bodies, problems = processed(OwnerRules(), *manifests)
    assert len(groups(bodies)) == 3
    assert [each.rule for each in problems if "owner-" in each.rule] == []


@pytest.mark.parametrize("team", ["paymnets", "Payments Team", "payment"])
def test_a_slip_of_the_pen_is_told_on_its_line_with_the_right_team_and_makes_no_group(
    team: str,
) -> None:
    bodies, problems = processed(known(group("payments"), group("lighthouse")), qm(1, team))
    assert groups(bodies) == set()
    assert owner(bodies) == ref(team, "group")
    (problem,) = problems  # once, although the system has the same owner
    assert (problem.rule, problem.severity) == ("owner-unknown", Severity.WARNING)
    assert (problem.project, problem.file, problem.line) == ("shop/s1", "qm.yaml", 6)
    assert (problem.ref, team in problem.message) == ("component:default/s1", True)
    assert "did you mean group:default/payments?" in problem.message


NAMED = group("payments", "Money Movers", **{ALIASES: "cash desk", GROUP_PATH: "shop/pay"})


@pytest.mark.parametrize(
    "written",
    ["payments", "Payments", "group:default/payments", "Money Movers", "cash-desk", "@shop/pay"],
)
def test_an_owner_is_found_by_reference_name_title_alias_and_gitlab_path(written: str) -> None:
    bodies, problems = processed(known(NAMED), qm(1, written))
    assert (owner(bodies), problems) == (str(PAYMENTS), ())
    assert groups(bodies) == set()  # another source publishes it


def test_the_path_by_which_backstages_own_provider_marks_its_groups_is_known() -> None:
    theirs = group("payments", **{"gitlab.example.com/team-path": "shop/pay"})
    assert owner(processed(known(theirs), qm(1, "@shop/pay"))[0]) == str(PAYMENTS)


def test_the_table_says_who_is_meant_before_anything_else() -> None:
    table = {"old-crew": CHECKOUT, "group:default/payments": CHECKOUT, "jane": Ref.parse("user:j")}
    everyone = known(group("payments"), group("checkout"), table=table)
    for written in ("Old Crew", "group:default/payments"):
        assert owner(processed(everyone, qm(1, written))[0]) == str(CHECKOUT)
    by_table_alone, problems = processed(
        OwnerRules(table={"old-crew": CHECKOUT}), qm(1, "Old Crew")
    )
    assert owner(by_table_alone) == "group:default/old-crew"  # nobody is known: nothing is judged
    assert problems == ()


def test_a_name_that_several_go_by_is_told_with_all_of_them() -> None:
    both = known(group("pay-one", "Payments"), group("pay-two", "Payments"))
    bodies, (problem,) = processed(both, qm(1, "payments"))
    assert (owner(bodies), groups(bodies)) == (str(PAYMENTS), set())
    assert problem.rule == "owner-ambiguous"
    assert "group:default/pay-one and group:default/pay-two" in problem.message


def test_groups_of_our_own_get_what_manifests_say_of_them_and_no_other_is_made() -> None:
    org = manifest(90, group("shop-pay", "Payments", **{SOURCE_NAME: "Payments"}))
    rules_ = OwnerRules(people=True)
    bodies, problems = processed(rules_, org, qm(1, "Payments"), qm(2, "@shop/pay"), qm(3, "x"))
    assert groups(bodies) == {"group:default/shop-pay"}
    made = bodies["group:default/shop-pay"]
    assert made["metadata"]["annotations"]["fester.dev/owner-channel"] == "#pay"
    assert (made["metadata"]["title"], made["spec"]["type"]) == ("Payments", "squad")
    assert {owner(bodies), owner(bodies, "s2")} == {"group:default/shop-pay"}
    assert [each.project for each in problems if each.rule == "owner-unknown"] == ["shop/s3"]


def test_people_of_whom_nobody_was_ever_read_judge_nobody() -> None:
    bodies, problems = processed(OwnerRules(people=True), qm(1, "payments"))
    assert (groups(bodies), problems) == ({str(PAYMENTS)}, ())


def test_the_old_way_can_be_kept_and_invention_be_forbidden() -> None:
    bodies, problems = processed(known(group("payments"), invent=True), qm(1, "paymnets"))
    assert (groups(bodies), problems) == ({"group:default/paymnets"}, ())
    bodies, problems = processed(OwnerRules(invent=False), qm(1, "payments"))
    assert (groups(bodies), [each.rule for each in problems]) == (set(), ["owner-unknown"])


def test_none_of_ours_is_published_for_a_group_or_user_that_another_source_publishes() -> None:
    theirs = known(group("payments"), entity("User", "jane", {"memberOf": []}))
    ours = manifest(7, group("payments"), entity("User", "jane", {}), component("a", "user:jane"))
    bodies, problems = processed(theirs, ours)
    assert set(bodies) == {"component:default/a"}
    (problem,) = problems  # never without a word
    assert (problem.rule, problem.severity) == ("team-elsewhere", Severity.WARNING)
    assert "group:default/payments, user:default/jane: left out" in problem.message
    assert problem.ref == "group:default/payments"


def test_a_user_is_unknown_only_where_users_are_known() -> None:
    bodies, problems = processed(known(group("payments")), qm(1, "user:jane"))
    assert [each.rule for each in problems] == ["dangling-ref", "dangling-ref"]
    people = known(group("payments"), entity("User", "bob", {}))
    bodies, problems = processed(people, qm(1, "user:jane"))
    assert owner(bodies) == "user:default/jane"
    assert [each.rule for each in problems] == ["owner-unknown"]


def test_what_did_not_change_is_the_same_and_a_new_team_is_seen() -> None:
    by = BackstageProcessor(rules(), OwnerRules(people=True))
    org = manifest(90, group("shop"))
    one, two = qm(1, "shop"), qm(2, "payments")
    before, problems = processed(by.owners, org, one, two, by=by)
    assert [each.project for each in problems if each.rule == "owner-unknown"] == ["shop/s2"]
    again, _ = processed(by.owners, org, one, two, by=by)
    assert all(again[name] == body for name, body in before.items())
    after, problems = processed(by.owners, org, manifest(91, group("payments")), one, two, by=by)
    fresh, told = processed(by.owners, org, manifest(91, group("payments")), one, two)
    assert (after, problems) == (fresh, told)
    assert not [each for each in problems if each.rule == "owner-unknown"]


def test_a_hostile_owner_neither_breaks_the_message_nor_the_pass() -> None:
    odd = {**component("a", "x"), "spec": {"type": "s", "lifecycle": "p", "owner": ["x"]}}
    bare = Draft({"kind": "Group", "metadata": "x"})
    many = [component(f"c{n}", f"nobody-{n}") for n in range(40)]
    broken = manifest(1, odd, *many)
    broken = TranslatedManifest(
        broken.project,
        broken.file,
        broken.oid,
        broken.translation.__class__(
            broken.translation.verdict, "f", drafts=(bare, *broken.translation.drafts)
        ),
    )
    _, problems = processed(known(group("payments")), broken)
    assert sum(each.rule == "owner-unknown" for each in problems) == 20
    assert all("\n" not in each.message and len(each.message) < 1000 for each in problems)


def test_a_team_without_a_readable_body_is_none() -> None:
    assert team_of({"kind": "Group"}) is None
    assert team_of({"kind": "Group", "metadata": {"name": "x"}, "spec": 7}) == Team(
        Ref("group", "default", "x")
    )


def test_owners_besides_the_first_are_looked_up_too_and_make_no_team_by_being_named() -> None:
    text = (
        "version: 1\nservice:\n  name: s1\n  owner:\n    - {team: payments}\n"
        "    - {team: Money Movers, channel: '#movers'}\n    - {team: lighthuose, channel: '#l'}\n"
    )
    project = Project(1, "shop/s1", "https://g.example/shop/s1", "main")
    translation = MAPPINGS.translate(project, ManifestFile("qm.yaml", "o1", 9, text))
    several = TranslatedManifest(
        project, "qm.yaml", "o1", translation, held_since=moment_in("2026-01-01")
    )
    teams = known(group("payments"), group("shop-pay", "Money Movers"), group("lighthouse"))
    bodies, problems = processed(teams, several, qm(2, "lighthuose"))
    assert groups(bodies) == set()
    others = bodies["component:default/s1"]["metadata"]["annotations"]["fester.dev/other-owners"]
    assert others == "group:default/shop-pay, group:default/lighthuose"
    told = [(each.project, each.rule) for each in problems if each.rule.startswith("owner-")]
    assert told == [("shop/s1", "owner-unknown"), ("shop/s2", "owner-unknown")]
    assert all("did you mean group:default/lighthouse?" in each.message for each in problems)


def test_who_checks_for_another_one_says_what_that_one_would() -> None:
    """It has not looked through all manifests for teams."""
    by = BackstageProcessor(rules(), OwnerRules(people=True))
    team = team_of(group("shop"))
    assert team is not None
    leader = by.learned([team])
    entity_, _ = by.merge(by.statements(manifest(1, component("a", "group:nobody")))[0])
    assert entity_ is not None
    linked = by.link(entity_, by.targets(entity_.body), {})
    assert [each.rule for each in by.dangling(linked, {}, ())] == ["dangling-ref"]
    assert (leader.judged, leader.dangling(linked, {}, ())) == (("group",), [])
    assert by.judging(leader.judged).dangling(linked, {}, ()) == []
    assert by.checks_by == leader.checks_by
    others = BackstageProcessor(rules(), known(group("shop"), people=True))
    loose = BackstageProcessor(rules(), by.owners, publish_dangling=True)
    assert len({by.checks_by, others.checks_by, loose.checks_by}) == 3
