"""What a part of the store explains is what the whole would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.model.memory import Memory, PassRecord
from bridge.passes.explain import explain
from bridge.store import open_store
from bridge.wiring import stored_explanation as parts
from bridge.wiring.stored_explanation import stored_explanation

pytestmark = pytest.mark.real

ODD = ["nothing", "Vessel Trackr", "x", "", "a/b", "Übersicht", "https://x.example/kestrel/app"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a pass over the sample organization left behind."""
    folder = tmp_path_factory.mktemp("demo")
    made = CliRunner().invoke(main, ["demo", "--once", "--to", str(folder)])
    assert made.exit_code == 0, made.output
    return f"sqlite:///{folder}/.fester.db"


def everything_to_ask(memory: Memory, record: PassRecord) -> Iterator[str]:
    """Entities by reference, name, title and alias; projects by path, id, address and name."""
    yield from ODD
    for each in record.catalog.entities:
        metadata = each.body["metadata"]
        aliases = (metadata.get("annotations") or {}).get("fester.dev/aliases", "")
        yield from (str(each.ref), each.ref.name, metadata.get("title", ""), *aliases.split(","))
    for known in memory.projects.values():
        project = known.project
        yield from (project.path, str(project.id), project.web_url, project.name)


async def test_a_part_of_the_store_explains_as_the_whole(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await open_store(store)
    try:
        (source,) = await opened.sources()
        record, memory = await opened.latest(source), await opened.load(source)
        assert record is not None
        texts = list(dict.fromkeys(everything_to_ask(memory, record)))
        assert len(texts) > 500
        for text in texts[::3]:
            told = await stored_explanation(opened, source, text)
            assert told == explain(text, memory, record, source), text
        # Where too much may be meant, all of it is loaded.
        monkeypatch.setattr(parts, "MOST", 1)
        told = await stored_explanation(opened, source, "booking")
        assert told == explain("booking", memory, record, source)
    finally:
        await opened.close()
