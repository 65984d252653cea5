"""`pagerduty`: whether somebody is on call for a service, and who.

A service is found by its id in the entity's annotations, else by exactly its name; which of both
is said. https://developer.pagerduty.com/api-reference
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bridge.model.facts import FactDefinition, FactSchema, FactType, Reading, Subject
from bridge.ox.facts.json_api import PAGES, JsonApi, Unanswered, at, rows
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import DAY
from bridge.secret.live import Secret

BASE: Final = "https://api.pagerduty.com"
PAGE: Final = 100
_ID: Final = re.compile(r"P[A-Z0-9]{3,20}")
_IN_URL: Final = re.compile(r"/(?:service-directory|services)/(P[A-Z0-9]{3,20})(?:[/?#]|$)")

SERVICE_ID: Final = "service_id"
SERVICE_URL: Final = "service_url"

PAGERDUTY: Final = FactSchema(
    id="pagerduty",
    version="1.1.0",
    title="What PagerDuty knows of the service",
    description="Whether somebody is on call for the service right now, and who.",
    facts=(
        FactDefinition("on_call_named", FactType.BOOLEAN, "Somebody is on call"),
        FactDefinition("on_call", FactType.SET, "Who is on call, first level first"),
        FactDefinition(SERVICE_ID, FactType.STRING, "The service's id in PagerDuty"),
        FactDefinition(SERVICE_URL, FactType.STRING, "Where PagerDuty shows the service"),
    ),
    cadence=DAY / 4,
    entity_filter={"kind": "component"},
)


class PagerDuty:
    """PagerDuty's API as far as it is needed."""

    def __init__(
        self, token: str | Secret, *, base: str = BASE, trust: ssl.SSLContext | None = None
    ) -> None:
        self.api = JsonApi(
            "PagerDuty",
            base,
            token,
            authorization="Token token={}",
            headers={"Accept": "application/vnd.pagerduty+json;version=2"},
            trust=trust,
        )

    async def greet(self) -> None:
        """See that the token opens the account. Raises `Unanswered`."""
        await self.api.get("/services", {"limit": "1"})

    async def services(self) -> list[dict[str, Any]]:
        """Every service. Raises `Unanswered`."""
        return await self._all("/services", "services")

    async def on_call(self) -> dict[str, list[tuple[int, str]]]:
        """Level and name of who is on call now, by escalation policy. Raises `Unanswered`."""
        found: dict[str, list[tuple[int, str]]] = {}
        for row in await self._all("/oncalls", "oncalls"):
            policy, name = at(row, "escalation_policy", "id"), at(row, "user", "summary")
            level = row.get("escalation_level")
            if isinstance(policy, str) and isinstance(name, str) and isinstance(level, int):
                found.setdefault(policy, []).append((level, name))
        return found

    async def _all(self, path: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(PAGES):
            query = {"limit": str(PAGE), "offset": str(page * PAGE)}
            tree = await self.api.get(path, query)
            found += rows(tree, key)
            if tree.get("more") is not True:
                return found
        raise Unanswered(f"PagerDuty's list goes on after {PAGES} pages")


class PagerDutyCollector:
    """A `bridge.ports.FactCollector`: two listings, however many services there are."""

    def __init__(self, pagerduty: PagerDuty, clock: Callable[[], datetime]) -> None:
        self._pagerduty = pagerduty
        self._clock = clock

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return PAGERDUTY

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading a subject; when a listing fails, everything is unknown."""
        try:
            services = _Services(await self._pagerduty.services())
            on_call = await self._pagerduty.on_call()
        except Unanswered as error:
            for subject in subjects:
                notes = self._notes(subject)
                notes.unknown(str(error), *(fact.name for fact in PAGERDUTY.facts))
                yield notes.reading()
            return
        for subject in subjects:
            yield self._read(subject, services, on_call)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._pagerduty.api.close()

    def _notes(self, subject: Subject) -> ReadingBuilder:
        return ReadingBuilder(PAGERDUTY, subject.ref, self._clock(), str(self._pagerduty.api.base))

    def _read(
        self,
        subject: Subject,
        services: _Services,
        on_call: Mapping[str, Sequence[tuple[int, str]]],
    ) -> Reading:
        notes = self._notes(subject)
        service, found_by = services.of(subject)
        if service is None:
            notes.known("on_call_named", False, source=f"PagerDuty: {found_by}")
            notes.not_applicable(found_by, "on_call", SERVICE_ID, SERVICE_URL)
            return notes.reading()
        notes.known(SERVICE_ID, str(service.get("id") or ""))
        if service.get("html_url"):
            notes.known(SERVICE_URL, str(service["html_url"]))
        else:
            notes.not_applicable("PagerDuty does not say where it shows it", SERVICE_URL)
        policy = at(service, "escalation_policy", "id")
        people = sorted(on_call.get(policy, ())) if isinstance(policy, str) else []
        names = list(dict.fromkeys(name for _, name in people))
        source = str(service.get("html_url") or f"PagerDuty: {found_by}")
        notes.known("on_call_named", bool(names), source=source)
        notes.known("on_call", names, source=source)
        return notes.reading()


class _Services:
    """PagerDuty's services by id and by name; a name that two of them have finds neither."""

    def __init__(self, services: Sequence[dict[str, Any]]) -> None:
        self._by_id = {str(one.get("id")): one for one in services}
        self._by_name: dict[str, list[dict[str, Any]]] = {}
        for one in services:
            self._by_name.setdefault(str(one.get("name", "")).strip().lower(), []).append(one)

    def of(self, subject: Subject) -> tuple[dict[str, Any] | None, str]:
        """The service and how it was found; without one, why not."""
        metadata = subject.body["metadata"]
        annotations = metadata.get("annotations") or {}
        named = _id_in(annotations)
        if named:
            return self._by_id.get(named), f"the service {named} of the annotations is not there"
        names = {subject.ref.name, str(metadata.get("title") or "").strip().lower()} - {""}
        found = {str(one.get("id")): one for name in names for one in self._by_name.get(name, ())}
        if len(found) == 1:
            return next(iter(found.values())), "found by its name"
        said = "several services have its name" if found else "no service has its name"
        return None, f"{said}; name one by the annotation pagerduty.com/service-id"


def _id_in(annotations: Mapping[str, Any]) -> str:
    given = str(annotations.get("pagerduty.com/service-id") or "").strip()
    if _ID.fullmatch(given):
        return given
    found = _IN_URL.search(str(annotations.get("fester.dev/pagerduty-url") or ""))
    return found[1] if found else ""
