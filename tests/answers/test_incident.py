"""The answer about one service: its parts, their age, and that every face says the same."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.answers.dependencies import HOPS, MOST
from bridge.answers.faces import as_json, as_slack, as_text
from bridge.answers.incident import IncidentAnswer, answer
from bridge.answers.lately import Lately
from bridge.answers.wording import in_words
from bridge.model.entities import Ref
from bridge.model.entity_changes import ChangedManifest, ChangeKind, EntityChange, FieldChange
from tests.answers.fleet import CART, FLEET, entity, known, reading, service
from tests.fakes import NOON

REF = Ref.parse(CART)
FACTS = {
    REF: {
        "pagerduty": reading("pagerduty", NOON - timedelta(hours=3), on_call=["Ann", "Bo"]),
        "gitlab": reading(
            "gitlab",
            NOON - timedelta(minutes=5),
            pipeline_status="failed",
            last_release="v2.1",
            last_release_at=(NOON - timedelta(days=2)).isoformat(),
        ),
        "snyk": reading("snyk", NOON, issues_by_severity={"critical": 2, "low": 0}),
    }
}


def asked(text: str, *entities: Any, facts: Any = None) -> IncidentAnswer:
    return answer(text, known(*(entities or FLEET), facts=facts), NOON)


def test_who_is_hit_comes_by_tier_then_by_distance_and_circles_end() -> None:
    incident = asked("cart").incident
    assert incident is not None
    hit = [
        (each.ref.rpartition("/")[2], each.tier, each.hops) for each in incident.needed_by.reached
    ]
    assert hit == [("mail", 1, 2), ("stock", 2, 1), ("web", 3, 1)]
    needs = [(each.ref.rpartition("/")[2], each.known) for each in incident.needs.reached]
    assert needs == [("stock", True), ("gone", False)]
    assert not incident.needed_by.cut


def test_a_walk_is_bounded_in_depth_and_number() -> None:
    chain = [service(f"s{n}", needs=(f"s{n - 1}",) if n else ()) for n in range(HOPS + 3)]
    incident = asked("s0", *chain).incident
    assert incident is not None
    assert (len(incident.needed_by.reached), incident.needed_by.cut) == (HOPS, True)
    crowd = [service("hub"), *(service(f"c{n}", needs=("hub",)) for n in range(MOST + 50))]
    incident = asked("hub", *crowd).incident
    assert incident is not None
    assert (len(incident.needed_by.reached), incident.needed_by.cut) == (MOST, True)


def test_an_api_leads_to_who_uses_it() -> None:
    spec = {"owner": "group:default/payments", "consumesApis": ["orders"]}
    user = entity("Component", "reports", spec=spec)
    maker = entity(
        "Component", "orders-api", spec={**spec, "consumesApis": [], "providesApis": ["orders"]}
    )
    api = entity("API", "orders", spec={"owner": "group:default/payments"})
    incident = asked("orders-api", user, maker, api).incident
    assert incident is not None
    assert [each.ref for each in incident.needed_by.reached] == [
        "api:default/orders",
        "component:default/reports",
    ]


def test_what_is_no_component_is_called_by_its_title_and_kind() -> None:
    """An id like resource:default/x says little to a person in a hurry."""
    spec = {"type": "database", "dependencyOf": ["component:default/hub"]}
    database = entity("Resource", "hub-db", spec=spec, title="What the hub remembers")
    hub = service("hub", needs=())
    hub.body["spec"]["consumesApis"] = ["orders", "gone"]
    api = entity("API", "orders")
    text = as_text(in_words(asked("hub", hub, database, api)))
    for named in (
        "orders (API)",
        "gone (API) (not in the catalog)",
        "What the hub remembers (resource)",
    ):
        assert named in text
    assert "default/" not in text


def test_a_runbook_is_read_first_and_nothing_that_a_service_needs() -> None:
    """Backstage ties a document to its service as what that depends on."""
    address = "https://wiki.example.com/hub"
    runbook = entity(
        "Resource",
        "hub-runbook",
        spec={"type": "runbook", "dependencyOf": ["component:default/hub"]},
        title="When the hub is down",
        links=[{"url": address}],
    )
    incident = asked("hub", service("hub", needs=()), runbook).incident
    assert incident is not None
    assert incident.needs.reached == ()
    assert [(link.kind, link.title, link.url) for link in incident.links] == [
        ("runbook", "When the hub is down", address)
    ]
    of_the_runbook = asked("hub-runbook", service("hub", needs=()), runbook).incident
    assert of_the_runbook is not None
    assert [each.ref for each in of_the_runbook.needed_by.reached] == ["component:default/hub"]


def test_every_datum_has_its_source_and_age() -> None:
    text = as_text(in_words(asked("cart", facts=FACTS)))
    assert "Ann, Bo (seen 3 hours ago; may have changed since)" in text
    assert "pipeline failed (seen 5 minutes ago)" in text
    assert "release v2.1, made 2 days ago (seen 5 minutes ago)" in text
    assert "open vulnerabilities: 2 critical (seen just now)" in text
    assert "read just now, and last without a gap 1 hour ago" in text
    data = as_json(asked("cart", facts=FACTS))["incident"]["data"]
    assert data["on_call"] == {
        "value": ["Ann", "Bo"],
        "source": "pagerduty",
        "seenAt": (NOON - timedelta(hours=3)).isoformat(timespec="seconds"),
        "reason": "",
    }


@pytest.mark.parametrize(
    ("pagerduty", "opsgenie", "said"),
    [
        ("?no service has its name", ["kim@example.com"], "kim@example.com (seen 2 hours ago"),
        (["Ann"], "?no team is named", "Ann (seen 1 hour ago)"),
        (["Ann"], [], "Ann (seen 1 hour ago)"),
        ([], ["kim@example.com"], "kim@example.com (seen 2 hours ago"),
        ([], "?Opsgenie answered 503", "nobody (seen 1 hour ago)"),
    ],
)
def test_of_two_tools_the_one_that_says_most_tells_who_is_on_call(
    pagerduty: Any, opsgenie: Any, said: str
) -> None:
    facts = {
        REF: {
            "pagerduty": reading("pagerduty", NOON - timedelta(hours=1), on_call=pagerduty),
            "opsgenie": reading("opsgenie", NOON - timedelta(hours=2), on_call=opsgenie),
        }
    }
    assert said in as_text(in_words(asked("cart", facts=facts)))


def test_what_is_not_known_says_why() -> None:
    facts = {REF: {"pagerduty": reading("pagerduty", NOON, on_call="?PagerDuty said 401")}}
    assert "not known: PagerDuty said 401" in as_text(in_words(asked("cart", facts=facts)))
    assert "not known: nothing was read from PagerDuty" in as_text(in_words(asked("cart")))
    ownerless = entity("Component", "stray")
    assert "nobody is named as its owner" in as_text(in_words(asked("stray", ownerless)))


def test_a_team_and_a_system_tell_what_they_hold() -> None:
    for name in ("payments", "shop"):
        incident = asked(name).incident
        assert incident is not None
        assert {"cart", "mail"} <= {each.ref.rpartition("/")[2] for each in incident.parts.reached}


def test_runbooks_come_before_dashboards_before_logs() -> None:
    incident = asked("cart").incident
    assert incident is not None
    assert [link.kind for link in incident.links][:3] == ["runbook", "dashboard", "logs"]


def changed(ref: str, minutes: int, evil: str = "") -> EntityChange:
    return EntityChange(
        Ref.parse(ref),
        ChangeKind.CHANGED,
        NOON - timedelta(minutes=minutes),
        evil or Ref.parse(ref).name,
        manifests=(ChangedManifest(evil or "shop/x", "qm.yaml", "ab"),),
        fields=(FieldChange(evil or "spec.owner", "a", "b"),),
        number=minutes,
    )


def test_neighbours_that_changed_lately_are_told_with_role_age_and_place() -> None:
    mail, web = "component:default/mail", "component:default/web"
    history = {
        CART: (changed(CART, 60), changed(CART, 60 * 25)),
        mail: (changed(mail, 60),),
        web: (changed(web, 5),),
        "component:default/far": (changed("component:default/far", 1),),
    }
    knowledge = replace(known(*FLEET), lately=Lately(history))
    found = answer("cart", knowledge, NOON)
    lines = as_text(in_words(found)).split("Changed ")[1].split("Links ")[0].splitlines()
    assert [line.strip() for line in lines if line.strip()] == [
        "web changed: spec.owner (dependent, 5 minutes ago, in shop/x qm.yaml)",
        "cart changed: spec.owner (itself, 1 hour ago, in shop/x qm.yaml)",
        "mail changed: spec.owner (dependent, 2 hops, 1 hour ago, in shop/x qm.yaml)",
    ]
    items = as_json(found)["incident"]["changed"]["items"]
    assert [(each["ref"], each["role"], each["hops"]) for each in items] == [
        (web, "dependent", 1),
        (CART, "itself", 0),
        (mail, "dependent", 2),
    ]


def test_a_face_names_five_changes_and_counts_the_others() -> None:
    history = {CART: tuple(changed(CART, minutes) for minutes in range(1, 9))}
    text = as_text(in_words(answer("cart", replace(known(*FLEET), lately=Lately(history)), NOON)))
    assert text.count("cart changed: spec.owner (itself") == 5
    assert "… and 3 more" in text


def test_that_nothing_changed_is_told_and_that_not_all_is_known_too() -> None:
    quiet = in_words(answer("cart", replace(known(*FLEET), lately=Lately(cut=True)), NOON))
    text = as_text(quiet)
    assert "nothing of it or near it in the last 24 hours" in text
    assert "so much changed" in text
    assert "Changed" not in as_text(in_words(asked("cart")))  # no history is at hand there


def test_a_neighbour_beyond_what_was_followed_is_not_told_to_be_quiet() -> None:
    crowd = [service(f"s{number:03}", needs=("hub",)) for number in range(MOST + 50)]
    far = f"component:default/s{MOST + 49}"
    knowledge = replace(known(service("hub"), *crowd), lately=Lately({far: (changed(far, 5),)}))
    found = answer("hub", knowledge, NOON)
    assert "more lies near it than was followed" in as_text(in_words(found))
    assert as_json(found)["incident"]["changed"]["beyond"] is True
    knowledge = replace(known(*FLEET), lately=Lately({CART: (changed(CART, 5),)}))
    assert "more lies near it" not in as_text(in_words(answer("cart", knowledge, NOON)))


def test_what_the_store_did_not_tell_is_not_told_to_be_quiet() -> None:
    def text(lately: Lately) -> str:
        return as_text(in_words(answer("cart", replace(known(*FLEET), lately=lately), NOON)))

    read_at = NOON - timedelta(minutes=20)
    late = text(Lately({CART: (changed(CART, 60),)}, read_at=read_at, missed=True))
    assert "cart changed: spec.owner" in late
    assert f"what changed since {read_at:%H:%M} UTC is not at hand" in late
    never = text(Lately(missed=True))
    assert "is not at hand" in never
    assert "nothing of it or near it" not in never


def test_a_long_address_stays_whole_on_every_face() -> None:
    url = "https://logs.example.com/search?q=" + "x" * 1500
    bare = service("bare", links=[{"url": url}, {"url": url, "title": "t" * 300}])
    words = in_words(answer("bare", known(bare), NOON))
    text = as_text(words)
    assert text.count(url) == 2  # behind its title, which is cut; without one alone, once
    assert "t" * 199 + "…" in text
    slack = [block["text"]["text"] for block in as_slack(words)["blocks"][1:]]
    assert any(f"<{url}|https://logs" in text for text in slack)
    links = as_json(answer("bare", known(bare), NOON))["incident"]["links"]
    assert [link["url"] for link in links] == [url, url]


def test_what_is_too_long_for_slack_is_counted_and_hides_nothing_after_it() -> None:
    links = [{"url": "https://x.example.com/" + "y" * 2960, "title": "long"}]
    links += [{"url": "https://x.example.com/short", "title": "short"}]
    words = in_words(answer("bare", known(service("bare", links=links)), NOON))
    (section,) = [b["text"]["text"] for b in as_slack(words)["blocks"][1:] if "Links" in str(b)]
    assert "<https://x.example.com/short|short>" in section
    assert section.endswith("… and 1 more, too long for Slack")
    assert len(section) <= 3000


HOSTILE = (
    "<script>alert(1)</script>",
    "<!channel> @here <@U1>",
    "*bold* _it_ ~no~ `code`",
    "a|b>c",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202etxt.exe",
    "line\nbreak\r\n/close",
    "x" * 5000,
)


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_names_do_nothing_in_any_face(evil: str) -> None:
    link = {"url": "https://x.example.com/>|" + evil, "title": evil, "type": "runbook"}
    script = {"url": "javascript:alert(1)", "title": evil, "type": "dashboard"}
    bad = service("bad", title=evil, description=evil, links=[link, script])
    knowledge = replace(
        known(bad, service("victim", needs=("bad",), title=evil)),
        lately=Lately({"component:default/bad": (changed("component:default/bad", 5, evil),)}),
    )
    words = in_words(answer("bad", knowledge, NOON))
    assert any(section.label == "Changed" for section in words.sections)
    text = as_text(words)
    assert all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cf") for char in text)
    assert "/close" not in [line.strip() for line in text.splitlines()]
    header, *sections = as_slack(words)["blocks"]
    assert header["text"]["type"] == "plain_text"  # which Slack shows as it is
    shown = re.compile(r"<https://[^|<> ]*\|")  # addresses of links, which are not shown
    slack = shown.sub("", json.dumps([as_slack(words)["text"], sections], ensure_ascii=False))
    for word in ("<!", "<@", "<script", "javascript:", "\u202e", "*bold*", "`code`"):
        assert word not in slack
    for block in sections:
        body = block["text"]["text"]
        assert len(body) <= 3000
        assert body.count("<") == body.count(">") == len(shown.findall(body))


def test_no_match_and_several_are_said_in_every_face() -> None:
    none, several = asked("nope"), asked("cart", *FLEET, entity("API", "cart"))
    assert as_text(in_words(none)).startswith("Nothing known is called nope")
    assert as_json(several)["total"] == 2
    assert as_json(several)["incident"] is None
    for words in (in_words(several), in_words(none)):
        assert as_slack(words)["text"] in as_text(words)
    assert "cart (API)" in as_text(in_words(several))
