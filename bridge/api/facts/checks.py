"""Checks as tech-insights gives them: what is expected, how it stands, and what to do about it.

The stock frontend shows a check's name, its description as Markdown, and a tick or a cross: there
is no sign for "not known", and a check that is not in a result is not shown. So what it cannot
draw is said in the description, and one check of ours stands for the whole score: it names what is
not known, and why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from bridge.model.entities import Json
from bridge.model.scores import Check, CheckResult, CheckState, Evidence, Rubric, Score

_TYPE: Final = "json-rules-engine"  # what the stock frontend draws as a yes or no
_SHOWN: Final = 10  # checks or facts that one description names
_LONGEST: Final = 300  # characters of one reason
_MARKED: Final = re.compile(r"([\\\[\]<>*_#|~!])")

# Stands for the whole score of an entity.
SUMMARY: Final = Check(
    id="fester-score",
    title="Score",
    category="",
    weight=0.0,
    tiers=frozenset(),
    expression="the score reaches its target, and every gate passes",
    facts=(),
    description="The whole score: its level, its target, and which checks are not known, and why.",
)


def check_json(check: Check) -> dict[str, Json]:
    """A check's definition; its rule is the rubric's own condition, named as one."""
    body: dict[str, Json] = {
        "id": check.id,
        "type": _TYPE,
        "name": check.title,
        "description": check.description or check.how_to_fix or check.title,
        "factIds": list(dict.fromkeys(name.partition(".")[0] for name in check.facts)),
        "rule": {"conditions": {"condition": check.expression}},
        "metadata": {"category": check.category, "weight": check.weight},
    }
    if check.how_to_fix:
        body["failureMetadata"] = {"howToFix": check.how_to_fix}
    if check.links:
        body["links"] = [dict(link) for link in check.links]
    return body


def judged_json(check: Check, result: CheckResult) -> dict[str, Json]:
    """A check as it stands in a result: its description says what to do, or what was seen."""
    body = check_json(check)
    said = body.pop("failureMetadata", {})
    if not result.state.passed:
        body["metadata"] |= said
    return body | {"description": _told(check, result)}


def _told(check: Check, result: CheckResult) -> str:
    if result.state is CheckState.FAIL:
        return markdown(result.reason or check.how_to_fix or check.description or check.title)
    seen = "; ".join(_seen(each) for each in result.evidence[:_SHOWN])
    said = markdown(check.description or check.title)
    if result.state is CheckState.WARN:
        said = f"Passes with a warning. {markdown(result.reason or check.how_to_fix)}"
    return f"{said.rstrip('.')}. {seen}" if seen else said


def _seen(evidence: Evidence) -> str:
    """A fact with its value and its age; the value is a stranger's, so it stands as code."""
    when = f", seen {evidence.seen_at:%d %b %Y}" if evidence.seen_at else ""
    return f"`{evidence.fact}` is `{_value(evidence.value)}`{when}"


def _value(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False).replace("`", "'")
    return text if len(text) <= 80 else f"{text[:79]}…"


def summary_json(score: Score, rubric: Rubric, scorecard: str = "") -> dict[str, Json]:
    """The result of `SUMMARY`; `scorecard` is the address of the page that says all of it."""
    known = score.sufficient and score.value is not None
    level = f", {score.level}" if score.level else ""
    name = f"Score {score.value:.0f}{level}" if known else "Score: too little is known for one"
    body = check_json(SUMMARY) | {"name": name}
    body["description"] = "\n".join(_summary(score, rubric, scorecard))
    if scorecard:
        body["links"] = [{"title": "Scorecard", "url": scorecard}]
    facts = {
        "score": (round(score.value, 1) if known and score.value is not None else None, "float"),
        "level": (score.level or None, "string"),
        "coverage": (round(score.coverage, 3), "float"),
    }
    return {
        "facts": {
            name: {"value": value, "type": kind, "description": _FACTS[name]}
            for name, (value, kind) in facts.items()
        },
        "result": bool(score.on_target),
        "check": body,
    }


_FACTS: Final = {
    "score": "Points of 100; null when too little is known",
    "level": "The rubric's name for the score",
    "coverage": "Share of the applicable weight that is known, 0 to 1",
}


def _summary(score: Score, rubric: Rubric, scorecard: str) -> list[str]:
    points = (
        f"{score.value:.1f} of 100 points" if score.sufficient and score.value is not None else ""
    )
    target = f"the target is {score.target:.0f}" if score.target is not None else ""
    known = f"{score.coverage:.0%} of what is asked is known"
    lines = [f"{'; '.join(filter(None, (points, target, known)))}."]
    if score.gates_failed:
        lines.append(f"Gates that fail: {_titles(score.gates_failed, rubric)}.")
    if score.unseen:
        lines += ["", "Not known, so counted neither way:", ""]
        lines += [f"- {_unseen(each, rubric)}" for each in score.unseen[:_SHOWN]]
        if len(score.unseen) > _SHOWN:
            lines.append(f"- and {len(score.unseen) - _SHOWN} more")
    if scorecard:
        lines += ["", f"[The scorecard]({scorecard}) says why, and what to fix next."]
    return lines


def _unseen(result: CheckResult, rubric: Rubric) -> str:
    stale = " (last seen too long ago)" if result.state is CheckState.STALE else ""
    reason = f": {markdown(result.reason)}" if result.reason else ""
    return f"{_titles([result.check], rubric)}{stale}{reason}"


def _titles(names: Sequence[str], rubric: Rubric) -> str:
    checks = ((name, rubric.check(name)) for name in names)
    return ", ".join(markdown(check.title if check else name) for name, check in checks)


def markdown(text: str) -> str:
    """A text of which nothing is a link, a tag or a heading; what is in backticks stays code."""
    parts = " ".join(text[:_LONGEST].split()).split("`")
    if len(parts) % 2 == 0:  # a lone backtick opens nothing
        parts[-2:] = ["'".join(parts[-2:])]
    return "`".join(part if at % 2 else _MARKED.sub(r"\\\1", part) for at, part in enumerate(parts))
