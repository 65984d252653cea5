"""Where the pages of each GitLab's projects are, as the projects themselves tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.numbers import numbers_of
from bridge.store import rows
from bridge.store.tables import projects

_LOOKED_AT: Final = 20  # projects of a GitLab, of which the first with a page tells


async def addresses(
    connection: AsyncConnection, source_id: int | None, names: Collection[str]
) -> dict[str, str]:
    """The address of each of these GitLabs, by name; of one that no project tells of, none."""
    found: dict[str, str] = {}
    for name in names:
        least, most = numbers_of(name)
        wanted = select(projects).where(
            projects.c.source_id == source_id, projects.c.project_id.between(least, most)
        )
        some = wanted.order_by(projects.c.project_id).limit(_LOOKED_AT)
        known = rows.known_projects((await connection.execute(some)).all())
        found[name] = next(filter(None, (each.project.gitlab for each in known.values())), "")
    return {name: address for name, address in found.items() if address}
