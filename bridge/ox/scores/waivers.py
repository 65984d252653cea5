"""Which checks need not count for an entity: by the rubric, or by its own manifest."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from fnmatch import translate
from typing import Final

from bridge.language.names import did_you_mean
from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.scores import Rubric, Waiver, WaiverPlace

MOST: Final = 20  # waivers of one manifest
_REASON: Final = 500  # characters
PERSON: Final = 120  # characters of who gave one
_HINTED: Final = 10  # waivers beside which the nearest name is looked for among all entities
_GLOB: Final = re.compile(r"[*?\[]")


class Waivers:
    """The waivers of a rubric and of manifests, on one day."""

    def __init__(self, rubric: Rubric, today: date) -> None:
        self._rubric = rubric
        self._today = today
        self._exact: dict[str, list[tuple[int, Waiver]]] = {}
        self._globs: list[tuple[re.Pattern[str], tuple[int, Waiver]]] = []
        for rank, waiver in enumerate(rubric.waivers):
            if _GLOB.search(waiver.entity):
                # Compiled once for all entities: fnmatch remembers only some hundred patterns.
                self._globs.append((re.compile(translate(waiver.entity)), (rank, waiver)))
            else:
                self._exact.setdefault(waiver.entity, []).append((rank, waiver))

    def of(
        self, entity: CatalogEntity, more: Sequence[Waiver] = ()
    ) -> tuple[dict[str, Waiver], list[Problem]]:
        """The waivers that hold, by check; and what is wrong with those of the manifest.

        `more` are those that were given elsewhere; the rubric's word and the manifest's come first.
        """
        problems: list[Problem] = []
        found: dict[str, Waiver] = {}
        own = _of_manifest(self._rubric, entity, problems)
        for waiver in (*self._given(entity), *own, *more):
            if waiver.expires >= self._today:
                found.setdefault(waiver.check, waiver)
            elif waiver.by is WaiverPlace.MANIFEST:
                message = (
                    f"the waiver of `{waiver.check}` ended on {waiver.expires.isoformat()}; "
                    "take it out, or give it a new date and reason"
                )
                problems.append(_problem(entity, message, Severity.INFO, "waiver-expired"))
        return found, problems

    def _given(self, entity: CatalogEntity) -> list[Waiver]:
        """Those of the rubric that name the entity, in its order."""
        ref = str(entity.ref)
        named = self._exact.get(ref, [])
        ranked = [*named, *(each for pattern, each in self._globs if pattern.match(ref))]
        return [waiver for _, waiver in sorted(ranked, key=lambda each: each[0])]


def _of_manifest(
    rubric: Rubric, entity: CatalogEntity, problems: list[Problem]
) -> Iterator[Waiver]:
    spec = entity.body.get("spec")
    ox = spec.get("ox") if isinstance(spec, Mapping) else None
    given = ox.get("waivers") if isinstance(ox, Mapping) else None
    names = [check.id for check in rubric.checks]
    if isinstance(given, list) and len(given) > MOST:
        message = f"only the first {MOST} of {len(given)} waivers count"
        problems.append(_problem(entity, message, Severity.WARNING, "waiver-invalid"))
    for item in given[:MOST] if isinstance(given, list) else ():
        waiver = _read(item) if isinstance(item, Mapping) else None
        if waiver is None:
            message = "a waiver needs `check`, `reason` and `expires` (a date like 2026-12-31)"
        elif waiver.check not in names:
            hint = did_you_mean(waiver.check, names)
            message = (
                f"a waiver for `{waiver.check[:63]}`, which is not a check of the rubric{hint}"
            )
        else:
            yield waiver
            continue
        problems.append(_problem(entity, message, Severity.WARNING, "waiver-invalid"))


def _read(item: Mapping[str, Json]) -> Waiver | None:
    check, reason, expires = (item.get(key) for key in ("check", "reason", "expires"))
    if not isinstance(check, str) or not isinstance(reason, str) or not reason.strip():
        return None
    try:
        day = date.fromisoformat(str(expires))
    except ValueError:
        return None
    return Waiver(
        check, reason.strip()[:_REASON], day, WaiverPlace.MANIFEST, "", _name(item.get("by"))
    )


def _name(given: Json) -> str:
    """Whom a waiver names as its giver: one line, or nobody."""
    return " ".join(given.split())[:PERSON] if isinstance(given, str) else ""


def _problem(entity: CatalogEntity, message: str, severity: Severity, rule: str) -> Problem:
    origin = entity.origins[0] if entity.origins else None
    return Problem(
        message,
        rule,
        severity,
        project=origin.project if origin else "",
        gitlab=mark_in(origin.project_id) if origin else 0,
        file=origin.file if origin else "",
        ref=str(entity.ref),
    )


def waiver_notes(rubric: Rubric, today: date) -> list[Problem]:
    """The rubric's waivers that are over: they stand there and do nothing."""
    return [
        Problem(
            f"the waiver of `{waiver.check}` for {waiver.entity} ended on "
            f"{waiver.expires.isoformat()}; take it out, or give it a new date and reason",
            "waiver-expired",
            Severity.WARNING,
            file=rubric.source,
        )
        for waiver in rubric.waivers
        if waiver.expires < today
    ]


def waiver_strangers(rubric: Rubric, entities: Collection[Ref]) -> list[Problem]:
    """The rubric's waivers that name an entity, or a glob, that no entity of the catalog fits."""
    names = [str(ref) for ref in entities]
    known = frozenset(names)
    unfit = [waiver for waiver in rubric.waivers if not _fits_one(waiver.entity, known)]
    return [
        Problem(
            f"the waiver of `{waiver.check}` is for {waiver.entity}, and the catalog has no such "
            f"entity{did_you_mean(waiver.entity, names) if rank < _HINTED else ''}; "
            "mend the reference, or take the waiver out",
            "waiver-unknown-entity",
            Severity.WARNING,
            file=rubric.source,
        )
        for rank, waiver in enumerate(unfit)
    ]


def _fits_one(entity: str, known: frozenset[str]) -> bool:
    if not _GLOB.search(entity):
        return entity in known
    return any(map(re.compile(translate(entity)).match, known))
