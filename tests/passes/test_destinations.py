"""Whose a destination is, and what is adopted from it, with real folders and real stores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bridge.errors import ConfigurationError, StoreError
from bridge.exporters.filesystem import FolderExporter
from bridge.exporters.render import ShardRenderer
from bridge.model.destinations import DestinationContent, Mark, PublishedCatalog
from bridge.model.entities import CatalogEntity, Draft, Json, Origin, Ref
from bridge.model.manifests import Translation, Verdict
from bridge.model.memory import Memory
from bridge.model.runs import Outcome
from bridge.model.scrape import Gap, ManifestFile, Project, Record
from bridge.model.statements import Concluded
from bridge.passes.adoption import adopt, standing
from bridge.passes.merge import Guard
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.merging import MergeRules
from bridge.processors.services_csv import ServicesCsv
from bridge.store import open_store
from bridge.store.model import SqlModel
from tests.fakes import NOON, ListScraper, WordTranslator, fresh, read

CORP = "https://gitlab.test"


class ComponentTranslator(WordTranslator):
    """A manifest's text is the name of a component that Backstage takes, and of a system's part."""

    def translate(self, project: Project, file: ManifestFile) -> Translation:
        said = super().translate(project, file)
        if said.verdict is not Verdict.VALID:
            return said
        return replace(said, drafts=(Draft(component(project, file.text or "")), Draft(system())))


def component(project: Project, name: str) -> dict[str, Json]:
    location = f"url:{project.web_url}/-/tree/main/"
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "annotations": {"backstage.io/source-location": location}},
        "spec": {
            "type": "service",
            "lifecycle": "production",
            "owner": "group:default/tide",
            "system": "system:default/shop",
        },
    }


def system() -> dict[str, Json]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "System",
        "metadata": {"name": "shop"},
        "spec": {"owner": "group:default/tide"},
    }


class Site:
    """A folder that Festers publish to, each with a store of its own."""

    def __init__(self, folder: Path, *, guard: Guard | None = None) -> None:
        self.folder, self.guard = folder, guard or Guard()
        self.stores = folder.with_name(f"{folder.name}-stores")
        self.stores.mkdir(exist_ok=True)
        self.store = fresh(self.stores, "first.db")
        self.now = NOON

    def lost_store(self) -> None:
        self.store = fresh(self.stores, "another.db")

    async def makes(
        self, *records: Record, source: str = CORP, folder: Path | None = None, **wish: Any
    ) -> Pass:
        """A pass of a process of its own, an hour after the one before."""
        self.now += timedelta(hours=1)
        store = await open_store(self.store)
        try:
            stages = Stages(
                ListScraper(records, name=source),
                ComponentTranslator(),
                BackstageProcessor(rules()),
                ShardRenderer(),
                [FolderExporter(folder or self.folder)],
                store,
                lambda: self.now,
                lists=(ServicesCsv(),),
                guard=self.guard,
            )
            passes = Passes(stages)
            return await passes.with_problems(await passes.run(PassOptions(**wish)))
        finally:
            await store.close()

    async def forget_mark(self) -> None:
        """As a store is that an older Fester wrote: nothing in it says whose it is."""
        store = await open_store(self.store)
        try:
            async with store._engine.begin() as connection:
                await connection.execute(text("UPDATE fester_sources SET identity = '', fence = 0"))
        finally:
            await store.close()

    async def saved(self) -> int:
        """How many passes the store knows."""
        store = await open_store(self.store)
        try:
            return await store.passes_saved(CORP)
        finally:
            await store.close()

    @property
    def files(self) -> Mapping[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith(".fester-")
        }

    @property
    def entities(self) -> list[Any]:
        """What the published files hold, with provenance."""
        files = self.files
        paths = json.loads(files["catalog.json"])["shards"]
        return [each for path in paths for each in json.loads(files[path])["entities"]]

    def projects_of(self, name: str) -> list[str]:
        """The projects that a component comes from."""
        (found,) = [e for e in self.entities if e["ref"] == f"component:default/{name}"]
        return [origin["project"] for origin in found["origins"]]

    @property
    def names(self) -> list[str]:
        refs = (each["ref"] for each in self.entities)
        return [ref.rpartition("/")[2] for ref in refs if ref.startswith("component:")]

    @property
    def mark(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / ".fester-owner").read_bytes())
        return found


def rules() -> MergeRules:
    return load_merge_rules(shipped_folder() / "merge.yaml")


def seven() -> list[Record]:
    return [read(number, f"s{number}") for number in range(1, 8)]


@pytest.mark.store
async def test_another_source_is_refused_until_it_takes_over(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.makes(*seven())
    before, theirs = dict(site.files), fresh(site.stores, "theirs.db")
    ours, site.store = site.store, theirs
    with pytest.raises(ConfigurationError, match=r"belongs to https://gitlab.test.*--take-over"):
        await site.makes(read(1, "other"), source="https://elsewhere.test")
    assert site.files == before
    taken = await site.makes(read(1, "other"), source="https://elsewhere.test", take_over=True)
    assert taken.report.outcome is Outcome.COMPLETE  # seven are too few for the guard
    assert site.names == ["other"]
    site.store = ours
    with pytest.raises(ConfigurationError, match=r"belongs to https://elsewhere.test"):
        await site.makes(*seven())


@pytest.mark.store
async def test_taking_over_removes_many_only_when_that_is_accepted_too(tmp_path: Path) -> None:
    site = Site(tmp_path, guard=Guard(at_least=2))
    await site.makes(*seven())
    site.lost_store()
    held = await site.makes(read(1, "other"), source="https://elsewhere.test", take_over=True)
    assert held.report.outcome is Outcome.INCOMPLETE
    assert len(site.names) == 8
    await site.makes(
        read(1, "other"),
        source="https://elsewhere.test",
        take_over=True,
        accept_removals=True,
    )
    assert site.names == ["other"]


@pytest.mark.store
async def test_an_emptied_source_is_never_complete_and_empties_nothing(tmp_path: Path) -> None:
    """Fewer than the guard's least: none left is none too few."""
    site = Site(tmp_path)
    await site.makes(read(1, "a"), read(2, "b"))
    report = (await site.makes()).report
    assert report.outcome.exit_code == 3
    assert {"no-projects", "removals-withheld"} <= {problem.rule for problem in report.problems}
    assert site.names == ["a", "b"]
    await site.makes(accept_removals=True)
    assert site.names == []


@pytest.mark.store
async def test_no_project_at_all_is_not_complete_at_the_first_pass(tmp_path: Path) -> None:
    report = (await Site(tmp_path).makes()).report
    assert report.outcome is Outcome.INCOMPLETE
    assert [problem.rule for problem in report.problems] == ["no-projects"]


@pytest.mark.store
async def test_a_lost_store_adopts_what_is_published_before_it_removes(tmp_path: Path) -> None:
    """Seven published; the store is gone; five projects cannot be read. The files stay as is."""
    site = Site(tmp_path)
    await site.makes(*seven())
    before = dict(site.files)
    lost = site.mark["store"]
    site.lost_store()
    gaps = [Gap("403", number, f"group/p{number}") for number in range(3, 8)]
    done = await site.makes(read(1, "s1"), read(2, "s2"), *gaps)
    assert done.report.outcome is Outcome.INCOMPLETE
    assert any(problem.rule == "adopted" for problem in done.report.problems)
    assert site.files == before
    assert site.mark["store"] not in ("", lost)
    # The next pass knows them as its own: read, they change; gone, they go.
    done = await site.makes(*(read(n, f"s{n}") for n in range(1, 6)), Gap("403", 6), read(7, "new"))
    assert site.names == ["new", "s1", "s2", "s3", "s4", "s5", "s6"]


@pytest.mark.store
async def test_the_dead_store_may_not_come_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.makes(*seven())
    old = site.store
    site.lost_store()
    await site.makes(*seven())
    site.store = old
    with pytest.raises(ConfigurationError, match="another store that reads"):
        await site.makes(read(1, "s1"))
    assert len(site.names) == 7


@pytest.mark.store
async def test_a_lost_store_knows_whose_claim_is_older(tmp_path: Path) -> None:
    """Project 9 had the name before project 2 did; by number alone, 2 would win."""
    site = Site(tmp_path)
    await site.makes(read(2, None), read(9, "cart"))
    site.lost_store()
    await site.makes(read(2, "cart"), Gap("500", 9, "group/p9"))
    assert site.projects_of("cart") == ["group/p9"]
    await site.makes(read(2, "cart"), read(9, "cart"))
    assert site.projects_of("cart") == ["group/p9"]


@pytest.mark.store
async def test_a_new_store_with_another_filter_is_stopped_by_the_guard(tmp_path: Path) -> None:
    """149 published, 30 seen: what lies at the destination counts."""
    site = Site(tmp_path)
    await site.makes(*(read(number, f"c{number}") for number in range(1, 150)))
    site.lost_store()
    report = (await site.makes(*(read(n, f"c{n}") for n in range(1, 31)))).report
    assert report.outcome.exit_code == 3
    assert any(problem.rule == "removals-withheld" for problem in report.problems)
    assert len(site.names) == 149


@pytest.mark.store
async def test_a_destination_that_was_left_alone_counts_for_the_guard_too(tmp_path: Path) -> None:
    """A catalog is published elsewhere for a while; then the old place again."""
    site = Site(tmp_path / "old")
    await site.makes(*(read(number, f"c{number}") for number in range(1, 50)))
    few = [read(number, f"c{number}") for number in range(1, 6)]
    await site.makes(*few, folder=tmp_path / "new", accept_removals=True)
    report = (await site.makes(*few)).report
    assert any(problem.rule == "removals-withheld" for problem in report.problems)
    assert len(site.names) == 49


@pytest.mark.store
async def test_withheld_removals_are_withheld_in_every_file(tmp_path: Path) -> None:
    site = Site(tmp_path, guard=Guard(at_least=2))
    await site.makes(*seven())
    lines = site.files["services.csv"].decode().splitlines()
    for _ in range(2):  # and in the pass after that, which knows their manifests no more
        report = (await site.makes(read(1, "s1"))).report
        assert any(problem.rule == "removals-withheld" for problem in report.problems)
        assert [
            each.split(",")[0] for each in site.files["services.csv"].decode().splitlines()
        ] == [each.split(",")[0] for each in lines]
    await site.makes(read(1, "s1"), accept_removals=True)
    assert len(site.files["services.csv"].splitlines()) == 2


@pytest.mark.store
async def test_an_unmarked_catalog_of_ours_is_adopted_and_marked(tmp_path: Path) -> None:
    """As the version before left it: no mark, no ages of claims, no id in the store."""
    site = Site(tmp_path)
    await site.makes(*seven())
    (tmp_path / ".fester-owner").unlink()
    await site.forget_mark()
    done = await site.makes(*seven())
    assert done.report.outcome is Outcome.COMPLETE
    assert site.mark["source"] == CORP


@pytest.mark.store
@pytest.mark.parametrize("body", ["", "# by hand\n", "# Written by Fester from manifests\n"])
async def test_an_unmarked_index_of_others_is_refused(tmp_path: Path, body: str) -> None:
    (tmp_path / "index.yaml").write_text(body)
    with pytest.raises(ConfigurationError, match="--take-over"):
        await Site(tmp_path).makes(*seven())
    assert (tmp_path / "index.yaml").read_text() == body
    await Site(tmp_path).makes(*seven(), take_over=True)
    assert len(Site(tmp_path).names) == 7


@pytest.mark.store
async def test_an_unmarked_catalog_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    """Without a mark and without a store: the entities' own addresses tell the source."""
    site = Site(tmp_path)
    await site.makes(*seven())
    (tmp_path / ".fester-owner").unlink()
    site.lost_store()
    with pytest.raises(ConfigurationError, match="nothing in it tells that it came"):
        await site.makes(read(1, "x"), source="https://gitlab.test.elsewhere")
    site.lost_store()
    assert "adopted" in await rules_of(site, read(1, "s1"), *(Gap("403", n) for n in range(2, 8)))
    assert len(site.names) == 7


async def rules_of(site: Site, *records: Record) -> set[str]:
    return {problem.rule for problem in (await site.makes(*records)).report.problems}


@pytest.mark.store
async def test_a_catalog_that_cannot_be_understood_is_never_taken_for_none(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.makes(*seven())
    index = site.files["index.yaml"]
    (tmp_path / "catalog.json").write_text('{"format": 1, "entities": [{}]}')
    site.lost_store()
    report = (await site.makes(read(1, "s1"))).report
    assert report.outcome is Outcome.FAILED
    assert "cannot be understood" in report.failure
    assert site.files["index.yaml"] == index


@pytest.mark.store
async def test_a_dry_run_adopts_and_marks_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.makes(*seven())
    before = site.mark
    site.lost_store()
    done = await site.makes(read(1, "s1"), *(Gap("403", n) for n in range(2, 8)), dry_run=True)
    assert sum(done.report.entities.values()) == 8  # the system, too
    assert site.mark == before
    assert await site.saved() == 0


@pytest.mark.store
async def test_a_store_from_a_backup_goes_on_above_what_is_published(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.makes(*seven())
    backup = shutil.copy(site.stores / "first.db", site.stores / "backup.db")
    await site.makes(*seven(), read(8, "s8"))
    fence = site.mark["fence"]
    site.store = f"sqlite:///{backup}"
    done = await site.makes(*seven(), Gap("500", 8, "group/p8"))
    assert sum(done.report.entities.values()) == 9
    assert isinstance(fence, int)
    assert int(str(site.mark["fence"])) > fence


OURS = Mark("a", "x", 5)


@pytest.mark.parametrize(
    ("found", "new", "refused", "adopts", "claims"),
    [
        (DestinationContent(), True, False, False, False),
        (DestinationContent(OURS, b"# Written by Fester"), False, False, False, False),
        (DestinationContent(OURS, b"# Written by Fester"), True, False, True, False),
        (DestinationContent(replace(OURS, fence=6), b""), False, False, True, True),
        (DestinationContent(replace(OURS, store="y"), b""), True, False, True, True),
        (DestinationContent(replace(OURS, store="y"), b""), False, True, False, False),
        (DestinationContent(replace(OURS, source="b"), b""), True, True, False, False),
        (DestinationContent(None, b"# Written by Fester"), False, False, True, True),
        (DestinationContent(None, b"by hand"), False, True, False, False),
    ],
)
def test_how_a_destination_stands(
    found: DestinationContent, new: bool, refused: bool, adopts: bool, claims: bool
) -> None:
    stand = standing(found, OURS, new=new, take_over=False, name="out")
    assert (bool(stand.refusal), stand.adopt, stand.claim) == (refused, adopts, claims)
    taken = standing(found, OURS, new=new, take_over=True, name="out")
    assert not taken.refusal


@pytest.mark.store
async def test_a_first_pass_that_ended_after_publishing_has_nothing_to_adopt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there is what the store knows: it counts once, and nobody takes it for gone."""
    site = Site(tmp_path)

    async def killed(model: SqlModel, source: str, edition: int, done: Concluded) -> int:
        raise StoreError("as if this process had been killed")

    with monkeypatch.context() as first:
        first.setattr(SqlModel, "conclude", killed)
        with pytest.raises(StoreError, match="killed"):
            await site.makes(*seven())
    assert (len(site.names), await site.saved()) == (7, 0)
    done = await site.makes(*seven()[:-1], read(7, "s7"), read(8, "s8"))
    assert done.report.outcome is Outcome.COMPLETE
    assert done.report.entities == {"Component": 8, "System": 1}
    assert {each.rule for each in done.report.problems} == {"dangling-ref"}  # the team is no entity
    assert len(site.names) == 8


def test_what_an_extension_says_is_adopted_for_no_project() -> None:
    """It says it anew with the next pass, and no project was ever there that could be left out."""
    body = {"apiVersion": "v1", "kind": "Domain", "metadata": {"name": "shop"}, "spec": {}}
    origin = Origin(0, "", "processor:domains", "", "processor:domains")
    made = CatalogEntity(Ref("domain", "default", "shop"), body, (origin,))
    assert adopt(Memory(), PublishedCatalog((made,), NOON), NOON) == Memory()
