"""Defaults for groups that a project keeps: read before a pass, and never lost by a gap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.model.group_defaults import DefaultsPlace
from bridge.model.runs import Outcome
from bridge.passes.stages import Pass
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from tests.passes.village import Village, village

pytestmark = pytest.mark.real

PLACE = DefaultsPlace("platform/defaults", "qm.defaults.yaml")
SHOP = """\
version: 1
defaults:
  shop/**: {owner: {team: shop-team}, product: Shop}
  pay/**: {owner: {team: pay-team}}
"""
UNREAD = FaultPlan((FaultRule(Fault.SERVER_ERROR, "graphql", first_n=2),))


def bare(name: str) -> dict[str, str]:
    return {"qm.yaml": f"version: 1\nservice: {{name: {name}}}\n"}


def people(it: Village) -> Any:
    """A project that keeps the defaults, and three that inherit."""
    kept = it.world.add_project(PLACE.project, files={PLACE.path: SHOP})
    cart = it.world.add_project("shop/cart", files=bare("cart"))
    web = it.world.add_project("shop/web/site", files=bare("site"))
    pay = it.world.add_project("pay/desk", files=bare("desk"))
    it.world.add_project("shop/notes", files={"README.md": "x"})
    return kept, cart, web, pay


def owners(it: Village) -> dict[str, str]:
    return {
        name.partition(":")[2]: entity["spec"]["owner"].partition("/")[2]
        for name, entity in it.entities().items()
        if name.startswith("Component:")
    }


def rules(done: Pass) -> set[str]:
    return {problem.rule for problem in done.report.problems}


BEFORE = {"cart": "shop-team", "site": "shop-team", "desk": "pay-team"}


async def test_a_change_translates_what_it_concerns_and_reads_nothing_else(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, cart, web, _ = people(it)
        await it.sweep()
        assert owners(it) == BEFORE
        it.time.now += 3600.0
        await it.due()
        done = await it.due()
        assert done.report.this_pass["seen"] == 0
        unchanged = it.asked
        # A line more changes nothing that anybody inherits.
        it.world.commit_file(kept.id, PLACE.path, "# a line more\n" + SHOP)
        done = await it.due()
        assert done.changes.projects <= {kept.id}
        it.time.now += 3600.0
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("shop-team", "web-team"))
        done = await it.due()
        assert owners(it) == {**BEFORE, "cart": "web-team", "site": "web-team"}
        assert done.changes.projects == {kept.id, cart.id, web.id}
        # Once that is done nobody is asked for again.
        it.time.now += 3600.0
        await it.due()
        done = await it.due()
        assert (done.report.this_pass["seen"], it.asked) == (0, unchanged)


async def test_a_push_to_the_project_that_keeps_them_is_enough(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, _, web, pay = people(it)
        await it.sweep()
        assert await it.passes.further_paths(kept.id) == {PLACE.path}
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("pay-team", "desk-team"))
        await it.hinted(web.id)  # of which nobody is told yet
        assert owners(it) == BEFORE
        it.restart()
        done = await it.hinted(kept.id)
        assert owners(it) == {**BEFORE, "desk": "desk-team"}
        assert done.changes.projects == {kept.id, pay.id}


async def test_what_is_due_survives_a_death_between_reading_and_writing(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, *_ = people(it)
        await it.sweep()
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("shop-team", "new-team"))
        broken = FaultPlan((FaultRule(Fault.SERVER_ERROR, skip=1),))
        done = await it.due(broken)  # reads the defaults, and nothing after that
        assert done.report.outcome is not Outcome.COMPLETE
        assert owners(it) == BEFORE
        it.restart()
        # Back and forth: what some of them may have had is due all the same.
        it.world.commit_file(kept.id, PLACE.path, SHOP)
        await it.due()
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("shop-team", "newer-team"))
        await it.due()
        assert owners(it) == {**BEFORE, "cart": "newer-team", "site": "newer-team"}


@pytest.mark.parametrize(
    ("fault", "tries"), [(Fault.SERVER_ERROR, 2), (Fault.NO_DATA, 1), (Fault.TRUNCATED, 2)]
)
async def test_defaults_that_cannot_be_read_stay_in_force(
    tmp_path: Path, fault: Fault, tries: int
) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, cart, *_ = people(it)
        await it.sweep()
        it.restart()
        it.world.commit_file(cart.id, "qm.yaml", bare("basket")["qm.yaml"])
        plan = FaultPlan((FaultRule(fault, "graphql", first_n=tries),))
        done = await it.sweep(plan)
        assert owners(it) == {"basket": "shop-team", "site": "shop-team", "desk": "pay-team"}
        told = next(each for each in done.report.problems if each.rule == "defaults-unread")
        assert (told.project, told.file) == (PLACE.project, PLACE.path)
        it.world.delete(kept.id)  # which a token that lost its right looks like, too
        done = await it.sweep()
        assert owners(it) == {"basket": "shop-team", "site": "shop-team", "desk": "pay-team"}
        assert "defaults-unread" in rules(done)


async def test_a_broken_file_keeps_what_it_said_and_is_told_line_by_line(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, *_ = people(it)
        await it.sweep()
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("product", "prodct"))
        for _ in range(2):
            done = await it.due()
            assert owners(it) == BEFORE
            told = [each for each in done.report.problems if each.rule == "defaults-invalid"]
            assert [(each.project, each.file, each.line) for each in told] == [
                (PLACE.project, PLACE.path, 3)
            ]
            assert "did you mean `product`" in told[0].message
            assert "defaults-kept" in rules(done)
            it.restart()
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("pay-team", "desk-team"))
        done = await it.due()
        assert owners(it) == {**BEFORE, "desk": "desk-team"}
        assert not rules(done) & {"defaults-invalid", "defaults-kept"}


async def test_an_empty_file_is_a_broken_one_and_not_one_that_is_gone(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, *_ = people(it)
        await it.sweep()
        it.world.commit_file(kept.id, PLACE.path, "")
        for _ in range(2):
            done = await it.due()
            assert owners(it) == BEFORE
            assert {"defaults-kept", "defaults-invalid"} <= rules(done)
            assert "defaults-missing" not in rules(done)
            assert "stale-manifest" not in it.entities()["Component:site"]["metadata"].get(
                "tags", ()
            )
            it.restart()
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("pay-team", "desk-team"))
        await it.due()
        assert owners(it) == {**BEFORE, "desk": "desk-team"}


async def test_one_that_is_gone_for_certain_ends_its_defaults(tmp_path: Path) -> None:
    """What only they made whole is broken now, and keeps what it said last."""
    async with village(tmp_path, defaults=PLACE) as it:
        kept, cart, *_ = people(it)
        it.world.commit_file(
            cart.id, "qm.yaml", "version: 1\nservice: {name: cart, owner: {team: own}}\n"
        )
        await it.sweep()
        annotations = it.entities()["Component:cart"]["metadata"]["annotations"]
        assert annotations["fester.dev/product"] == "Shop"
        it.world.delete_file(kept.id, PLACE.path)
        done = await it.due()
        assert "defaults-missing" in rules(done)
        annotations = it.entities()["Component:cart"]["metadata"]["annotations"]
        assert "fester.dev/product" not in annotations
        assert owners(it) == {"cart": "own", "site": "shop-team", "desk": "pay-team"}
        assert "stale-manifest" in it.entities()["Component:site"]["metadata"]["tags"]


async def test_a_setting_that_is_taken_out_ends_them_too(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        _, cart, *_ = people(it)
        it.world.commit_file(
            cart.id, "qm.yaml", "version: 1\nservice: {name: cart, owner: {team: own}}\n"
        )
        await it.sweep()
        it.defaults = None
        it.restart()
        await it.due()
        annotations = it.entities()["Component:cart"]["metadata"]["annotations"]
        assert "fester.dev/product" not in annotations


async def test_of_a_file_that_was_never_read_nothing_is_published(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        people(it)
        done = await it.sweep(UNREAD)
        assert done.report.outcome is Outcome.FAILED
        assert "nothing is published" in done.report.failure
        assert not it.out.exists() or not it.entities()
        await it.sweep()
        assert owners(it) == BEFORE


async def test_a_project_that_moves_has_the_other_groups_defaults(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        _, cart, *_ = people(it)
        await it.sweep()
        it.world.transfer(cart.id, "pay")
        await it.hinted(cart.id)
        assert owners(it) == {**BEFORE, "cart": "pay-team"}


async def test_a_project_in_a_gap_has_them_when_it_is_read_again(tmp_path: Path) -> None:
    async with village(tmp_path, defaults=PLACE) as it:
        kept, cart, *_ = people(it)
        await it.sweep()
        it.world.commit_file(kept.id, PLACE.path, SHOP.replace("shop-team", "new-team"))
        poison = FaultPlan((FaultRule(Fault.SERVER_ERROR, "graphql", project_ids={cart.id}),))
        await it.due(poison)
        assert owners(it) == {**BEFORE, "site": "new-team"}
        it.time.now += 3600.0
        it.restart()
        await it.due()
        assert owners(it) == {**BEFORE, "cart": "new-team", "site": "new-team"}
