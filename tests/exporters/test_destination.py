"""A destination as a user writes it, and a folder that is not as it should be."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from bridge.errors import ConfigurationError, PublishError
from bridge.exporters import FolderExporter, destination
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from bridge.model.runs import Artifact
from tests.exporters.catalogs import catalog


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bucket_and_a_folder_are_told_apart() -> None:
    bucket = destination("gs://shop/catalogs/")
    assert isinstance(bucket, GcsExporter)
    assert (bucket.name, bucket.prefix) == ("gs://shop/catalogs/", "catalogs/")
    folder = destination("./out")
    assert isinstance(folder, FolderExporter)
    assert folder.folder == Path("out")


@pytest.mark.parametrize(
    "text", ["", " ", "s3://x/y", "file:///x", "gs:/shop", "https://x", "GS://x"]
)
def test_anything_else_is_refused_and_says_what_is_expected(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a folder or gs://bucket/prefix"):
        destination(text)


async def test_removals_do_not_follow_a_link_either(tmp_path: Path) -> None:
    """Nothing needs writing, yet the shards' folder leads elsewhere: nothing there is removed."""
    outside, folder = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (outside / "0.yaml").write_text("theirs")
    folder.mkdir()
    (folder / "entities").symlink_to(outside)
    with pytest.raises(PublishError, match="symbolic link"):
        await FolderExporter(folder).publish([])
    assert (outside / "0.yaml").read_text() == "theirs"


async def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".fester-lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError, match="fester-lock"):
        await FolderExporter(folder).publish(render_catalog(catalog(1)))
    assert not (tmp_path / "elsewhere").exists()


async def test_a_file_that_is_a_link_is_replaced_and_its_target_left(tmp_path: Path) -> None:
    target, folder = tmp_path / "theirs", tmp_path / "out"
    target.write_text("theirs")
    folder.mkdir()
    (folder / "index.yaml").symlink_to(target)
    await FolderExporter(folder).publish(render_catalog(catalog(1)))
    assert target.read_text() == "theirs"
    assert not (folder / "index.yaml").is_symlink()


async def test_leftovers_beside_other_processors_files_are_swept(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / ".fester-tmp-1").write_text("half")
    await FolderExporter(tmp_path).publish([Artifact("reports/a.csv", b"a", "text/csv")])
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["a.csv"]


async def test_a_disk_that_takes_no_more_leaves_the_old_catalog(tmp_path: Path) -> None:
    """A real write fails half way (a limit on file size); the old files stand, without a rest."""
    exporter = FolderExporter(tmp_path)
    await exporter.publish(render_catalog(catalog(1)))
    before = everything(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(PublishError, match="the disk has room"):
            await exporter.publish(render_catalog(catalog(90)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(tmp_path) == before  # no half-written file beside them either
