"""What a publish writes, keeps and removes, without any destination."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import PublishError
from bridge.exporters.plan import Plan, make_plan
from bridge.model.runs import Artifact, Stage
from tests.laws import examples

SHARDS = [f"entities/{bits}.yaml" for bits in ("all", "0", "1", "00", "01", "10", "110")]


def digest(body: bytes) -> str:
    return body.hex()


def shard(path: str, body: bytes = b"") -> Artifact:
    return Artifact(path, body, "application/yaml", Stage.ENTITIES)


def index(*paths: str) -> Artifact:
    return Artifact("index.yaml", " ".join(paths).encode(), "application/yaml", Stage.INDEX)


def plan(artifacts: list[Artifact], existing: dict[str, bytes]) -> Plan:
    digests = {path: digest(body) for path, body in existing.items()}
    return make_plan(artifacts, digests, digest, existing.get("index.yaml"))


def test_entities_come_first_then_the_index_then_data() -> None:
    artifacts = [Artifact("catalog.json", b"", "x"), index(), shard("entities/all.yaml")]
    paths = [artifact.path for artifact in plan(artifacts, {}).write]
    assert paths == ["entities/all.yaml", "index.yaml", "catalog.json"]


def test_without_an_index_nobody_holds_an_old_one() -> None:
    """Shards of a publish that never reached its index are nobody's: they go at once."""
    found = plan([shard("entities/0.yaml"), index("entities/0.yaml")], {"entities/1.yaml": b""})
    assert found.remove == ("entities/1.yaml",)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sets(st.sampled_from(SHARDS)), min_size=2, max_size=6), st.data())
def test_no_reader_of_this_index_or_the_last_misses_a_file(
    catalogs: list[set[str]], data: st.DataObject
) -> None:
    """Law: through any row of publishes, stopped after any step, both indexes' files are there."""
    held: dict[str, bytes] = {"README": b"theirs", "entities/notes.yaml": b"theirs"}
    for number, names in enumerate(catalogs):
        before = held.get("index.yaml", b"").decode().split()
        new = index(*sorted(names))
        found = plan([new, *(shard(name, bytes([number])) for name in names)], held)
        steps = len(found.write) + len(found.remove)
        stop = data.draw(st.integers(0, steps))
        for artifact in found.write[:stop]:
            held[artifact.path] = artifact.body
            assert set(held.get("index.yaml", b"").decode().split()) <= set(held)
        for path in found.remove[: max(0, stop - len(found.write))]:
            del held[path]
        assert set(before) <= set(held)
        assert set(held.get("index.yaml", b"").decode().split()) <= set(held)
    assert held["README"] == held["entities/notes.yaml"] == b"theirs"


@settings(max_examples=examples(40), deadline=None)
@given(st.sets(st.sampled_from(SHARDS)))
def test_three_publishes_of_the_same_leave_nothing_else(names: set[str]) -> None:
    """Law: what is stale does go, and then a publish is idle."""
    held = dict.fromkeys(SHARDS, b"old") | {"index.yaml": " ".join(SHARDS).encode()}
    artifacts = [index(*sorted(names)), *map(shard, names)]
    for _ in range(2):
        found = plan(artifacts, held)
        held |= {artifact.path: artifact.body for artifact in found.write}
        for path in found.remove:
            del held[path]
    assert set(held) == names | {"index.yaml"}
    assert plan(artifacts, held).idle


@pytest.mark.parametrize(
    "path", [".fester-lock", "entities/.fester-tmp-1", "a\0b", "a\n", "..", "/"]
)
def test_a_path_that_is_unsafe_or_fester_s_own_is_refused(path: str) -> None:
    with pytest.raises(PublishError, match="cannot be published"):
        plan([shard(path)], {})


def test_two_artifacts_of_one_path_are_refused() -> None:
    with pytest.raises(PublishError, match=r"same path 'services\.csv'"):
        plan([shard("services.csv"), shard("services.csv", b"x")], {})
