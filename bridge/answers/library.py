"""Everything that can be looked up, behind one interface: programs and assistants ask by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from bridge.answers.changes import told, with_history
from bridge.answers.faces import as_json
from bridge.answers.identify import identify
from bridge.answers.incident import answer
from bridge.answers.knowledge import Knowledge
from bridge.answers.lately import Find
from bridge.answers.search import search
from bridge.errors import BadQuestion
from bridge.model.entities import Json, Ref
from bridge.model.problems import Problem
from bridge.model.runs import problem_json
from bridge.model.scores import Score
from bridge.passes.explain import Explanation

MOST: Final = 100  # problems in one answer


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known at one moment. `explain` says why something is so, or why it is missing;
    `changes` finds what changed.
    """

    known: Knowledge
    problems: Sequence[Problem]
    explain: Callable[[str], Explanation]
    changes: Find


@dataclass(frozen=True, slots=True)
class Library:
    """Read-only questions; every answer is a JSON tree. `open` gives what is known now."""

    open: Callable[[], Awaitable[Opened]]
    clock: Callable[[], datetime]

    async def search(self, text: str) -> dict[str, Json]:
        """Entities, documents and problems that hold all words of a text."""
        opened = await self.open()
        hits = search(text, opened.known, opened.problems)
        return {
            "total": hits.total,
            "entities": [asdict(hit) for hit in hits.entities],
            "documents": [asdict(each) for each in hits.documents],
            "problems": [problem_json(each) for each in hits.problems],
        }

    async def entity(self, name: str) -> dict[str, Json]:
        """The entity as Backstage's API would give it, or the matches to choose from."""
        known = (await self.open()).known
        found = identify(name, known)
        one = known.entity(found.matches[0].ref) if found.total == 1 else None
        matches = [asdict(match) for match in found.matches]
        return {"entity": one, "matches": matches, "near": list(found.near)}

    async def incident(self, about: str) -> dict[str, Json]:
        """Owner, on call, runbooks, who is hit and more, of whatever is named."""
        return as_json(answer(about, (await self.open()).known, self.clock()))

    async def explain(self, about: str) -> dict[str, Json]:
        """Why an entity is as it is, or why it is missing, and its last changes."""
        opened = await self.open()
        answer = await asyncio.to_thread(opened.explain, about)  # it looks through everything
        return (await with_history(answer, opened.changes)).as_json()

    async def changes(self, asked: Mapping[str, str]) -> dict[str, Json]:
        """What changed, by filters or around something; what is no question is told as `error`."""
        opened = await self.open()
        try:
            found = await told(asked, opened.known, opened.changes, self.clock())
        except BadQuestion as refusal:
            return {"error": str(refusal)}
        return found.as_json()

    async def score(self, name: str) -> dict[str, Json]:
        """How a service scores, which gates failed, and what to fix next."""
        known = (await self.open()).known
        found = identify(name, known)
        score = known.scores.get(Ref.parse(found.matches[0].ref)) if found.total == 1 else None
        matches = [asdict(match) for match in found.matches]
        told = _score(score, known) if score is not None else None
        return {"score": told, "matches": matches, "near": list(found.near)}

    async def problems(self, about: str = "") -> dict[str, Json]:
        """What is wrong with manifests and projects now, worst first; of one project or all."""
        opened = await self.open()
        words = about.lower().split()
        found = [each for each in opened.problems if _about(each, words)]
        shown = [problem_json(each) for each in found[:MOST]]
        return {"total": len(found), "problems": shown}


def _about(problem: Problem, words: Sequence[str]) -> bool:
    text = f"{problem.place} {problem.ref} {problem.message}".lower()
    return all(word in text for word in words)


def _score(score: Score, known: Knowledge) -> dict[str, Json]:
    titles = known.check_titles
    return {
        "ref": str(score.entity),
        "value": score.value,
        "sufficient": score.sufficient,
        "coverage": score.coverage,
        "level": score.level,
        "target": score.target,
        "gatesFailed": [titles.get(each, each) for each in score.gates_failed],
        "fix": [_fix(fix.result.check, fix.points, titles) for fix in score.fixes()],
        "at": score.at.isoformat(timespec="seconds"),
    }


def _fix(check: str, points: float, titles: Any) -> dict[str, Json]:
    return {"check": check, "title": titles.get(check, check), "points": round(points, 1)}
