"""More of a repository than its manifest: read once, kept, published, never lost."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from bridge.language.names import nearest
from bridge.model.reads import ReadKind
from bridge.model.runs import Outcome
from bridge.passes.explain import explain
from bridge.processors.mapping import load_mappings
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.scrapers.bounds import NAMED_LIMIT
from bridge.scrapers.gitlab import further, pacing
from bridge.scrapers.gitlab.further_jobs import Job
from tests.passes.village import OPENAPI, Village, service, village

pytestmark = pytest.mark.real


async def test_a_definition_is_published_beside_the_shards_and_follows_its_file(
    tmp_path: Path,
) -> None:
    async with village(tmp_path) as it:
        cart = it.world.add_project(
            "shop/cart",
            files={"qm.yaml": service("cart", "api/openapi.yaml"), "api/openapi.yaml": OPENAPI},
        )
        await it.sweep()
        assert it.definition("cart-api") == OPENAPI
        first = it.definitions()

        # Nothing changed: not even in a new process is anything further asked for.
        it.restart()
        await it.sweep()
        unchanged = it.asked
        assert it.definition("cart-api") == OPENAPI

        # A push that touches nothing but the definition, and one that touches nothing of it.
        it.world.commit_file(cart.id, "api/openapi.yaml", OPENAPI + "x-new: true\n")
        await it.hinted(cart.id)
        assert it.definition("cart-api") == OPENAPI + "x-new: true\n"
        it.world.commit_file(cart.id, "README.md", "hello")
        it.restart()
        await it.sweep()
        # The commit is another: the blobs' ids are looked at, and no text is read.
        assert it.asked == unchanged + 1

        # What no API names any more goes with a pass over everything.
        assert first != it.definitions()
        it.world.commit_file(cart.id, "qm.yaml", service("cart"))
        await it.sweep()
        assert "API:cart-api" not in it.entities()
        assert it.definitions() == []


async def test_what_is_likely_there_is_read_without_looking_first(tmp_path: Path) -> None:
    """The page tells what is at usual paths, the manifest names its definition: one question."""
    async with village(tmp_path) as it:
        for name in ("cart", "bill"):
            it.world.add_project(
                f"shop/{name}",
                files={
                    "qm.yaml": service(name, "openapi.yaml"),
                    "openapi.yaml": OPENAPI + f"x-of: {name}\n",
                    "CODEOWNERS": "* @crew\n",
                    "docs/index.md": "# Docs",
                },
            )
        await it.sweep()
        assert graphql(it) == 2  # the page, and what else is wanted
        assert it.definition("bill-api") == OPENAPI + "x-of: bill\n"
        site = it.entities()["Component:cart"]["metadata"]["annotations"]
        assert site["backstage.io/techdocs-ref"] == f"url:{it.url}/shop/cart/-/tree/main/"

        # The file that both have word for word was asked of one of them.
        asked = [each for each in it.sandbox.requests if each.kind == "graphql"][-1].project_ids
        assert sorted(asked) in ([1, 1, 2], [1, 2, 2])  # and both about their definitions
        memory = await it.store.load(it.passes.stages.scraper.name)
        owners = [each.current.code_owners for each in memory.manifests.values()]
        assert [each.handles for each in owners if each] == [("@crew",), ("@crew",)]

        # Another commit, in which nothing of it changed but the definition.
        it.world.commit_file(1, "openapi.yaml", OPENAPI)
        await it.sweep()
        assert graphql(it) == 3  # the page, the blob, the text
        assert it.definition("cart-api") == OPENAPI


async def test_a_text_that_cannot_be_had_so_is_looked_for_first(tmp_path: Path) -> None:
    """One request fails, once: what it asked is asked in the usual way."""
    async with village(tmp_path) as it:
        it.world.add_project(
            "shop/cart",
            files={"qm.yaml": service("cart", "openapi.yaml"), "openapi.yaml": OPENAPI},
        )
        once = FaultPlan((FaultRule(Fault.PARTIAL, "graphql", skip=1, first_n=1),))
        done = await it.sweep(once)
        assert done.report.outcome is Outcome.COMPLETE
        assert graphql(it) == 4  # the page, the text, what is there, the text
        assert it.definition("cart-api") == OPENAPI


async def test_what_a_page_tells_is_no_older_than_the_commit_that_it_is_known_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of ninety has no room for the last commits: they are asked for after it."""
    monkeypatch.setattr(pacing, "_FIRST_SHARES", ())
    tips = further.FurtherReading._tips
    async with village(tmp_path, page=90) as it:
        for n in range(180):
            it.world.add_project(f"shop/s{n}", files={"qm.yaml": service(f"s{n}")})

        asked: list[int] = []

        async def between(reading: further.FurtherReading, jobs: Sequence[Job]) -> None:
            if jobs and not asked:
                asked.append(jobs[0].id)
                it.world.commit_file(jobs[0].id, "mkdocs.yml", "site_name: Docs")
            await tips(reading, jobs)

        monkeypatch.setattr(further.FurtherReading, "_tips", between)
        await it.sweep()
        monkeypatch.undo()
        it.restart()
        await it.sweep()
        known = await it.store.model.reads.known(it.passes.stages.scraper.name, asked)
        assert known[asked[0]].reads.files["mkdocs.yml"].kind is ReadKind.FILE


def graphql(it: Village) -> int:
    """How many of the last pass's requests were GraphQL."""
    return sum(request.kind == "graphql" for request in it.sandbox.requests)


async def test_last_commits_that_pages_have_no_room_for_are_asked_apart(tmp_path: Path) -> None:
    async with village(tmp_path, page=100) as it:
        projects = [
            it.world.add_project(
                f"shop/s{n}", files={"qm.yaml": service(f"s{n}", "o.yaml"), "o.yaml": OPENAPI}
            )
            for n in range(160)
        ]
        await it.sweep()
        # Two pages, one for the commits, and five for the texts and for what is at usual paths, of
        # which a page of a hundred cannot tell: one would take GitLab several times as long.
        assert graphql(it) == 2 + 1 + 5
        await it.sweep()
        # Two pages of projects with their manifests, and one for the commits.
        assert graphql(it) == 2 + 1
        changed = projects[11]
        it.world.commit_file(changed.id, "o.yaml", OPENAPI + "x-new: true\n")
        await it.sweep()
        assert graphql(it) == 2 + 1 + 2  # which blobs, and the one text
        assert it.definition("s11-api") == OPENAPI + "x-new: true\n"
        assert it.definition("s12-api") == OPENAPI


async def test_what_cannot_be_read_keeps_what_was_known_with_the_reason(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        cart = it.world.add_project(
            "shop/cart",
            files={"qm.yaml": service("cart", "openapi.yaml"), "openapi.yaml": OPENAPI},
        )
        await it.sweep()
        it.world.commit_file(cart.id, "openapi.yaml", OPENAPI + "x-new: true\n")
        # The project's own page comes; what is asked beyond it does not.
        failing = FaultPlan((FaultRule(Fault.SERVER_ERROR, "graphql", skip=1),))
        done = await it.sweep(failing)
        assert done.report.outcome is Outcome.INCOMPLETE
        said = [each.message for each in done.report.problems if each.rule == "unreadable"]
        assert len(said) == 1
        assert "its further files" in said[0]
        assert it.definition("cart-api") == OPENAPI
        await it.sweep()
        assert it.definition("cart-api") == OPENAPI + "x-new: true\n"


async def test_a_broken_manifest_keeps_the_definition_that_it_had(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        cart = it.world.add_project(
            "shop/cart",
            files={"qm.yaml": service("cart", "openapi.yaml"), "openapi.yaml": OPENAPI},
        )
        await it.sweep()
        it.world.commit_file(cart.id, "qm.yaml", "version: 1\nservice: {name: ''}\n")
        it.world.commit_file(cart.id, "openapi.yaml", OPENAPI + "x-new: true\n")
        await it.sweep()
        it.restart()
        await it.sweep()
        assert it.definition("cart-api") == OPENAPI


async def test_documents_and_sites_are_what_the_repository_has(tmp_path: Path) -> None:
    docs = [{"kind": "runbook", "path": "docs/slow.md"}, {"kind": "guide", "path": "docs/stert.md"}]
    async with village(tmp_path) as it:
        it.world.add_project(
            "shop/cart",
            files={
                "qm.yaml": service("cart", docs=docs),
                "docs/slow.md": "# Slow",
                "docs/start.md": "# Start",
            },
        )
        it.world.add_project("shop/plain", files={"qm.yaml": service("plain")})
        done = await it.sweep()
        annotations = {
            name: each["metadata"]["annotations"]
            for name, each in it.entities().items()
            if name.startswith(("Component:", "Resource:"))
        }
        site = f"url:{it.url}/shop/cart/-/tree/main/"
        assert annotations["Component:cart"]["backstage.io/techdocs-ref"] == site
        assert "backstage.io/techdocs-ref" not in annotations["Component:plain"]
        slow = annotations["Resource:cart-slow"]
        assert slow["backstage.io/techdocs-entity"] == "component:default/cart"
        assert slow["backstage.io/techdocs-entity-path"] == "/slow"
        assert "backstage.io/techdocs-entity" not in annotations["Resource:cart-stert"]
        (missing,) = [each for each in done.report.problems if each.rule == "document-missing"]
        assert "`docs/stert.md` is not in the repository; did you mean `docs/start.md`?" in (
            missing.message
        )
        assert missing.line > 1


async def test_many_paths_that_are_not_there_hold_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likely names are looked for beside the event loop, for some of the paths."""
    threads: list[int] = []

    def watched(path: str, there: Iterable[str]) -> tuple[str, ...]:
        threads.append(threading.get_ident())
        return nearest(path, there)

    monkeypatch.setattr(further, "nearest", watched)
    docs = [{"kind": "guide", "path": f"docs/stert{n}.md"} for n in range(NAMED_LIMIT + 5)]
    async with village(tmp_path) as it:
        it.world.add_project(
            "shop/cart", files={"qm.yaml": service("cart", docs=docs), "docs/start1.md": "# Start"}
        )
        done = await it.sweep()
    assert len(threads) == NAMED_LIMIT
    assert threading.get_ident() not in threads
    assert any("did you mean `docs/start1.md`?" in each.message for each in done.report.problems)


async def test_an_unusable_definition_is_a_warning_and_the_api_stays(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        it.world.add_project(
            "shop/cart",
            files={
                "qm.yaml": service("cart", "openapi.yaml"),
                "openapi.yaml": "openapi: [\n",
            },
        )
        it.world.add_project(
            "shop/bill", files={"qm.yaml": service("bill", "opanapi.yaml"), "openapi.yaml": OPENAPI}
        )
        it.world.add_project(
            "shop/huge", files={"qm.yaml": service("huge", "o.yaml"), "o.yaml": "#" * 2_000_000}
        )
        done = await it.sweep()
        said = {
            each.project: each.message
            for each in done.report.problems
            if each.rule == "definition-unusable"
        }
        assert "is not YAML (line" in said["shop/cart"]
        assert "did you mean openapi.yaml?" in said["shop/bill"]
        assert "1.9 MB; the limit is 1.0 MB" in said["shop/huge"]
        assert [it.definition(f"{name}-api") for name in ("cart", "bill", "huge")] == [None] * 3


async def test_definitions_are_found_under_common_names_if_the_settings_say_so(
    tmp_path: Path,
) -> None:
    text = "version: 1\nservice:\n  name: cart\n  owner: {team: crew}\n  apis: {provides: [Cart]}\n"
    mappings = load_mappings(find_definitions=True)
    async with village(tmp_path, mappings=mappings) as it:
        it.world.add_project(
            "shop/cart", files={"qm.yaml": text, "asyncapi.yaml": "asyncapi: 3.0.0\n"}
        )
        it.world.add_project(
            "shop/grpc",
            files={
                "qm.yaml": text.replace("cart", "grpc").replace("[Cart]", "[Grpc]"),
                "a.proto": 'syntax = "proto3";\n',
            },
        )
        await it.sweep()
        assert it.definition("cart") == "asyncapi: 3.0.0\n"
        assert it.entities()["API:cart"]["spec"]["type"] == "asyncapi"
        assert it.definition("grpc") == 'syntax = "proto3";\n'


async def test_codeowners_is_read_for_guesses_and_never_lost(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        team = "version: 1\nservice: {name: till, owner: {team: %s}}\n"
        it.world.add_project("shop/till", files={"qm.yaml": team % "red"})
        it.world.add_project("shop/bell", files={"qm.yaml": team % "blue"})
        cart = it.world.add_project(
            "shop/cart",
            files={"qm.yaml": "version: 1\nservice: {name: cart}\n", "CODEOWNERS": "* @red\n"},
        )

        async def guesses() -> list[str]:
            source = it.passes.stages.scraper.name
            memory, record = await it.store.load(source), await it.store.latest(source)
            assert record is not None
            return [each for each in explain("shop/cart", memory, record).facts if "guess" in each]

        async def handles() -> tuple[str, ...]:
            memory = await it.store.load(it.passes.stages.scraper.name)
            owners = memory.manifests[cart.id, "qm.yaml"].current.code_owners
            return owners.handles if owners else ()

        await it.sweep()
        (told,) = await guesses()
        assert "may be group:default/red: CODEOWNERS names @red" in told
        published = it.entities()

        # Nothing but CODEOWNERS changed; and then it cannot be read.
        it.world.commit_file(cart.id, "CODEOWNERS", "* @blue\n")
        await it.sweep(FaultPlan((FaultRule(Fault.SERVER_ERROR, "graphql", skip=1),)))
        assert await guesses() == [told]
        await it.hinted(cart.id)
        (told,) = await guesses()
        assert "may be group:default/blue: CODEOWNERS names @blue" in told
        it.restart()
        await it.sweep()
        assert await guesses() == [told]
        assert it.entities() == published

        # Where nothing but its text cannot be had, nothing else waits for it.
        it.world.commit_file(cart.id, "CODEOWNERS", "* @red\n")
        it.world.commit_file(cart.id, "qm.yaml", team.replace("till", "cart") % "blue")
        texts = FaultPlan((FaultRule(Fault.SERVER_ERROR, "graphql", skip=2),))
        done = await it.sweep(texts)
        assert done.report.outcome is Outcome.COMPLETE
        assert it.entities()["Component:cart"]["spec"]["owner"] == "group:default/blue"
        assert await handles() == ("@blue",)
        await it.sweep()
        assert await handles() == ("@red",)
        unchanged = it.asked
        await it.sweep()
        assert it.asked < unchanged

        it.world.delete_file(cart.id, "CODEOWNERS")
        await it.sweep()
        assert await handles() == ()


async def test_texts_of_projects_that_are_gone_go_and_by_a_gap_they_stay(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        for name in ("cart", "bill", "till"):
            files = {"qm.yaml": service(name, "o.yaml"), "o.yaml": OPENAPI + f"x-of: {name}\n"}
            it.world.add_project(f"shop/{name}", files=files)
        await it.sweep()
        source, reads = it.passes.stages.scraper.name, it.store.model.reads

        oids = [
            file.oid
            for known in (await reads.known(source, [1, 2, 3])).values()
            for file in known.reads.files.values()
            if file.kept
        ]
        assert len(set(oids)) == 3

        async def kept() -> set[int]:
            wanted = [*oids, "left"]
            return {n for n in (1, 2, 3, 99) if await reads.texts(source, n, wanted)}

        # What a destination told of another source's project, which no sweep of this one shows.
        state = await it.store.model.state(source)
        await reads.adopt(source, state.edition, [(99, "left", "text")])
        it.restart()
        it.world.delete(3)
        done = await it.sweep(FaultPlan((FaultRule(Fault.SERVER_ERROR, "rest-enumeration"),)))
        assert done.report.outcome is not Outcome.COMPLETE
        assert await kept() == {1, 2, 3, 99}
        cart = it.world.find("shop/cart")
        assert cart is not None
        cart.repository = "forbidden"
        assert (await it.sweep()).report.outcome is Outcome.INCOMPLETE
        assert await kept() == {1, 2}
        it.world.delete(2)
        await it.hinted(2)
        assert await kept() == {1}
        assert await reads.strangers(source) == frozenset()
