"""The official catalog client gets from Fester what it gets from a real Backstage."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.backstage import server
from tests.backstage.installation import HERE, Installation
from tests.backstage.questions import Ask, questions
from tests.backstage.server import Backstage
from tests.backstage.serving import KINDS, catalog_of, serving
from tests.backstage.village import village

pytestmark = [pytest.mark.real, pytest.mark.backstage]

# What may differ, and why. Everything else may not.
DIFFERENCES = {
    "uid": "random in Backstage, made from the reference in Fester; so is the order by uid",
    "etag": "a digest of the entity in both, over different bytes",
    "location id": "random in Backstage, made from the target in Fester",
    "cursor": "opaque; Fester's holds a digest, because another catalog's uids are others",
    "why a query is none": "Backstage prints what its schema library tried, Fester what to mend",
    "why a cursor is none": "the same, and Fester tells what to do",
    "wildcards": "`%` and `_` in a full text term are Backstage's database's, not its user's",
    "several orders": "Backstage repeats an entity for each value of a list; Fester gives it once",
    "why an entity is not valid": "each checks by its own rules; Fester lists all that are broken",
}
# The beginnings of the messages of "why a query is none" and "why a cursor is none".
_OTHER_WORDS = {
    "Invalid query: ": "why a query is none",
    "Invalid filter predicate: ": "why a query is none",
    "Malformed request body ": "why a query is none",
    "Malformed cursor": "why a cursor is none",
}


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    base: str
    token: str
    location: dict[str, Any]
    answers: dict[str, Any]
    refs: dict[str, str]  # uid → reference


@pytest.fixture(scope="module")
def sides(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        fester = stack.enter_context(serving(catalog_of(village())))
        host = fester.removeprefix("http://")
        backstage = stack.enter_context(
            server.running(
                installation,
                tmp_path_factory.mktemp("client"),
                targets=[],
                hosts=[host],
                environment={},
                kinds=KINDS,
            )
        )
        backstage.register(f"{fester}/catalog/index.yaml")
        mine = Backstage(fester, "", backstage.log)
        wanted = _relations(mine)
        backstage.eventually(lambda: _relations(backstage) == wanted, "all entities are stitched")
        yield _side(installation, backstage), _side(installation, mine)


def _relations(side: Backstage) -> dict[str, Any]:
    return {ref: entity["relations"] for ref, entity in side.entities().items()}


def _side(installation: Installation, there: Backstage) -> Side:
    (place,) = there.get("locations")
    refs = {entity["metadata"]["uid"]: ref for ref, entity in there.entities().items()}
    asks = list(questions(place["data"]))
    calls = {"base": f"{there.url}/api/catalog", "token": there.token or "none"}
    done = subprocess.run(
        [installation.node, HERE / "client.cjs"],
        cwd=installation.folder,
        env={"NODE_PATH": str(installation.folder / "node_modules")},
        input=json.dumps({**calls, "calls": [ask.as_json() for ask in asks]}),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    answers = dict(zip((ask.name for ask in asks), json.loads(done.stdout), strict=True))
    return Side(there.url, there.token, place["data"], answers, refs)


def _plain(side: Side, tree: Any) -> Any:
    """An answer without what may differ."""
    if isinstance(tree, dict):
        return {key: _plain_member(side, key, value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(side, item) for item in tree]
    return tree


def _plain_member(side: Side, key: str, value: Any) -> Any:
    if key == "uid":
        return side.refs[value]
    if key == "etag":
        return len(value)
    if key in ("nextCursor", "prevCursor"):
        return bool(value)
    if key == "id" and value == side.location["id"]:
        return "the location"
    return _plain(side, value)


def _sorted(tree: Any) -> Any:
    """An answer whose lists of entities are in no order."""
    if isinstance(tree, list):
        return sorted((_sorted(item) for item in tree), key=json.dumps)
    if isinstance(tree, dict):
        return {key: _sorted(value) for key, value in sorted(tree.items())}
    return tree


def _flattened(answer: Any) -> Any:
    """The entities of all pages, and the pages' sizes and links."""
    pages = answer["value"]
    items = {json.dumps(item, sort_keys=True) for page in pages for item in page["items"]}
    return {
        "items": sorted(items),  # which of them come twice, there and back, is chance
        "pages": [(len(page["items"]), page["totalItems"], page["pageInfo"]) for page in pages],
    }


NAMES = [ask.name for ask in questions({"id": "", "target": "", "entityRef": "location:x/y"})]


def test_every_question_has_a_name_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_are_the_same(sides: tuple[Side, Side], name: str) -> None:
    ask = next(each for each in questions(sides[0].location) if each.name == name)
    theirs, ours = (_comparable(ask, side) for side in sides)
    assert ours == theirs


def test_wildcards_are_found_by_backstage_alone(sides: tuple[Side, Side]) -> None:
    """What may differ does: else it would have to leave the list."""
    asked = "entities/by-query?fullTextFilterTerm={}&fullTextFilterFields=metadata.title&limit=0"
    theirs, ours = (
        [_get(side, asked.format(term))["totalItems"] for term in ("b_at+0", "%25at", "50%25")]
        for side in sides
    )
    assert ours == [0, 0, 1]
    assert all(count > found for count, found in zip(theirs[:2], ours, strict=False))
    assert theirs[2] == 1


def test_by_several_orders_an_entity_is_repeated_by_backstage_alone(
    sides: tuple[Side, Side],
) -> None:
    """The entities are the same, and so is their order but for what is repeated."""
    asked = (
        "entities?limit=1000&filter=metadata.tags&order=asc:metadata.tags&order=desc:metadata.name"
    )
    theirs, ours = ([entity["metadata"]["name"] for entity in _get(side, asked)] for side in sides)
    assert len(set(ours)) == len(ours) < len(theirs)
    assert list(dict.fromkeys(theirs)) == ours


def _get(side: Side, path: str) -> Any:
    return Backstage(side.base, side.token, Path()).get(path)


def _comparable(ask: Ask, side: Side) -> Any:
    answer = _plain(side, side.answers[ask.name])
    if "error" in answer:
        return {**answer["error"], "message": _reason(answer["error"]["message"])}
    if ask.method == "validateEntity":
        return answer["value"]["valid"]
    if ask.unordered:
        return _sorted(_flattened(answer) if ask.walk else answer)
    return answer


def _reason(message: str) -> str:
    for begin, reason in _OTHER_WORDS.items():
        if message.startswith(begin):
            return DIFFERENCES[reason]
    return message
