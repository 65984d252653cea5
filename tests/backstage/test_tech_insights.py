"""A real tech-insights-backend pulls our facts; what it answers and what we answer is the same."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from ruamel.yaml import YAML

from bridge.api.facts.checked_facts import CHECKED
from bridge.cli.backstage_checks import backstage_checks
from bridge.model.notices import DeliveryState, Notice, NoticeKind
from bridge.ox.notices.channels import BackstageChannel
from bridge.secret.live import Secret
from bridge.wiring.ox import rubric
from tests.backstage import insights, server
from tests.backstage.insights import Insights
from tests.backstage.installation import HERE, Installation
from tests.backstage.server import Backstage
from tests.backstage.test_tokens import user_token

pytestmark = [pytest.mark.backstage, pytest.mark.real]

RETRIEVERS = ("manifest", "catalog", "gitlab", "gitlab_rest", CHECKED)
GUIDE = (HERE.parents[1] / "bridge/docs/backstage.md").read_text("utf-8")
RUBRIC = rubric(None).rubric
RULES = tuple(check.id for check in RUBRIC.checks)
ENTITY = "component:default/booking-api"
STRANGER = "component:default/nobody"


def ask(url: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, headers={"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request, timeout=60) as answer:
            raw, status = answer.read(), answer.status
    except HTTPError as error:
        with error:
            raw, status = error.read(), error.code
    return status, json.loads(raw) if raw else None


class Pair:
    """Our answers and Backstage's, to the same questions."""

    def __init__(self, ours: Insights, backstage: Backstage) -> None:
        self.ours, self.backstage = ours, backstage

    def both(self, path: str, body: Any = None) -> tuple[tuple[int, Any], tuple[int, Any]]:
        theirs = f"{self.backstage.url}/api/tech-insights{path}"
        mine = ask(f"{self.ours.url}/api/tech-insights{path}", body)
        return mine, ask(theirs, body, self.backstage.token)

    def pull(self) -> None:
        """Have Backstage's retrievers fetch what is known now, and wait until it shows."""
        for name in RETRIEVERS:
            task = f"{self.backstage.url}/api/tech-insights/.backstage/scheduler/v1/tasks/{name}"
            self.backstage.eventually(
                lambda task=task: ask(f"{task}/trigger", {}, self.backstage.token)[0] < 300,  # type: ignore[misc]
                f"{name} is triggered",
            )
        self.backstage.eventually(self._caught_up, "Backstage holds our latest facts")

    def _caught_up(self) -> bool:
        return all(
            same(*(answer[1] for answer in self.both(latest(entity)))) for entity in self.entities()
        )

    def entities(self) -> list[str]:
        _, rows = ask(f"{self.ours.url}/api/ox/fact-retrievers/manifest/facts")
        refs = [row["entity"] for row in rows]
        return [f"{ref['kind']}:{ref['namespace']}/{ref['name']}" for ref in refs]

    def client(self, base: str | None, *calls: list[Any]) -> Any:
        """What the official client's calls give; without a base, where discovery leads them."""
        body = {"base": base, "calls": calls}
        return ask(f"{self.backstage.url}/api/asker/ask", body, self.backstage.token)[1]


def latest(entity: str) -> str:
    ids = "&".join(f"ids[{n}]={name}" for n, name in enumerate(RETRIEVERS))
    return f"/facts/latest?entity={entity}&{ids}"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def plain(tree: Any) -> Any:
    """The same with every timestamp as a moment: Backstage writes them in its own zone."""
    if isinstance(tree, dict):
        return {
            key: moment(value) if key == "timestamp" else plain(value)
            for key, value in tree.items()
        }
    return [plain(each) for each in tree] if isinstance(tree, list) else tree


def same(one: Any, other: Any) -> bool:
    return bool(plain(one) == plain(other))


@pytest.fixture(scope="module")
def pair(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("insights")
    port = server.free_port()
    with insights.running(Insights(folder, f"http://127.0.0.1:{port}")) as ours:
        config = app_config(ours)
        script = HERE / "insights.cjs"
        with server.started(installation, script, config, folder, {}, port=port) as backstage:
            made = Pair(ours, backstage)
            made.pull()
            yield made


def people_file(folder: Path) -> Path:
    """The guest, and a team that they belong to."""
    path = folder / "people.yaml"
    path.write_text(
        "apiVersion: backstage.io/v1alpha1\n"
        "kind: Group\n"
        "metadata: {name: owners}\n"
        "spec: {type: team, children: []}\n"
        "---\n"
        "apiVersion: backstage.io/v1alpha1\n"
        "kind: User\n"
        "metadata: {name: guest, namespace: development}\n"
        "spec: {memberOf: ['group:default/owners']}\n"
    )
    return path


def app_config(ours: Insights) -> Any:
    """Our lines of an app-config: where Fester is, how often to pull, the checks, the discovery."""

    def tree(port: int, token: str) -> dict[str, Any]:
        text = (HERE / "app-config.yaml").read_text("utf-8")
        text = text.replace("PORT", str(port)).replace("TOKEN", token)
        whole: dict[str, Any] = YAML(typ="safe").load(text)
        printed: dict[str, Any] = YAML(typ="safe").load(backstage_checks(RUBRIC))
        whole["fester"] = {"url": ours.url}
        people = {"type": "file", "target": str(people_file(ours.folder))}
        whole["catalog"]["locations"] = [{**people, "rules": [{"allow": ["Group", "User"]}]}]
        whole |= printed
        # The test says itself when they are pulled.
        cadences = {name: {"cadence": "0 0 1 1 *"} for name in RETRIEVERS}
        whole["techInsights"]["factRetrievers"] = cadences
        target = f"{ours.guarded}/api/{{{{pluginId}}}}"
        whole["discovery"] = {"endpoints": [{"target": target, "plugins": ["tech-insights"]}]}
        return whole

    return tree


def test_the_latest_facts_are_the_same(pair: Pair) -> None:
    assert len(pair.entities()) > 20
    for entity in [*pair.entities(), STRANGER]:
        (mine, mine_body), (theirs, their_body) = pair.both(latest(entity))
        assert (mine, plain(mine_body)) == (theirs, plain(their_body)), entity


@pytest.mark.parametrize(
    "path",
    [
        f"/facts/latest?entity={ENTITY}",
        f"/facts/latest?entity={ENTITY}&ids=",
        f"/facts/latest?entity={ENTITY}&ids=gitlab",
        f"/facts/latest?entity={ENTITY}&ids[]=gitlab&ids[]=nobody",
        f"/facts/latest?entity={ENTITY.upper()}&ids[]=manifest",
        f"/facts/range?entity={ENTITY}&startDatetime=2026-01-01&endDatetime=2027-01-01",
        f"/facts/range?entity={ENTITY}&ids=gitlab&startDatetime=x&endDatetime=2027-01-01",
        f"/facts/range?entity={ENTITY}&ids=gitlab&startDatetime=2026-01-01&endDatetime=y",
        f"/facts/range?entity={ENTITY}&ids=nobody&startDatetime=2026-01-01&endDatetime=2027-01-01",
        "/fact-schemas",
        "/fact-schemas?ids[]=gitlab&ids[]=manifest",
        "/fact-schemas?ids[]=nobody",
    ],
)
def test_questions_of_every_spelling_have_the_same_answer(pair: Pair, path: str) -> None:
    mine, theirs = pair.both(path)
    assert plain(list(mine)) == plain(list(theirs))


def test_the_checks_are_the_same_but_for_the_language_of_their_rules(pair: Pair) -> None:
    (_, mine), (_, theirs) = pair.both("/checks")
    defined = {check["id"]: without(check, *RULE) for check in mine if check["id"] in RULES}
    assert defined == {check["id"]: without(check, *RULE) for check in theirs}
    assert set(defined) == set(RULES)


# Ours is the rubric's own condition; theirs asks whether the one fact of the check is true.
RULE = ("rule", "factIds")


def without(tree: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if name not in keys}


# Of a check in a result: its rule is in our language, and its description says how it stands.
OURS = ("description", *RULE)


def test_what_both_judge_they_judge_alike(pair: Pair) -> None:
    """A check for another tier, or of which too little is known, is in neither's results."""
    judged = 0
    for entity in pair.entities():
        kind, _, rest = entity.partition(":")
        namespace, _, name = rest.partition("/")
        body = {"checks": list(RULES)}
        (_, mine), (_, theirs) = pair.both(f"/checks/run/{namespace}/{kind}/{name}", body)
        ours = {result["check"]["id"]: result for result in mine}
        others = {result["check"]["id"]: result for result in theirs}
        assert ours.keys() == others.keys(), entity
        for name, result in ours.items():
            assert result["result"] == others[name]["result"], (entity, name)
            (fact,) = others[name]["facts"].items()
            assert fact[0] == name
            assert fact[1]["value"] is result["result"]
            left, right = (
                {key: value for key, value in each["check"].items() if key not in OURS}
                for each in (result, others[name])
            )
            assert left == right
            said = result["check"]["description"]
            if result["result"]:
                assert " is `" in said, "what was seen"
            else:
                assert said != result["check"]["name"], "what to do"
            judged += 1
    assert judged > 200


def test_a_bulk_run_has_the_same_shape_and_an_unknown_check_the_same_error(pair: Pair) -> None:
    body = {"entities": [ENTITY, STRANGER], "checks": ["readme"]}
    (_, mine), (_, theirs) = pair.both("/checks/run", body)
    shape = [(each["entity"], [r["result"] for r in each["results"]]) for each in mine]
    assert shape == [(each["entity"], [r["result"] for r in each["results"]]) for each in theirs]
    assert shape[1] == (STRANGER, [])
    (_, mine), (_, theirs) = pair.both("/checks/run", {"entities": [], "checks": ["readme"]})
    assert {each["entity"] for each in mine} == {each["entity"] for each in theirs}
    (_, mine), (_, theirs) = pair.both("/checks/run", {"entities": [ENTITY], "checks": ["none"]})
    for answer in (mine, theirs):
        assert answer[0]["error"]["name"] == "NotFoundError"
        assert answer[0]["results"] == []
    (mine_status, _), (status, _) = pair.both(
        "/checks/run/default/component/booking-api", {"checks": ["none"]}
    )
    assert (mine_status, status) == (404, 404)


def test_history_is_the_same_after_something_changed(pair: Pair) -> None:
    begun = datetime.now(UTC) - timedelta(days=1)
    project = pair.ours.world.find("kestrel/booking/checkout/booking-api")
    assert project is not None
    project.facts.open_merge_requests += 5
    pair.ours.make_pass()
    pair.pull()
    start, end = (quote(at.isoformat()) for at in (begun, begun + timedelta(days=2)))
    query = f"ids[]=gitlab&startDatetime={start}&endDatetime={end}"
    (_, mine), (_, theirs) = pair.both(f"/facts/range?entity={ENTITY}&{query}")
    # A pull that finds nothing new makes Backstage keep the same reading once more.
    kept = {moment(each["timestamp"]): plain(each) for each in theirs["gitlab"]}
    assert [plain(each) for each in mine["gitlab"]] == [kept[at] for at in sorted(kept)]
    assert len({each["facts"]["open_merge_requests"] for each in mine["gitlab"]}) == 2


def test_the_official_client_gets_the_same_from_both(pair: Pair) -> None:
    compound = {"kind": "component", "namespace": "default", "name": "booking-api"}
    calls: list[list[Any]] = [
        ["getFacts", compound, list(RETRIEVERS)],
        ["getFactSchemas"],
        ["runChecks", compound, ["readme", "ci-configuration"]],
        ["runBulkChecks", [compound], [{"id": "readme"}]],
        ["getAllChecks"],
    ]
    mine = pair.client(pair.ours.url + "/api/tech-insights", *calls)
    theirs = pair.client(f"{pair.backstage.url}/api/tech-insights", *calls)
    assert plain(mine[:2]) == plain(theirs[:2])
    for ours, others in zip(mine[2:4], theirs[2:4], strict=True):
        for said in (ours, others):
            for result in results_in(said["value"]):
                assert result["check"].pop("description")
        results = [json.dumps(strip(each["value"]), sort_keys=True) for each in (ours, others)]
        assert results[0] == results[1]
    assert {check["id"] for check in mine[4]["value"]} > {
        check["id"] for check in theirs[4]["value"]
    }


def results_in(value: Any) -> list[Any]:
    """The results of a run, or of a run of many."""
    return [each for item in value for each in item.get("results", [item])]


def test_the_official_client_reads_the_whole_score_and_what_is_not_known(pair: Pair) -> None:
    """Checks that are not known are in no result; the one of the whole score names each."""
    base = pair.ours.url + "/api/tech-insights"
    compound = {"kind": "component", "namespace": "default", "name": "booking-api"}
    run, listed = pair.client(base, ["runChecks", compound], ["getAllChecks"])
    whole, *decided = run["value"]
    assert whole["check"]["id"] == "fester-score"
    assert whole["check"]["type"] == "json-rules-engine"
    assert "% of what is asked is known" in whole["check"]["description"]
    _, score = ask(f"{pair.ours.url}/api/ox/scores/booking-api")
    assert whole["facts"]["score"]["value"] == score["score"]
    assert whole["facts"]["level"]["value"] == score["level"]
    assert whole["result"] is score["onTarget"]
    unknown = [each for each in score["checks"] if each["state"] in ("unknown", "stale")]
    for each in unknown:
        assert f"- {each['title']}" in whole["check"]["description"]
    known = {each["check"] for each in score["checks"] if each["state"] in ("pass", "warn", "fail")}
    assert {each["check"]["id"] for each in decided} == known
    assert unknown, "else this proves nothing"
    names = {each["id"] for each in listed["value"]}
    assert names >= known | {"fester-score"} | {each["check"] for each in unknown}


def strip(tree: Any) -> Any:
    """Without rules and what they read; results by check, for theirs puts the passed ones first."""
    if isinstance(tree, dict):
        return {key: strip(value) for key, value in tree.items() if key not in (*RULE, "facts")}
    if isinstance(tree, list):
        return sorted((strip(each) for each in tree), key=json.dumps)
    return tree


def test_backstages_discovery_and_its_own_token_lead_to_us(pair: Pair) -> None:
    """A plugin asks tech-insights where discovery says, with its plugin token; others may not."""
    compound = {"kind": "component", "namespace": "default", "name": "booking-api"}
    calls: list[list[Any]] = [
        ["getAllChecks"],
        ["getFacts", compound, ["manifest"]],
        ["runChecks", compound, ["readme"]],
    ]
    found = pair.client(None, *calls)
    ours = pair.client(pair.ours.url + "/api/tech-insights", *calls)
    assert plain(found) == plain(ours)
    assert all("value" in answer for answer in found)
    assert len(found[0]["value"]) > len(RULES)  # those that only Fester has
    path = "/api/tech-insights/checks"
    assert ask(pair.ours.guarded + path)[0] == 401
    assert ask(pair.ours.guarded + path, token=pair.backstage.token)[0] == 401


def test_the_owner_sees_a_notice_and_sees_it_once(pair: Pair) -> None:
    """In the same backend; also when it was sent twice, as after a process that died."""
    notice = Notice("k", NoticeKind.GATE, "group:default/owners", "a gate broke", ENTITY, "", "/s")
    backstage = pair.backstage
    token = user_token(backstage)
    path = f"{backstage.url}/api/notifications/notifications"

    async def told() -> list[DeliveryState]:
        fester = "https://fester.example"
        channel = BackstageChannel(backstage.url, Secret(backstage.token), url=fester)
        nobody = replace(notice, team="group:default/nobody")
        wrong = BackstageChannel(backstage.url, Secret("not-the-token"))
        try:
            return [
                await channel.send(notice.team, [notice], "batch-1"),
                await channel.send(notice.team, [notice], "batch-1"),
                await channel.send(notice.team, [notice, notice], "batch-2"),
                await channel.send(nobody.team, [nobody], "batch-3"),
                await wrong.send(notice.team, [notice], "batch-4"),
            ]
        finally:
            await channel.close()
            await wrong.close()

    async def asked(token: str) -> str:
        channel = BackstageChannel(backstage.url, Secret(token))
        try:
            return await channel.refused()
        finally:
            await channel.close()

    backstage.eventually(lambda: backstage.entity("user:development/guest"), "the guest is there")
    assert asyncio.run(asked(backstage.token)) == ""
    assert "refuses the token (401)" in asyncio.run(asked("not-the-token"))
    assert ask(path, token=token)[1]["totalCount"] == 0, "asking sends nothing"
    sent, waiting = DeliveryState.SENT, DeliveryState.WAITING
    assert asyncio.run(told()) == [sent, sent, sent, DeliveryState.NOBODY, waiting]
    status, body = ask(path, token=token)
    assert status == 200
    shown = {each["payload"]["title"]: each["payload"] for each in body["notifications"]}
    assert body["totalCount"] == 2
    assert shown.keys() == {"a gate broke", "2 notices of Fester"}
    assert shown["a gate broke"]["severity"] == "high"
    assert shown["a gate broke"]["link"] == "https://fester.example/s"
    assert shown["2 notices of Fester"]["description"] == "a gate broke\na gate broke"


def test_the_guide_shows_the_modules_text() -> None:
    assert (HERE / "fester-facts.cjs").read_text("utf-8") in GUIDE


@pytest.mark.parametrize(
    ("refuses", "said"),
    [(True, "answered 401; is fester.token right?"), (False, "ECONNREFUSED")],
    ids=["refused", "away"],
)
def test_backstage_starts_without_a_fester_that_refuses_or_is_away(
    installation: Installation, tmp_path: Path, refuses: bool, said: str
) -> None:
    """And says in its log what is missing, and why."""
    with answering(401) as refusing:
        url = refusing if refuses else f"http://127.0.0.1:{server.free_port()}"

        def config(port: int, token: str) -> dict[str, Any]:
            text = (HERE / "app-config.yaml").read_text("utf-8")
            text = text.replace("PORT", str(port)).replace("TOKEN", token)
            tree: dict[str, Any] = YAML(typ="safe").load(text)
            return tree | {"fester": {"url": url}}

        script = HERE / "facts-only.cjs"
        with server.started(installation, script, config, tmp_path, {}) as backstage:
            answer = ask(f"{backstage.url}/api/tech-insights/fact-schemas", None, backstage.token)
            assert answer == (200, [])
            log = backstage.log.read_text("utf-8")
    assert "Fester's facts are missing until Backstage starts again" in log
    assert said in log


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers every GET with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}"
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()
