"""Manifests below the root: named by the root's manifest, or by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.model.runs import Outcome
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from tests.passes.village import OPENAPI, Village, service, village

pytestmark = pytest.mark.real

INCLUDING = "version: 1\ninclude: ['services/*/qm.yaml']\n"


def names(it: Village) -> set[str]:
    return {name for name in it.entities() if name.startswith("Component:")}


def annotated(it: Village, name: str) -> dict[str, Any]:
    found: dict[str, Any] = it.entities()[name]["metadata"]["annotations"]
    return found


async def test_a_root_manifest_includes_others_and_their_paths_lead_to_their_folder(
    tmp_path: Path,
) -> None:
    docs = [{"kind": "runbook", "path": "docs/slow.md"}]
    async with village(tmp_path) as it:
        mono = it.world.add_project(
            "shop/mono",
            files={
                "qm.yaml": INCLUDING,
                "services/cart/qm.yaml": service("cart", "openapi.yaml", docs=docs),
                "services/cart/openapi.yaml": OPENAPI,
                "services/cart/docs/slow.md": "# Slow",
                "services/pay/qm.yaml": service("pay", "../../shared/pay.yaml"),
                "shared/pay.yaml": OPENAPI + "x-pay: true\n",
                "services/notes.txt": "no folder",
                "other/deep/qm.yaml": service("deep"),
            },
        )
        await it.sweep()
        assert names(it) == {"Component:cart", "Component:pay"}
        assert it.definition("cart-api") == OPENAPI
        assert it.definition("pay-api") == OPENAPI + "x-pay: true\n"
        cart, base = annotated(it, "Component:cart"), f"{it.url}/shop/mono/-"
        folder = "main/services/cart/"
        assert cart["backstage.io/source-location"] == f"url:{base}/tree/{folder}"
        assert cart["backstage.io/techdocs-ref"] == f"url:{base}/tree/{folder}"
        assert cart["backstage.io/view-url"] == f"{base}/blob/{folder}qm.yaml"
        assert cart["backstage.io/edit-url"] == f"{base}/edit/{folder}qm.yaml"
        slow = annotated(it, "Resource:cart-slow")
        assert slow["backstage.io/view-url"] == f"{base}/blob/{folder}docs/slow.md"

        # Unchanged, in a new process: not a request more than the page and the list.
        it.restart()
        await it.sweep()
        unchanged = it.asked
        it.world.commit_file(mono.id, "services/cart/qm.yaml", service("basket", "openapi.yaml"))
        await it.hinted(mono.id)
        assert names(it) == {"Component:basket", "Component:pay"}
        it.restart()
        await it.sweep()
        assert it.asked == unchanged

        # One that is deleted goes, the others stay.
        it.world.delete_file(mono.id, "services/pay/qm.yaml")
        await it.hinted(mono.id)
        assert names(it) == {"Component:basket"}


async def test_settings_name_nested_manifests_of_whole_groups(tmp_path: Path) -> None:
    nested = {"shop/**": ("*/qm.yaml",)}
    async with village(tmp_path, nested=nested) as it:
        files = {"a/qm.yaml": service("a"), "b/qm.yaml": service("b"), "b/c/qm.yaml": service("c")}
        it.world.add_project("shop/rootless", files=files)
        it.world.add_project("bank/rootless", files={"d/qm.yaml": service("d")})
        await it.sweep()
        assert names(it) == {"Component:a", "Component:b"}


async def test_a_moved_manifest_keeps_its_claim(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        mono = it.world.add_project(
            "shop/mono", files={"qm.yaml": INCLUDING, "services/cart/qm.yaml": service("cart")}
        )
        await it.sweep()
        it.world.add_project("shop/rival", files={"qm.yaml": service("cart")})
        await it.sweep()
        it.world.delete_file(mono.id, "services/cart/qm.yaml")
        it.world.commit_file(mono.id, "services/basket/qm.yaml", service("cart"))
        await it.sweep()
        assert "shop/mono" in annotated(it, "Component:cart")["backstage.io/view-url"]


async def test_a_list_that_fails_removes_nothing(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        mono = it.world.add_project(
            "shop/mono", files={"qm.yaml": INCLUDING, "services/cart/qm.yaml": service("cart")}
        )
        await it.sweep()
        it.world.commit_file(mono.id, "services/pay/qm.yaml", service("pay"))
        for fault in (Fault.SERVER_ERROR, Fault.PARTIAL, Fault.NO_DATA, Fault.TRUNCATED):
            done = await it.sweep(FaultPlan((FaultRule(fault, "graphql", skip=1),)))
            assert done.report.outcome is Outcome.INCOMPLETE
            assert names(it) == {"Component:cart"}
        await it.sweep()
        assert names(it) == {"Component:cart", "Component:pay"}


async def test_what_a_pattern_may_mean_is_bounded_and_told(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        files = {f"services/s{n}/qm.yaml": service(f"s{n}") for n in range(230)}
        it.world.add_project("shop/mono", files={"qm.yaml": INCLUDING, **files})
        done = await it.sweep()
        assert len(names(it)) == 200
        said = [each.message for each in done.report.problems if each.rule == "reads-cut"]
        assert len(said) == 1
        assert said[0].startswith("services/*/qm.yaml: more than 200 paths fit it; the others")


@pytest.mark.parametrize(
    "broken", ["version: 1\ninclude: [", INCLUDING.replace("*", "**"), INCLUDING + "#" * 300_000]
)
async def test_a_root_that_cannot_be_used_removes_nothing_that_it_included(
    tmp_path: Path, broken: str
) -> None:
    async with village(tmp_path) as it:
        mono = it.world.add_project(
            "shop/mono", files={"qm.yaml": INCLUDING, "services/cart/qm.yaml": service("cart")}
        )
        await it.sweep()
        it.world.commit_file(mono.id, "qm.yaml", broken)
        done = await it.hinted(mono.id)
        it.restart()
        await it.sweep()
        assert names(it) == {"Component:cart"}
        said = [each.message for each in done.report.problems if each.rule == "nested-kept"]
        assert len(said) == 1
        assert said[0].startswith("services/cart/qm.yaml: not read, and what was known of it is")

        it.world.commit_file(mono.id, "qm.yaml", service("root"))
        done = await it.hinted(mono.id)
        assert names(it) == {"Component:root"}
        said = [each.message for each in done.report.problems if each.rule == "manifest-removed"]
        assert len(said) == 1
        assert "nothing names it any more (`include`, `gitlab.nested`)" in said[0]


async def test_what_a_cut_leaves_out_is_kept(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        files = {f"services/s{n:03}/qm.yaml": service(f"s{n:03}") for n in range(200)}
        mono = it.world.add_project("shop/mono", files={"qm.yaml": INCLUDING, **files})
        await it.sweep()
        assert len(names(it)) == 200
        it.world.commit_file(mono.id, "services/aaa/README.md", "# no service")
        done = await it.hinted(mono.id)
        assert {each.rule for each in done.report.problems} >= {"reads-cut", "nested-kept"}
        it.restart()
        await it.sweep()  # what is in the store knows of the cut, too
        assert "Component:s199" in names(it)
        it.world.delete_file(mono.id, "services/aaa/README.md")
        it.world.delete_file(mono.id, "services/s199/qm.yaml")
        await it.hinted(mono.id)
        assert len(names(it)) == 199


async def test_a_manifest_is_included_by_its_very_path(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        root = "version: 1\ninclude: [tools/deployer/qm.yaml]\n"
        files = {"qm.yaml": root, "tools/deployer/qm.yaml": service("deployer")}
        it.world.add_project("shop/mono", files=files)
        await it.sweep()
        assert names(it) == {"Component:deployer"}
