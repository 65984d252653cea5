"""What Backstage's tech-insights asks, answered from Fester's facts and checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import make_app
from bridge.api.facts.checks import check_json, judged_json, markdown
from bridge.api.live import Live
from bridge.api.nothing import NoChecks
from bridge.api.parts import AppParts
from bridge.model.scores import CheckResult, CheckState, Evidence
from bridge.ox.facts.collecting import FactService
from tests.api.scored import scored
from tests.ox.books import SPEED, TESTED, Checks, book, reading, ref
from tests.ox.subjects import NOW

API = "/api/tech-insights"


@dataclass
class Site:
    client: Any
    book: FactService

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.client.get(path, **options) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.client.post(path, json=body) as response:
            return response.status, await response.json()


@asynccontextmanager
async def site(folder: Path, checks: bool = True) -> AsyncIterator[Site]:
    async with book(folder, "api", "shop", "new") as facts:
        await facts.record(
            [
                reading("api", tested=True, lines=10, words=["a"]),
                reading("shop", tested=False),
                reading("api", SPEED, NOW - timedelta(days=1), p99_ms=1.5),
                reading("api", SPEED, NOW, p99_ms=2.5),
            ]
        )
        found = Checks(facts, [TESTED]) if checks else NoChecks()
        app = make_app(Live(), AppParts(facts=facts, checks=found))
        async with TestClient(TestServer(app)) as client:
            yield Site(client, facts)


ENTITY = "entity=component:default/api"


@pytest.mark.real
@pytest.mark.parametrize(
    "ids", ["ids=shape&ids=speed", "ids[]=shape&ids[]=speed", "ids[0]=shape&ids[1]=speed"]
)
async def test_the_latest_facts_by_every_spelling_of_ids(tmp_path: Path, ids: str) -> None:
    async with site(tmp_path) as it:
        status, found = await it.get(f"{API}/facts/latest?{ENTITY}&{ids}")
    assert status == 200
    assert found["shape"] == {
        "id": "shape",
        "entity": {"namespace": "default", "kind": "component", "name": "api"},
        "timestamp": "2026-05-04T12:00:00.000Z",
        "version": "1.0.0",
        "facts": {"tested": True, "lines": 10, "words": ["a"]},
    }
    assert found["speed"]["facts"] == {"p99_ms": 2.5}


@pytest.mark.real
async def test_what_is_unknown_is_left_out_and_a_stranger_has_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        _, shop = await it.get(f"{API}/facts/latest?entity=Component:default/Shop&ids=shape")
        assert shop["shape"]["facts"] == {"tested": False}
        assert await it.get(f"{API}/facts/latest?entity=component:x/y&ids=shape") == (200, {})


@pytest.mark.real
@pytest.mark.parametrize("path", ["facts/latest", "facts/range"])
@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        (ENTITY, 422, "Failed to parse ids from request"),
        (f"{ENTITY}&ids=", 422, "Failed to parse ids from request"),
        ("ids=shape", 400, "entity=component:default/name"),
        ("entity=api&ids=shape", 400, "entity=component:default/name"),
    ],
)
async def test_a_request_that_makes_no_sense(
    tmp_path: Path, path: str, query: str, status: int, said: str
) -> None:
    async with site(tmp_path) as it:
        found, body = await it.get(f"{API}/{path}?{query}")
    assert found == status
    assert said in str(body)


@pytest.mark.real
async def test_a_range_is_oldest_first_and_its_dates_must_be_dates(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        query = f"{API}/facts/range?{ENTITY}&ids[]=speed&ids[]=shape&startDatetime="
        _, all_ = await it.get(
            f"{query}2026-05-01T00:00:00Z&endDatetime=2026-05-05T00:00:00%2B02:00"
        )
        _, some = await it.get(f"{query}2026-05-01&endDatetime=2026-05-03T13:00:00Z")
        wrong = await it.get(f"{query}soon&endDatetime=2026-05-03")
        missing = await it.get(f"{query}2026-05-01")
    assert [each["facts"]["p99_ms"] for each in all_["speed"]] == [1.5, 2.5]
    assert list(some) == ["speed"]
    assert (wrong[0], wrong[1]["field"]) == (422, "startDateTime")
    assert (missing[0], missing[1]["field"]) == (422, "endDateTime")


@pytest.mark.real
async def test_schemas_have_their_facts_flattened(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        _, both = await it.get(f"{API}/fact-schemas")
        _, one = await it.get(f"{API}/fact-schemas?ids[]=shape")
    assert [schema["id"] for schema in both] == ["speed", "shape"]
    assert both[0]["entityFilter"] is None
    assert one == [
        {
            "id": "shape",
            "version": "1.0.0",
            "entityFilter": {"kind": "component"},
            "tested": {"type": "boolean", "description": "It has tests"},
            "lines": {"type": "integer", "description": "Lines of code", "since": "1.0.0"},
            "words": {
                "type": "set",
                "description": "Words in it",
                "metadata": {"unit": "word"},
            },
        }
    ]


@pytest.mark.real
async def test_checks_are_defined_and_run_for_one_entity(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        _, checks = await it.get(f"{API}/checks")
        _, found = await it.post(f"{API}/checks/run/default/component/api", {})
        _, none = await it.post(f"{API}/checks/run/default/component/new", {"checks": ["tested"]})
        unknown = await it.post(f"{API}/checks/run/default/component/api", {"checks": ["x"]})
    assert [(c["id"], c["type"], c["factIds"]) for c in checks] == [
        ("tested", "json-rules-engine", ["shape"])
    ]
    (result,) = found
    assert result["result"] is True
    assert result["facts"] == {
        "tested": {"value": True, "type": "boolean", "description": "It has tests"}
    }
    assert result["check"]["id"] == "tested"
    assert none == []
    assert (unknown[0], unknown[1]["error"]["name"]) == (404, "NotFoundError")


@pytest.mark.real
async def test_a_result_says_what_to_do_or_what_was_seen(tmp_path: Path) -> None:
    """The stock frontend shows nothing but the name and the description, as Markdown."""
    async with site(tmp_path) as it:
        _, (good,) = await it.post(f"{API}/checks/run/default/component/api", {})
        _, (bad,) = await it.post(f"{API}/checks/run/default/component/shop", {})
    assert good["check"]["description"] == (
        "Somebody wrote tests. `shape.tested` is `true`, seen 04 May 2026"
    )
    assert bad["check"]["description"] == "Write a test"
    assert bad["check"]["metadata"]["howToFix"] == "Write a test"
    assert "howToFix" not in good["check"]["metadata"]


async def test_a_check_without_a_description_is_described_by_what_to_do() -> None:
    check = replace(TESTED, description="")
    assert check_json(check)["description"] == "Write a test"
    assert check_json(replace(check, how_to_fix=""))["description"] == "Has tests"
    result = CheckResult(ref("api"), "tested", CheckState.WARN, 4.0)
    assert judged_json(check, result)["description"] == "Passes with a warning. Write a test"


def test_what_a_stranger_wrote_is_no_markdown() -> None:
    """A fact's value and a reason may come from a manifest."""
    seen = Evidence("shape.words", "`[x](https://evil.example)<b>" + "y" * 200, NOW, "a test")
    result = CheckResult(ref("api"), "tested", CheckState.PASS, 4.0, evidence=(seen,))
    text = judged_json(TESTED, result)["description"]
    code = text.partition("is `")[2].partition("`")[0]
    assert code.startswith("\"'[x](https://evil.example)<b>")
    assert len(code) == 80
    assert markdown("see [x](https://e.example) `a_b[0]` <b>_\n# x") == (
        "see \\[x\\](https://e.example) `a_b[0]` \\<b\\>\\_ \\# x"
    )
    assert markdown("one ` alone") == "one ' alone"
    assert len(markdown("x" * 1_000)) == 300


@pytest.mark.real
async def test_one_check_stands_for_the_whole_score_and_names_what_is_not_known(
    tmp_path: Path,
) -> None:
    async with scored(tmp_path) as keeper:
        live = Live()
        live.public_url = "https://fester.example.com/"
        app = make_app(live, AppParts(checks=keeper, scored=keeper))
        async with TestClient(TestServer(app)) as client:

            async def run(name: str, body: Any) -> Any:
                path = f"{API}/checks/run/default/component/{name}"
                async with client.post(path, json=body) as response:
                    return await response.json()

            async with client.get(f"{API}/checks") as response:
                listed = await response.json()
            api, *others = await run("api", {})
            (dark,) = await run("dark", {})
            (web,) = await run("web", {"checks": ["fester-score"]})
            without = await run("api", {"checks": ["readme"]})
            assert await run("nobody", {}) == []
            async with client.post(f"{API}/checks/run", json={"entities": []}) as response:
                of_all = await response.json()  # each has the rubric's checks as facts
    assert [each["entity"].rpartition("/")[2] for each in of_all] == ["api", "dark", "web"]
    assert [each["id"] for each in listed][:2] == ["fester-score", "readme"]
    assert [each["check"]["id"] for each in without] == ["readme"]
    assert [each["check"]["id"] for each in others] == ["readme", "protected", "approvals"]
    assert (api["check"]["name"], api["result"]) == ("Score 70, starting", False)
    assert api["check"]["type"] == "json-rules-engine"
    assert (
        "70.0 of 100 points; the target is 80; 100% of what is asked is known."
        in (api["check"]["description"])
    )
    assert "Gates that fail: Protected." in api["check"]["description"]
    scorecard = "https://fester.example.com/scores/entity/component:default/api"
    assert api["check"]["links"] == [{"title": "Scorecard", "url": scorecard}]
    assert {name: fact["value"] for name, fact in api["facts"].items()} == {
        "score": 70.0,
        "level": "starting",
        "coverage": 1.0,
    }
    assert (dark["check"]["name"], dark["result"]) == (
        "Score: too little is known for one",
        False,
    )
    assert "Not known, so counted neither way:" in dark["check"]["description"]
    assert "\n- " in dark["check"]["description"]
    assert web["check"]["id"] == "fester-score"


@pytest.mark.real
async def test_checks_run_for_many_entities_or_for_all(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        parts = {"kind": "Component", "namespace": "default", "name": "shop"}
        _, some = await it.post(
            f"{API}/checks/run",
            {"entities": ["component:default/new", parts], "checks": ["tested"]},
        )
        _, all_ = await it.post(f"{API}/checks/run", {"entities": []})
        _, odd = await it.post(
            f"{API}/checks/run", {"entities": ["component:default/api"], "checks": ["x"]}
        )
    assert [(e["entity"], [r["result"] for r in e["results"]]) for e in some] == [
        ("component:default/new", []),
        ("component:default/shop", [False]),
    ]
    assert sorted(each["entity"] for each in all_) == [
        "component:default/api",
        "component:default/shop",
    ]
    assert odd[0]["error"]["name"] == "NotFoundError"
    assert odd[0]["results"] == []


@pytest.mark.real
@pytest.mark.parametrize(
    "body", [{}, {"entities": "x"}, {"entities": [7]}, {"entities": [], "checks": "a"}, [1]]
)
async def test_a_bulk_run_that_makes_no_sense(tmp_path: Path, body: Any) -> None:
    async with site(tmp_path) as it:
        status, answer = await it.post(f"{API}/checks/run", body)
        nonsense = await it.client.post(f"{API}/checks/run", data=b"[" * 100_000)
    assert (status, answer["error"]["name"]) == (400, "InputError")
    assert nonsense.status == 400


@pytest.mark.real
async def test_without_a_rubric_there_are_no_checks(tmp_path: Path) -> None:
    async with site(tmp_path, checks=False) as it:
        assert await it.get(f"{API}/checks") == (200, [])
        assert await it.post(f"{API}/checks/run/default/component/api", {}) == (200, [])


@pytest.mark.real
async def test_a_retriever_is_handed_over_once_and_then_304(tmp_path: Path) -> None:
    path = "/api/ox/fact-retrievers"
    async with site(tmp_path) as it:
        _, retrievers = await it.get(path)
        async with it.client.get(f"{path}/shape/facts") as response:
            tag, rows = response.headers["ETag"], await response.json()
        async with it.client.get(f"{path}/shape/facts", headers={"If-None-Match": tag}) as again:
            assert again.status == 304
        await it.book.record([reading("new", tested=True)])
        async with it.client.get(f"{path}/shape/facts", headers={"If-None-Match": tag}) as news:
            assert (news.status, len(await news.json())) == (200, 3)
        assert (await it.get(f"{path}/other/facts"))[0] == 404
    assert [each["id"] for each in retrievers] == ["shape", "speed"]
    assert retrievers[1]["schema"] == {
        "p99_ms": {"type": "float", "description": "The 99th percentile"}
    }
    assert rows[0] == {
        "entity": {"namespace": "default", "kind": "component", "name": "api"},
        "facts": {"tested": True, "lines": 10, "words": ["a"]},
        "timestamp": "2026-05-04T12:00:00.000Z",
    }


@pytest.mark.real
async def test_facts_are_pushed_or_refused_whole(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        good = {"entity": "component:default/new", "facts": {"tested": True}}
        body = {"retriever": "shape", "readings": [good]}
        assert await it.post("/api/ox/facts", body) == (200, {"recorded": 1})
        _, found = await it.get(f"{API}/facts/latest?entity=component:default/new&ids=shape")
        assert found["shape"]["facts"] == {"tested": True}
        status, refused = await it.post("/api/ox/facts", {**body, "retriever": "manifest"})
        assert (status, "registered are shape" in refused["error"]["message"]) == (422, True)
        for raw in (b"{", b"[" * 100_000, b"\xff"):
            assert (await it.client.post("/api/ox/facts", data=raw)).status == 400
