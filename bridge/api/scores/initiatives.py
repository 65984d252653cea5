"""Initiatives: `/api/ox/initiatives` for machines, `/initiatives` for people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from bridge.api.answers import error_response
from bridge.api.keys import SCORES
from bridge.api.rendering import render
from bridge.api.scores.plots import Point, plot
from bridge.api.sheets import sheet
from bridge.model.initiatives import Progress
from bridge.model.problems import Problem
from bridge.model.runs import problem_json

ROWS = 300
PATIENCE = 0.2  # seconds that a page waits for what is long to work out
NOT_THERE = "there is no such initiative; /api/ox/initiatives lists them"


class InitiativeBook(Protocol):
    """What is served of initiatives."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Why the file is not the one in use."""

    async def progress(self) -> Sequence[Progress]:
        """How far each is: those that run first, by their due date. Raises `StoreError`."""


class NoInitiatives:
    """Where there are none."""

    problems: Sequence[Problem] = ()

    async def progress(self) -> Sequence[Progress]:
        """No initiative."""
        return ()


class InitiativeRoutes:
    """The routes over a book."""

    def __init__(self, book: InitiativeBook, patience: float = PATIENCE) -> None:
        self._book = book
        self._patience = patience
        self._working: asyncio.Task[Sequence[Progress]] | None = None

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/api/ox/initiatives", self._all),
            web.get("/api/ox/initiatives/{id}", self._one),
            web.get("/initiatives", self._list),
            web.get("/initiatives/{id}", self._page),
        ]

    async def _all(self, request: web.Request) -> web.StreamResponse:
        found = await self._book.progress()
        items = [_without_services(each.as_json()) for each in found]
        problems = [problem_json(problem) for problem in self._book.problems]
        return web.json_response({"items": items, "problems": problems})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        found = _named(await self._book.progress(), request)
        if found is None:
            return error_response(request, 404, "NotFoundError", NOT_THERE)
        return web.json_response(found.as_json())

    async def _soon(self) -> Sequence[Progress] | None:
        """How far each is; None while a history is gone through that takes longer than a page may.

        That goes on, once for all who ask. Raises `StoreError`.
        """
        working = self._working
        if working is None or working.done():
            working = self._working = asyncio.create_task(self._progress())
            working.add_done_callback(_heard)
        await asyncio.wait({working}, timeout=self._patience)
        return working.result() if working.done() else None

    async def _progress(self) -> Sequence[Progress]:
        return await self._book.progress()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        found = await self._soon()
        if found is None:
            return render(request, "working.html", title="Initiatives")
        return render(request, "initiatives.html", initiatives=found, problems=self._book.problems)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        every = await self._soon()
        if every is None:
            return render(request, "working.html", title="Initiatives")
        found = _named(every, request)
        if found is None:
            return render(request, "scores_missing.html", sought=NOT_THERE, status=404)
        rubric = request.app[SCORES].rubric
        share = [Point(day, _share(found.concerned, left)) for day, left in found.burn_down]
        end = max(found.day, found.initiative.starts)
        return render(
            request,
            "initiative.html",
            each=found,
            goal=found.initiative,
            checks=[(name, rubric.check(name)) for name in found.initiative.checks],
            titles={check.id: check.title for check in rubric.checks},
            plot=plot(share, found.initiative.starts, end, 100.0),
            sheet=sheet(request, found.open, ROWS),
        )


def _heard(task: asyncio.Task[Sequence[Progress]]) -> None:
    """Nobody may ask for an error any more: the next who asks tries again."""
    if not task.cancelled():
        task.exception()


def _named(every: Sequence[Progress], request: web.Request) -> Progress | None:
    name = request.match_info["id"]
    return next((each for each in every if each.initiative.id == name), None)


def _without_services(tree: dict[str, object]) -> dict[str, object]:
    left = tree.pop("open")
    return {**tree, "openServices": len(left) if isinstance(left, list) else 0}


def _share(concerned: int, left: int) -> float:
    """How much is done, in percent."""
    return 100 * (concerned - left) / concerned if concerned else 100.0
