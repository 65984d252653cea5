"""What a further source is told of reading more, under its own ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.model.numbers import number_of
from bridge.model.reads import KnownReads, Wanted
from bridge.model.scrape import ManifestFile, Project
from bridge.scrapers.numbered import NumberedReads

EU, US = "eu", "us"
TOO_LARGE = 1 << 40


class Asked:
    """What reads stand in the catalog, by its numbers; and what it was asked."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    @property
    def usual(self) -> tuple[str, ...]:
        return ("docs",)

    async def known(self, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        self.numbers += ids
        there = {number_of(EU, 7): KnownReads("eu"), number_of(US, 7): KnownReads("us")}
        return {number: there[number] for number in ids if number in there}

    async def texts(self, project_id: int, oids: Sequence[str]) -> Mapping[str, str]:
        self.numbers.append(project_id)
        return {oid: f"{oid} of {project_id}" for oid in oids}

    def key(self, project: Project, files: Sequence[ManifestFile]) -> str:
        return f"{project.path} {len(files)}"

    def is_manifest(self, path: str) -> bool:
        return path.endswith("qm.yaml")

    def wanted(self, project: Project, files: Sequence[ManifestFile]) -> Wanted:
        return Wanted(texts=frozenset({project.path}), manifests=("*/qm.yaml",))


async def test_what_is_known_goes_by_the_sources_own_ids() -> None:
    asked = Asked()
    assert await NumberedReads(asked, EU).known([7, 8]) == {7: KnownReads("eu")}
    assert await NumberedReads(asked, US).known([7]) == {7: KnownReads("us")}
    assert asked.numbers == [number_of(EU, 7), number_of(EU, 8), number_of(US, 7)]


async def test_texts_are_those_of_the_projects_number() -> None:
    number = number_of(EU, 7)
    assert await NumberedReads(Asked(), EU).texts(7, ["a"]) == {"a": f"a of {number}"}


async def test_of_an_id_beyond_all_numbers_nothing_is_known() -> None:
    asked = Asked()
    reads = NumberedReads(asked, EU)
    assert await reads.known([TOO_LARGE, 7]) == {7: KnownReads("eu")}
    assert await reads.texts(TOO_LARGE, ["a"]) == {}
    assert asked.numbers == [number_of(EU, 7)]


def test_what_the_mappings_say_is_passed_on() -> None:
    reads, project = NumberedReads(Asked(), EU), Project(7, "shop/cart")
    assert reads.key(project, ()) == "shop/cart 0"
    assert reads.usual == ("docs",)
    assert reads.is_manifest("a/qm.yaml")
    assert not reads.is_manifest("a.yaml")
    wanted = Wanted(texts=frozenset({"shop/cart"}), manifests=("*/qm.yaml",))
    assert reads.wanted(project, ()) == wanted
