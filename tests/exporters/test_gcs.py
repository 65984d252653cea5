"""Publishing to Cloud Storage, over real HTTP on loopback, against our own look-alike server.

The PyPI emulator (see `test_gcs_emulator.py`) ignores generation preconditions, so everything about
two publishers is proven here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.errors import ConfigurationError, DestinationTaken, PublishConflict, PublishError
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from bridge.model.destinations import Fence, Mark
from bridge.model.runs import Artifact, Stage
from bridge.testing import exporter_conforms
from tests.exporters.catalogs import catalog
from tests.exporters.gcs_server import Bucket, Fault, serving

URL = "gs://shop/catalogs/main"
FILES = {"entities/all.yaml", "provenance/all.json", "index.yaml", "catalog.json"}
PREFIX = "catalogs/main/"
LEASE = f"{PREFIX}.fester-lease"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with serving(Bucket()) as served:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", served.host)
        yield served


def exporter(patience: float = 5.0, lease_seconds: float = 120.0) -> GcsExporter:
    return GcsExporter(URL, patience, lease_seconds, workers=4)


async def publish(count: int, made: GcsExporter | None = None, **changed: str) -> tuple[int, ...]:
    """(written, kept, removed) of publishing a catalog of this size."""
    made = made or exporter()
    try:
        receipt = await made.publish(render_catalog(catalog(count, **changed)))
    finally:
        await made.close()
    return receipt.written, receipt.kept, receipt.removed


def named(bucket: Bucket) -> set[str]:
    """The shards that the published index names."""
    index = bucket.objects.get(f"{PREFIX}index.yaml")
    text = index.body.decode() if index else ""
    return {f"{PREFIX}{path}" for path in re.findall(r"entities/\w+\.yaml", text)}


def watch_what_readers_see(bucket: Bucket) -> list[set[str]]:
    """Collects, after every change, what the index names and is not there."""
    missing: list[set[str]] = []
    bucket.after_change = lambda: missing.append(named(bucket) - set(bucket.objects))
    return missing


def meddle(bucket: Bucket, when: str, name: str) -> None:
    """Somebody without a lease writes object `name` just before a request that matches `when`."""

    def write(line: str) -> None:
        if re.search(when, line):
            bucket.put(name, b"theirs")

    bucket.before = write


@pytest.mark.real
async def test_it_conforms(bucket: Bucket) -> None:
    async def read() -> Mapping[str, bytes]:
        return bucket.read(PREFIX)

    await exporter_conforms(exporter, read)


@pytest.mark.real
async def test_a_first_publish_then_nothing_then_one_shard(bucket: Bucket) -> None:
    artifacts = render_catalog(catalog(300))
    assert await publish(300) == (len(artifacts), 0, 0)
    assert bucket.read(PREFIX) == {artifact.path: artifact.body for artifact in artifacts}
    bucket.requests.clear()
    assert await publish(300) == (0, len(artifacts), 0)
    assert bucket.writes() == []
    assert await publish(300, c7="other") == (2, len(artifacts) - 2, 0)


@pytest.mark.real
async def test_objects_have_their_type_and_are_never_cached(bucket: Bucket) -> None:
    await publish(1)
    index = bucket.objects[f"{PREFIX}index.yaml"]
    assert index.content_type == "application/yaml; charset=utf-8"
    assert {stored.cache_control for stored in bucket.objects.values()} == {"no-cache"}


@pytest.mark.real
async def test_a_dry_run_only_looks(bucket: Bucket) -> None:
    receipt = await exporter().publish(render_catalog(catalog(3)), dry_run=True)
    assert receipt.written == 4
    assert bucket.writes() == []


@pytest.mark.real
async def test_a_listing_of_many_pages_is_read_whole(bucket: Bucket) -> None:
    bucket.page_size = 2
    await publish(500)
    bucket.requests.clear()
    assert (await publish(500))[0] == 0
    assert any("pageToken" in line for line in bucket.requests)


@pytest.mark.real
async def test_a_catalog_of_more_than_8_mb_is_sent_resumably(bucket: Bucket) -> None:
    big = Artifact("catalog.json", b"x" * (8 * 1024 * 1024 + 1), "application/json")
    await exporter().publish([big])
    assert bucket.read(PREFIX) == {"catalog.json": big.body}
    bucket.requests.clear()
    assert (await exporter().publish([big])).written == 0


@pytest.mark.real
async def test_readers_of_old_and_new_index_find_their_files(bucket: Bucket) -> None:
    """At no instant does the index name what is not there; removals wait for a second publish."""
    missing = watch_what_readers_see(bucket)
    await publish(300)
    old = named(bucket)
    assert (await publish(3))[2] == 0
    assert old <= set(bucket.objects)
    assert (await publish(3))[2] == 2 * len(old)  # and the same ones for programs
    await publish(500)
    assert missing
    assert set().union(*missing) == set()


@pytest.mark.real
async def test_strangers_objects_stay(bucket: Bucket) -> None:
    theirs = {"other/entities/0.yaml", f"{PREFIX}entities/notes.yaml", f"{PREFIX}README", PREFIX}
    for name in theirs:
        bucket.put(name, b"theirs")
    await publish(300)
    await publish(3)
    await publish(3)
    assert {name for name, stored in bucket.objects.items() if stored.body == b"theirs"} == theirs


@pytest.mark.real
async def test_an_object_changed_meanwhile_is_a_conflict_and_is_not_overwritten(
    bucket: Bucket,
) -> None:
    """The stale precondition: a writer that knows no leases acts between listing and upload."""
    await publish(1)
    meddle(bucket, "name=.*all.yaml", f"{PREFIX}entities/all.yaml")
    index = bucket.objects[f"{PREFIX}index.yaml"]
    with pytest.raises(PublishConflict, match=r"entities/all\.yaml was changed by somebody else"):
        await publish(2)
    assert bucket.read(PREFIX)["entities/all.yaml"] == b"theirs"
    assert bucket.objects[f"{PREFIX}index.yaml"] is index
    assert LEASE not in bucket.objects


@pytest.mark.real
async def test_an_index_changed_meanwhile_is_a_conflict(bucket: Bucket) -> None:
    meddle(bucket, "name=.*index.yaml", f"{PREFIX}index.yaml")
    with pytest.raises(PublishConflict, match=r"index\.yaml"):
        await publish(2)
    assert bucket.read(PREFIX)["index.yaml"] == b"theirs"


@pytest.mark.real
async def test_two_publishers_at_once_leave_one_whole_catalog(bucket: Bucket) -> None:
    """Both are complete or refused; what lies there is one's catalog, never a mixture."""
    await publish(400)
    results = await asyncio.gather(
        *(publish(400, c1=team, c2=team, c3=team) for team in ("red", "blue", "green")),
        return_exceptions=True,
    )
    assert all(isinstance(result, tuple | PublishConflict) for result in results)
    assert any(isinstance(result, tuple) for result in results)
    candidates = [
        {artifact.path: artifact.body for artifact in render_catalog(one)}
        for one in (catalog(400, c1=t, c2=t, c3=t) for t in ("red", "blue", "green"))
    ]
    assert bucket.read(PREFIX) in candidates


@pytest.mark.real
async def test_what_changed_before_the_lease_was_taken_is_seen_under_it(bucket: Bucket) -> None:
    """Another publisher finishes between our first look and our lease: ours goes on top, whole."""
    await publish(400)

    def finish_another_publish(line: str) -> None:
        if "uploadType" in line and LEASE in line:
            bucket.before = lambda line: None
            for artifact in render_catalog(catalog(400, c1="red", c2="red", c3="red")):
                if bucket.read(PREFIX).get(artifact.path) != artifact.body:
                    bucket.put(f"{PREFIX}{artifact.path}", artifact.body)

    bucket.before = finish_another_publish
    await publish(400, c1="blue")
    ours = {artifact.path: artifact.body for artifact in render_catalog(catalog(400, c1="blue"))}
    assert bucket.read(PREFIX) == ours


@pytest.mark.real
async def test_a_publisher_at_work_keeps_others_out_until_its_lease_ends(bucket: Bucket) -> None:
    bucket.put(LEASE, b"somebody")
    with pytest.raises(PublishConflict, match=r"its claim ends at \d\d:\d\d:\d\d UTC"):
        await publish(1)
    assert bucket.read(PREFIX) == {".fester-lease": b"somebody"}
    assert (await publish(1, exporter(lease_seconds=0.0)))[0] == 4
    assert LEASE not in bucket.objects


@pytest.mark.real
@pytest.mark.parametrize("minutes", [-130, 130])
async def test_a_claim_is_judged_by_the_buckets_clock_alone(bucket: Bucket, minutes: int) -> None:
    """A host two hours ahead of the bucket, or behind it: a live claim is live, a dead one dead."""
    bucket.clock = lambda: datetime.now(UTC) + timedelta(minutes=minutes)
    bucket.put(LEASE, b'{"holder": "a:1", "seconds": 60}')
    with pytest.raises(PublishConflict, match=r"another Fester \(a:1\)") as refused:
        await publish(1)
    assert 55 < refused.value.free_in <= 62
    bucket.clock = lambda: datetime.now(UTC) + timedelta(minutes=minutes, seconds=62)
    assert (await publish(1))[0] == 4


@pytest.mark.real
async def test_a_claim_that_was_never_given_back_makes_every_generation_anew(
    bucket: Bucket,
) -> None:
    """Whatever its holder still sends names a generation that is gone."""
    await publish(300)
    await publish(3)
    before = {name: stored.generation for name, stored in bucket.objects.items()}
    bodies = bucket.read(PREFIX)
    bucket.put(LEASE, b'{"holder": "a:1", "seconds": 0}')
    assert await publish(3) == (0, 4, 8)
    for name in set(bucket.objects):
        assert bucket.objects[name].generation != before[name]
        assert bucket.objects[name].body == bodies[name.removeprefix(PREFIX)]


@pytest.mark.real
async def test_another_sources_bucket_is_refused(bucket: Bucket) -> None:
    """And two Festers may share a bucket below different prefixes."""

    def fence(source: str, store: str, number: int) -> Fence:
        async def draw() -> Mark:
            return Mark(source, store, number)

        return draw

    one, other = exporter(), GcsExporter("gs://shop/catalogs/other")
    files = render_catalog(catalog(3))
    index = next(each for each in files if each.path == "index.yaml")
    assert (await one.publish(files, fence=fence("a", "s", 5))).written == 4
    assert (await other.publish(files, fence=fence("b", "t", 1))).written == 4
    newer = render_catalog(catalog(4))
    with pytest.raises(DestinationTaken, match=r"belongs to a.*--take-over"):
        await one.publish(newer, fence=fence("b", "t", 9))
    with pytest.raises(DestinationTaken, match="another store"):
        await one.publish(newer, fence=fence("a", "t", 9))
    with pytest.raises(PublishConflict, match="a newer pass"):
        await one.publish(newer, fence=fence("a", "s", 4))
    assert bucket.read(PREFIX)["index.yaml"] == index.body
    found = await one.found()
    assert found.mark == Mark("a", "s", 5)
    assert found.index == index.body
    lies = await one.catalog()
    assert lies is not None
    assert [entity.ref for entity in lies.entities] == [e.ref for e in catalog(3).entities]
    with pytest.raises(PublishConflict, match="same time"):
        await one.claim(Mark("b", "t", 9), over=None)
    await one.claim(Mark("b", "t", 9), over=Mark("a", "s", 5))
    assert (await one.publish(newer, fence=fence("b", "t", 10))).written == 2
    await one.close()
    await other.close()


@pytest.mark.real
async def test_a_publisher_whose_lease_was_taken_over_stops_before_the_index(
    bucket: Bucket,
) -> None:
    meddle(bucket, "name=.*entities", LEASE)
    with pytest.raises(PublishConflict):
        await publish(1, exporter(lease_seconds=0.0))
    assert f"{PREFIX}index.yaml" not in bucket.objects
    assert bucket.objects[LEASE].body == b"theirs"


@pytest.mark.real
@pytest.mark.parametrize("kind", [503, 429, "reset", "lost"])
async def test_a_fault_that_passes_is_retried(bucket: Bucket, kind: int | str) -> None:
    """ "lost": the work is done but the answer is lost, so the retry meets 412, or 404."""
    fast = exporter(patience=1.0)
    await publish(300, fast)
    await publish(1, fast)
    bucket.faults = [
        Fault("GET.*/o[?]", kind),
        Fault("name=.*/entities/all", kind),
        Fault("name=.*/index", kind),
        Fault("DELETE.*/entities", kind),
    ]
    assert (await publish(2, fast))[0] == 2
    assert set(bucket.read(PREFIX)) == FILES


@pytest.mark.real
@pytest.mark.parametrize("kind", [503, "reset", "stall"])
async def test_a_fault_that_stays_ends_within_the_patience(bucket: Bucket, kind: int | str) -> None:
    bucket.faults = [Fault(".", kind, times=10**6)]
    with pytest.raises(PublishError, match="did not answer as it should"):
        await publish(1, exporter(patience=0.3))


@pytest.mark.real
async def test_a_crash_between_the_stages_leaves_the_old_catalog_whole(bucket: Bucket) -> None:
    """The connection dies at each stage of growth and of shrinking; readers find all that is named.

    The publisher that died cannot give its claim back, and the next one takes it over.
    """
    await publish(90)
    missing = watch_what_readers_see(bucket)
    crashes = [(250, "entities/10"), (250, "index"), (250, "catalog")]
    crashes += [(90, "entities/all"), (90, "index"), (90, "catalog"), (90, "DELETE.*entities")]
    for number, (size, point) in enumerate(crashes):
        bucket.faults = [Fault(f"{point}|DELETE.*lease", "reset", times=10**6)]
        with pytest.raises(PublishError, match="did not answer"):
            await publish(size, exporter(0.2, 0.0), c1=f"team{number}")
    bucket.faults = []
    assert (await publish(90, exporter(lease_seconds=0.0)))[0] > 0
    assert set(bucket.read(PREFIX)) == FILES
    assert missing
    assert set().union(*missing) == set()


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "said"),
    [(403, r"bucket shop.*roles/storage\.objectUser"), (401, "credentials"), (400, "400")],
)
async def test_a_refusal_says_what_is_needed(bucket: Bucket, kind: int, said: str) -> None:
    bucket.faults = [Fault(".", kind, times=10)]
    with pytest.raises(PublishError, match=said):
        await publish(1)


@pytest.mark.real
async def test_a_bucket_that_is_not_there_is_named(bucket: Bucket) -> None:
    with pytest.raises(PublishError, match="bucket nowhere does not exist"):
        await GcsExporter("gs://nowhere").publish(render_catalog(catalog(1)))


async def test_without_credentials_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No request is made: the credentials' file that is named does not exist."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(PublishError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        await publish(1)


@pytest.mark.parametrize(
    "url",
    [
        "gs://",
        "gs://a",
        "gs://Shop/x",
        "gs://shop/a b",
        "gs://shop/../x",
        "gs://shop/a//b",
        "s3://x",
    ],
)
def test_a_url_that_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="gs://bucket"):
        GcsExporter(url)


@pytest.mark.real
async def test_a_bucket_without_a_prefix_works_too(bucket: Bucket) -> None:
    made = GcsExporter("gs://shop")
    index = Artifact("index.yaml", b"a: 1\n", "application/yaml", Stage.INDEX)
    assert (await made.publish([index])).written == 1
    assert bucket.read() == {"index.yaml": b"a: 1\n"}


@pytest.mark.real
async def test_what_is_amended_costs_what_changed_and_not_what_is_there(bucket: Bucket) -> None:
    """No listing, and as many requests in a bucket of a thousand files as in one of four."""

    async def amended(count: int) -> tuple[int, list[str]]:
        bucket.objects.clear()
        made = exporter()
        await publish(count, made)
        for number in range(count):
            bucket.put(f"{PREFIX}entities/foreign-{number}.txt", b"somebody's")
        before = {artifact.path: artifact for artifact in render_catalog(catalog(count))}
        changed = [
            artifact
            for artifact in render_catalog(catalog(count, c7="other"))
            if artifact.body != before[artifact.path].body
        ]
        bucket.requests.clear()
        assert await made.amend(changed, dry_run=True) == len(changed)
        assert bucket.writes() == []
        assert await made.amend(changed) == len(changed)
        lines = list(bucket.requests)
        assert LEASE not in bucket.objects
        for artifact in changed:
            assert bucket.read(PREFIX)[artifact.path] == artifact.body
        assert await made.amend(changed) == 0
        await made.close()
        return len(changed), lines

    (few, small), (many, large) = await amended(8), await amended(300)
    assert few == many == 2
    assert len(small) == len(large)
    assert not [line for line in (*small, *large) if "prefix=" in line]


@pytest.mark.real
async def test_a_claim_never_given_back_makes_every_generation_anew_when_amending_too(
    bucket: Bucket,
) -> None:
    made = exporter()
    await made.publish(render_catalog(catalog(8)))
    before = {name: stored.generation for name, stored in bucket.objects.items()}
    bucket.put(LEASE, b'{"holder": "a:1", "seconds": 0}')
    changed = [
        artifact
        for artifact in render_catalog(catalog(8, c7="other"))
        if artifact.path == "entities/all.yaml"
    ]
    assert await made.amend(changed) == 1
    await made.close()
    assert {name: s.generation for name, s in bucket.objects.items() if name in before}.keys() == (
        before.keys()
    )
    assert all(bucket.objects[name].generation != before[name] for name in before)


@pytest.mark.real
async def test_an_older_pass_amends_nothing(bucket: Bucket) -> None:
    async def fence() -> Mark:
        return Mark("a", "s", 5)

    async def late() -> Mark:
        return Mark("a", "s", 4)

    made = exporter()
    await made.publish(render_catalog(catalog(3)), fence=fence)
    bodies = bucket.read(PREFIX)
    changed = [e for e in render_catalog(catalog(4)) if e.path == "entities/all.yaml"]
    with pytest.raises(PublishConflict, match="a newer pass"):
        await made.amend(changed, fence=late)
    await made.close()
    assert bucket.read(PREFIX) == bodies
