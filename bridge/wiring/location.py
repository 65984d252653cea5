"""Where GitLab is, when the settings do not say: found by asking, once, before anything is made."""

from __future__ import annotations

import asyncio

from bridge.scrapers.gitlab.address import find_base, read_address
from bridge.settings import Settings
from bridge.wiring.neighbours import trust_of
from bridge.wiring.sources import each_source


async def located(settings: Settings) -> Settings:
    """The settings with `gitlab.url`, where the source is a group's URL and GitLab answers.

    A GitLab that does not answer is taken to have no path of its own, as most have none. Raises
    `ConfigurationError` for a source that is no URL of a GitLab.
    """
    if not settings.source.lower().startswith(("http://", "https://")) or settings.gitlab.url:
        return settings
    if not read_address(settings.source).group:
        return settings
    base = await find_base(settings.source, trust=trust_of(settings))
    found = settings.gitlab.model_copy(update={"url": base})
    return settings.model_copy(update={"gitlab": found}) if base else settings


async def located_each(settings: Settings) -> dict[str, Settings]:
    """The settings of every source, by name, as `located` gives them; side by side."""
    each = each_source(settings)
    found = await asyncio.gather(*map(located, each.values()))
    return dict(zip(each, found, strict=True))
