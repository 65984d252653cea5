"""What the application is put together from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bridge.api.access import Access, Patience
from bridge.api.hooks import HookFilter
from bridge.api.incident.slack import SlackCommand
from bridge.api.interfaces import CheckBook, FactBook, Scores
from bridge.api.keys import Validate
from bridge.api.nothing import NoChecks, NoFacts, NoScores
from bridge.api.remediation import NoRemediation, RemediationBook
from bridge.api.scores.initiatives import InitiativeBook, NoInitiatives
from bridge.api.webhooks import Webhooks
from bridge.model.hints import Hint


async def _drop(hints: Iterable[Hint]) -> None:
    """Nobody is here who would act on hints."""


def _no_webhooks() -> Webhooks:
    return Webhooks(put=_drop, wanted=lambda source: HookFilter(frozenset()))


@dataclass(frozen=True, slots=True)
class AppParts:
    """What is served besides `Live`. A part that is left out is one that has nothing to tell.

    `webhooks` takes GitLab's hooks in; `validate` gives the rules that an entity breaks; `access`
    says who is let in. `facts` and `checks` are served to tech-insights, `scored` and
    `initiatives` are what is served of scores. `root` is the path under which others reach it ("";
    "/fester" behind a proxy): every link begins with it, and requests may come with it or, from a
    proxy that takes it off, without.
    """

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    webhooks: Webhooks = field(default_factory=_no_webhooks)
    validate: Validate = lambda entity: ()
    access: Access = field(default_factory=Access)
    patience: Patience = field(default_factory=Patience)
    facts: FactBook = field(default_factory=NoFacts)
    checks: CheckBook = field(default_factory=NoChecks)
    scored: Scores = field(default_factory=NoScores)
    remediation: RemediationBook = field(default_factory=NoRemediation)
    initiatives: InitiativeBook = field(default_factory=NoInitiatives)
    slack: SlackCommand = field(default_factory=SlackCommand)
    root: str = ""
