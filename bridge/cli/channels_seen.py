"""What `fester doctor` says of the ways to teams: whether each could take a message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bridge.errors import ConfigurationError
from bridge.ox.notices.channels import BackstageChannel
from bridge.ox.remediation.posting import Webhook
from bridge.scrapers.gitlab.inspection import Finding
from bridge.settings import Settings
from bridge.wiring.remediation import notice_channels, webhooks


async def channel_findings(settings: Settings) -> AsyncIterator[Finding]:
    """A finding a webhook, and one of Backstage's notifications; nobody is written to."""
    if settings.notices.send or settings.remediation.digest:
        other, teams = webhooks(settings)
        named = {f"webhook of {team}": webhook for team, webhook in teams.items()}
        named |= {"webhook of all other teams": other} if other is not None else {}
        for finding in await asyncio.gather(*(_webhook(*each) for each in named.items())):
            yield finding
    if not settings.notices.send:
        return
    try:
        channels = notice_channels(settings)
    except ConfigurationError as error:
        yield Finding("notices", False, str(error), "the message says what to do")
        return
    for channel in channels:
        if isinstance(channel, BackstageChannel):
            yield await _backstage(channel)
        await channel.close()


async def _webhook(what: str, webhook: Webhook) -> Finding:
    reason = await webhook.unreachable()
    if reason:
        advice = "messages wait for it; look at its address, the network and `ca_file`"
        return Finding(what, False, reason, advice)
    return Finding(what, True, "its host answers; whether it takes messages only one would tell")


async def _backstage(channel: BackstageChannel) -> Finding:
    what, reason = "notifications in Backstage", await channel.refused()
    if reason:
        return Finding(what, False, reason, "notices wait for it, for a week at most")
    return Finding(what, True, "the plugin is there, and takes the token")
