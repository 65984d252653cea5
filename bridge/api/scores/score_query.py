"""What a request asks of scores: read, bounded, and refused with a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from bridge.errors import BadQuestion
from bridge.model.entities import Ref
from bridge.model.scores import SERVICE, CheckState, RollupKind, Score, Scoreboard

NOTHING_SCORED: Final = "nothing was scored yet; the first scores follow the first pass"
LONGEST: Final = 3 * 366  # days of a trend
_SPAN: Final = 90
_TEXT: Final = 600  # characters of one parameter
_FLAGS: Final = {"true": True, "false": False}
ALL_KINDS: Final = "all"
FILTERS: Final = (
    *("team", "system", "domain", "product", "kind"),
    *("tier", "level", "onTarget", "check", "state", "q"),
)
ORDERS: Final = ("name", "score", "-score", "coverage")


def entity(text: str) -> Ref:
    """A reference; a component when it names no kind. Raises `BadQuestion`."""
    try:
        if len(text) > _TEXT:
            raise ValueError
        return Ref.parse(text, kind="component")
    except ValueError:
        raise BadQuestion(
            f"`{text[:80]}` is not an entity; ask for component:default/name"
        ) from None


def rollup_kind(text: str) -> RollupKind:
    """A kind of roll-ups. Raises `BadQuestion`."""
    try:
        return RollupKind(text)
    except ValueError:
        kinds = ", ".join(RollupKind)
        raise BadQuestion(f"there are roll-ups by {kinds}, not by `{text[:40]}`") from None


def rollup_name(board: Scoreboard, kind: RollupKind, text: str) -> str:
    """The whole name of a roll-up that a person names in short; one that is gone stays as said."""
    found = board.rollup(kind, text)
    if found is not None or kind in (RollupKind.ORGANIZATION, RollupKind.PRODUCT):
        return found.name if found is not None else text
    try:
        return str(Ref.parse(text, kind="group" if kind is RollupKind.TEAM else kind.value))
    except ValueError:
        return text


def span(query: Mapping[str, str], today: date) -> tuple[date, date]:
    """`from` and `to`: the last 90 days if not said. Raises `BadQuestion`."""
    end = _day(query, "to", today)
    start = _day(query, "from", end - timedelta(days=_SPAN))
    if start > end:
        raise BadQuestion("`from` lies after `to`")
    if (end - start).days > LONGEST:
        raise BadQuestion(f"at most {LONGEST} days at once")
    return start, end


def _day(query: Mapping[str, str], key: str, default: date) -> date:
    text = query.get(key)
    if text is None:
        return default
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise BadQuestion(f"`{key}` is a day like 2026-03-31") from None
    if not date(2000, 1, 1) <= found <= date(2999, 12, 31):
        raise BadQuestion(f"`{key}` is a day between 2000 and 2999")
    return found


def selected(board: Scoreboard, query: Mapping[str, str]) -> list[Score]:
    """The scores that a request asks for, in the order it asks for. Raises `BadQuestion`.

    Those of services, unless it says which `kind`.
    """
    unknown = sorted(query.keys() - {*FILTERS, "order", "limit", "offset"})
    if unknown:
        raise BadQuestion(f"unknown parameter `{unknown[0][:40]}`; there are {', '.join(FILTERS)}")
    found = _of_kind(board, query.get("kind", SERVICE).lower())
    for kind in RollupKind:
        if kind in query:
            rollup = board.rollup(kind, query[kind])
            members = set(rollup.members) if rollup else set()
            found = [score for score in found if score.entity in members]
    if "q" in query:
        text = query["q"][:_TEXT].lower()
        found = [score for score in found if text in str(score.entity)]
    if "tier" in query:
        found = [score for score in found if str(score.tier or "none") == query["tier"]]
    if "level" in query:
        found = [score for score in found if (score.level or "none") == query["level"]]
    if "onTarget" in query:
        wanted = _FLAGS.get(query["onTarget"])
        if wanted is None:
            raise BadQuestion("`onTarget` is true or false")
        found = [score for score in found if score.on_target is wanted]
    return _ordered(_by_check(found, query), query.get("order", "name"))


def _of_kind(board: Scoreboard, kind: str) -> list[Score]:
    return [each for ref, each in board.scores.items() if kind in (ALL_KINDS, ref.kind)]


def _by_check(scores: list[Score], query: Mapping[str, str]) -> list[Score]:
    check, state = query.get("check"), query.get("state")
    if state is not None and state not in {each.value for each in CheckState}:
        raise BadQuestion(f"`state` is one of {', '.join(each.value for each in CheckState)}")
    if state is not None and check is None:
        raise BadQuestion("`state` is asked together with `check`")
    if check is None:
        return scores
    wanted = state or CheckState.FAIL.value
    return [
        score
        for score in scores
        if any(each.check == check and each.state.value == wanted for each in score.results)
    ]


def _ordered(scores: list[Score], order: str) -> list[Score]:
    if order not in ORDERS:
        raise BadQuestion(f"`order` is one of {', '.join(ORDERS)}")
    scores.sort(key=lambda score: score.entity)
    if order == "coverage":
        scores.sort(key=lambda score: score.coverage)
    elif order != "name":
        # Who has no score comes last either way.
        sign = -1 if order == "-score" else 1
        scores.sort(key=lambda score: (not score.sufficient, sign * (score.value or 0.0)))
    return scores
