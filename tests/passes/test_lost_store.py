"""A store is lost while a project cannot be read: what was published of it stays, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bridge.model.runs import Outcome
from tests.exporters.gcs_server import Bucket, serving
from tests.passes.village import OPENAPI, Village, service, village

pytestmark = pytest.mark.real

URL = "gs://shop/catalog"
Files = Callable[[Village], Mapping[str, bytes]]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with serving(Bucket()) as served:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", served.host)
        yield served


def in_the_folder(it: Village) -> dict[str, bytes]:
    """All that is published but the mark, which tells the store."""
    files = (path for path in it.out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(it.out)): path.read_bytes()
        for path in files
        if not path.name.startswith(".fester-")
    }


async def lost(it: Village, files: Files) -> None:
    """Publish, lose the store while one project cannot be read, and find it again."""
    cart = it.world.add_project(
        "shop/cart", files={"qm.yaml": service("cart", "api.yaml"), "api.yaml": OPENAPI}
    )
    it.world.add_project(
        "shop/bill", files={"qm.yaml": service("bill", "b.json"), "b.json": '{"openapi": "3.1.0"}'}
    )
    await it.sweep()
    before = files(it)
    assert sorted(path.rpartition(".")[2] for path in before if "definitions/" in path) == [
        "json",
        "yaml",
    ]
    await it.lose_store()
    cart.repository = "forbidden"
    done = await it.sweep()
    assert done.report.outcome is Outcome.INCOMPLETE
    assert files(it) == before
    # From now on it is known as if it had been read; and when it is read, nothing changes.
    it.restart()
    await it.sweep()
    assert files(it) == before
    cart.repository = "ok"
    assert (await it.sweep()).report.outcome is Outcome.COMPLETE
    assert files(it) == before


async def test_a_definition_in_a_folder_is_taken_over_with_its_api(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        await lost(it, in_the_folder)
        # What is no more goes, adopted or not.
        it.world.commit_file(1, "qm.yaml", service("cart"))
        it.world.delete_file(2, "qm.yaml")
        await it.sweep()
        assert it.definitions() == []


async def test_a_definition_in_a_bucket_is_taken_over_with_its_api(
    tmp_path: Path, bucket: Bucket
) -> None:
    def files(it: Village) -> dict[str, bytes]:
        return {k: v.body for k, v in bucket.objects.items() if ".fester-" not in k}

    async with village(tmp_path, to=URL) as it:
        await lost(it, files)


async def test_a_definition_that_somebody_changed_there_is_not_taken_over(tmp_path: Path) -> None:
    async with village(tmp_path) as it:
        cart = it.world.add_project(
            "shop/cart", files={"qm.yaml": service("cart", "api.yaml"), "api.yaml": OPENAPI}
        )
        await it.sweep()
        (name,) = it.definitions()
        (it.out / "definitions" / name).write_text("openapi: evil\n")
        await it.lose_store()
        cart.repository = "forbidden"
        done = await it.sweep()
        (told,) = [each for each in done.report.problems if each.rule == "definition-changed"]
        assert f"definitions/{name}" in told.message
        said = it.entities()["API:cart-api"]["spec"]["definition"]
        assert (
            said == "The definition of this API is read again with the next sweep of its project."
        )
        cart.repository = "ok"
        await it.sweep()
        assert it.definition("cart-api") == OPENAPI
