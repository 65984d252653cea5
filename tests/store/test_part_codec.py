"""What one process read is what another one takes in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.model.entities import Draft
from bridge.model.manifests import Translation, Verdict
from bridge.model.problems import Problem
from bridge.model.reads import ReadFile, ReadKind, Reads
from bridge.model.runs import Artifact, Stage
from bridge.model.scrape import (
    Gap,
    ManifestFile,
    Observation,
    Project,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Unread,
)
from bridge.model.work import PartRead, RenderedShard
from bridge.store.codec import Undecodable, pack
from bridge.store.part_codec import decode_part, encode_part

PROJECT = Project(7, "g/p", "https://x/g/p", "main", topics=("a",), archived=True)
READS = Reads(
    {
        "a.md": ReadFile("a.md", ReadKind.FILE, "o1", 3, "abc"),
        "b": ReadFile("b", ReadKind.ABSENT, nearest="bb"),
        "*.yaml": ReadFile("*.yaml", ReadKind.GLOB, refused="cut", manifest=True, kept=True),
    }
)


def test_shards_that_were_rendered_come_back_as_they_were() -> None:
    files = (
        Artifact("entities/01.yaml", "a: ü\n".encode(), "application/yaml", Stage.ENTITIES),
        Artifact("provenance/01.json", b"{}", "application/json", Stage.DATA),
    )
    read = PartRead(shards=(RenderedShard("01", 2, files, ("definitions/a.yaml",)),))
    assert decode_part(encode_part(read)) == read


def test_everything_comes_back_as_it_was() -> None:
    files = (
        ManifestFile("qm.yaml", "oid", 4, "\ud800\0text", reads=READS),
        ManifestFile("other.yaml", "oid2", 9, None, "binary", kept=True),
        ManifestFile("third.yaml", "oid3", 9, "x", reads=Reads({"b": READS.files["b"]})),
    )
    at = datetime(2026, 1, 2, tzinfo=UTC)
    seen = Observation(7, at, {"a": [1, None]}, {"b": "why"}, "no", "catalog-info.yml")
    read = PartRead(
        (
            ProjectRead(PROJECT, files, seen, "tip", READS, "key"),
            ProjectRead(Project(8, "g/q")),
            ProjectSkipped(PROJECT, "archived"),
            ProjectGone(9, "404"),
            Gap("why", 10, "g/r"),
            Gap("a part of the list"),
        ),
        {
            "mark": Translation(
                Verdict.QUARANTINED,
                "mark",
                "m",
                (Draft({"kind": "X", "n": 1.5}, 2, 3),),
                problems=(Problem("broken", "rule"),),
            )
        },
        5,
    )
    assert decode_part(encode_part(read)) == read


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"records": [["x"]], "translations": {}, "requests": 0}',
        "nonsense",
        '{"records": [], "translations": {}, "requests": "many"}',
        '{"records": [["gone", "x", ""]], "translations": {}, "requests": 0}',
    ],
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(Undecodable):
        decode_part(pack(text))


def test_a_project_that_nobody_read_is_nothing_to_tell() -> None:
    with pytest.raises(TypeError):
        encode_part(PartRead((Unread(1),)))
