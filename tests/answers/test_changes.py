"""What changed around something: who is near, what is meant, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.answers.around import ITSELF, MOST_STARTS, Involvement, about
from bridge.answers.changes import ASKED, Told, as_lines, question, told, with_history
from bridge.answers.dependencies import MOST
from bridge.answers.identify import MOST as MOST_LISTED
from bridge.answers.knowledge import Knowledge
from bridge.answers.lately import LATELY, Lately, lately
from bridge.answers.lately import MOST as MOST_LATELY
from bridge.errors import BadQuestion
from bridge.model.entities import Ref
from bridge.model.entity_changes import (
    ChangedManifest,
    ChangeKind,
    ChangeQuery,
    EntityChange,
    FieldChange,
)
from bridge.passes.explain import Explanation
from tests.answers.fleet import CART, FLEET, entity, known, service
from tests.fakes import NOON

STOCK, WEB, MAIL = (f"component:default/{name}" for name in ("stock", "web", "mail"))


def change(ref: str, number: int = 1, minutes: int = 20) -> EntityChange:
    parsed = Ref.parse(ref)
    return EntityChange(
        parsed,
        ChangeKind.CHANGED,
        NOON - timedelta(minutes=minutes),
        parsed.name,
        manifests=(ChangedManifest(f"shop/{parsed.name}", "qm.yaml", "ab"),),
        fields=(FieldChange("spec.lifecycle", "experimental", "production"),),
        number=number,
    )


class History:
    """The changes that a test has, found as the store finds them by what is asked here."""

    def __init__(self, *changes: EntityChange) -> None:
        self.changes = sorted(changes, key=lambda each: -each.number)
        self.asked: list[ChangeQuery] = []

    async def find(self, query: ChangeQuery) -> list[EntityChange]:
        self.asked.append(query)
        fit = [
            each
            for each in self.changes
            if (not query.refs or str(each.ref) in query.refs)
            and (query.since is None or each.at >= query.since)
            and (query.below is None or each.number < query.below)
            and (query.above is None or each.number > query.above)
        ]
        return fit[: query.limit]


def test_dependencies_and_dependents_are_near_by_their_hops() -> None:
    assert about("cart", known(*FLEET)).roles == {
        CART: ITSELF,
        STOCK: Involvement("dependency", 1),
        "component:default/gone": Involvement("dependency", 1),
        WEB: Involvement("dependent", 1),
        MAIL: Involvement("dependent", 2),
    }
    assert MAIL not in about("cart", known(*FLEET), 1).roles
    assert about("cart", known(*FLEET), 0).roles == {CART: ITSELF}


def test_around_a_system_lie_its_parts_and_what_they_need() -> None:
    outside = replace(service("ledger"), body={**service("ledger").body, "spec": {}})
    inside = service("till", needs=("ledger",))
    roles = about("shop", known(*FLEET, inside, outside)).roles
    assert roles["system:default/shop"] == ITSELF
    assert roles[CART].word == roles["component:default/till"].word == "part"
    assert roles["component:default/ledger"] == Involvement("dependency", 1)


def test_a_crowd_around_something_is_cut_and_said_to_be() -> None:
    crowd = [service("hub"), *(service(f"c{n}", needs=("hub",)) for n in range(MOST + 50))]
    found = about("hub", known(*crowd))
    assert (len(found.roles), found.cut) == (MOST + 1, True)
    assert not about("cart", known(*FLEET)).cut


def test_what_is_gone_is_looked_for_by_its_name_and_a_path_by_its_project() -> None:
    assert CART in about("cart", known()).roles
    assert list(about("api:default/orders", known()).roles) == ["api:default/orders"]
    path = about("shop/none", known())
    assert (path.project, dict(path.roles), path.clear) == ("shop/none", {}, True)
    assert not about("https://nowhere.example.com/x", known()).clear


def test_a_project_means_all_that_its_manifests_speak_of() -> None:
    slug = {"gitlab.com/project-slug": "shop/cart"}
    api = entity("API", "orders", annotations=slug)
    assert set(about("shop/cart", known(*FLEET, api), 0).roles) == {CART, "api:default/orders"}


def test_all_of_a_large_project_is_asked_about_and_what_is_left_out_is_said() -> None:
    def crowd(count: int) -> Knowledge:
        slug = {"gitlab.com/project-slug": "shop/mono"}
        return known(*(entity("Component", f"s{n:04}", annotations=slug) for n in range(count)))

    found = about("shop/mono", crowd(MOST_LISTED + 70), 0)
    assert (len(found.roles), found.cut) == (MOST_LISTED + 70, False)
    assert len(found.found.matches) == MOST_LISTED
    found = about("shop/mono", crowd(MOST_STARTS + 1), 0)
    assert (len(found.roles), found.cut) == (MOST_STARTS, True)
    assert "than was looked at" in "".join(as_lines(Told(NOON, about=found)))


async def ask(history: History, asked: dict[str, str], knowledge: Knowledge | None = None) -> Told:
    return await told(asked, knowledge or known(*FLEET), history.find, NOON)


async def test_what_changed_around_the_cart_in_the_last_two_hours() -> None:
    history = History(
        *(change(CART, 4), change(MAIL, 3), change("component:default/other", 2)),
        change(STOCK, 1, minutes=180),
    )
    found = await ask(history, {"around": "trolley", "since": "2h"})
    assert [(each.ref.name, found.role(each)) for each in found.changes] == [
        ("cart", ""),
        ("mail", "dependent, 2 hops"),
    ]
    assert list(as_lines(found)) == [
        "2026-01-01 11:40  cart changed: spec.lifecycle  20 minutes ago, in shop/cart qm.yaml",
        "    spec.lifecycle: experimental → production",
        "2026-01-01 11:40  mail changed: spec.lifecycle (dependent, 2 hops)  20 minutes ago, "
        "in shop/mail qm.yaml",
        "    spec.lifecycle: experimental → production",
    ]


async def test_several_matches_are_listed_and_nothing_is_looked_for() -> None:
    history = History(change(CART))
    found = await ask(history, {"around": "cart"}, known(*FLEET, entity("API", "cart")))
    assert not found.clear
    assert history.asked == []
    lines = list(as_lines(found))
    assert lines[0] == "2 entities have this name; which one is it?"
    assert lines[1:] == [f"    {CART}", "    api:default/cart"]


async def test_a_name_that_is_none_is_told_with_what_is_near() -> None:
    assert "Did you mean component:default/cart?" in next(
        as_lines(await ask(History(), {"around": "carrt"}))
    )


@pytest.mark.parametrize("wrong", [{"hops": "5"}, {"hops": "-1"}, {"ref": "cart"}])
async def test_what_cannot_be_meant_is_said(wrong: dict[str, str]) -> None:
    with pytest.raises(BadQuestion, match="`"):
        await ask(History(), {"around": "cart", **wrong})
    assert set(wrong) <= set(ASKED)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"entity_kind": each} for each in ("com\0ponent", "a/b", "compönent")),
        *({name: "x\0/y"} for name in ("around", "ref", "owner", "project")),
        {"owner": "\ud800"},
    ],
)
async def test_what_no_store_takes_is_refused_before_it_is_asked(wrong: dict[str, str]) -> None:
    history = History()
    with pytest.raises(BadQuestion, match=f"`{next(iter(wrong))}`"):
        await ask(history, wrong)
    for odd in ("x\0", "shop/x\0"):
        await with_history(Explanation(odd, (), (), ()), history.find)
    assert not history.asked
    assert question({"entity_kind": " API "}, NOON).entity_kind == "api"


async def test_an_explanation_tells_the_last_changes_also_of_what_is_gone() -> None:
    history = History(*(change(CART, number) for number in range(1, 15)), change(WEB, 20))
    missing = Explanation("cart", (), (), ())
    explained = await with_history(missing, history.find)
    assert [each.number for each in explained.changes] == list(range(14, 4, -1))
    tree = explained.as_json()["changes"]
    assert isinstance(tree, list)
    assert len(tree) == 10


async def test_what_changed_within_a_day_is_kept_at_hand_and_added_to() -> None:
    history = History(change(CART, 1, minutes=60 * 23), change(CART, 2), change(WEB, 3))
    first = await lately(history.find, NOON)
    assert [each.number for each in first.of([CART], NOON - LATELY)] == [2, 1]
    history.changes.insert(0, change(MAIL, 4, minutes=0))
    history.asked.clear()
    second = await lately(history.find, NOON + timedelta(hours=2), first)
    assert {query.above for query in history.asked} == {3}
    assert set(second.by_ref) == {CART, WEB, MAIL}
    assert [each.number for each in second.by_ref[CART]] == [2]  # the other is a day old
    assert second.newest == 4


async def test_when_everything_changes_at_once_the_newest_are_at_hand() -> None:
    flood = [change(f"component:default/s{n}", n + 1) for n in range(MOST_LATELY + 700)]
    history = History(*flood)
    found = await lately(history.find, NOON)
    assert (len(found.by_ref), found.cut, found.newest) == (MOST_LATELY, True, len(flood))
    history.changes.clear()
    assert (await lately(history.find, NOON, found)).cut
    assert await lately(history.find, NOON + LATELY, found) == Lately(
        newest=len(flood), read_at=NOON + LATELY
    )
