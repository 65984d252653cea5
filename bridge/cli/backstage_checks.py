"""The rubric's checks as lines of an app-config, for a tech-insights backend that pulls."""

from __future__ import annotations

from typing import Final

from bridge.api.facts.checked_facts import CHECKED
from bridge.api.facts.checks import check_json
from bridge.exporters.yaml_text import document
from bridge.model.entities import Json
from bridge.model.scores import Check, Rubric

_HEAD: Final = """\
# Every check of the rubric, for Backstage's own tech-insights backend beside the module that pulls
# Fester's facts (`fester help backstage`). Put it into app-config.yaml, or name it beside that
# with --config. A check that is new in the rubric is to be put here, too: print this again.
"""
_QUARTERLY: Final = "*/15 * * * *"  # of an hour, by a crontab


def backstage_checks(rubric: Rubric) -> str:
    """The text: how often the checks' own retriever pulls, and a definition of each check."""
    tree = {
        "techInsights": {
            "factRetrievers": {CHECKED: {"cadence": _QUARTERLY}},
            "factChecker": {"checks": {check.id: _check(check) for check in rubric.checks}},
        }
    }
    return _HEAD + document(tree)


def _check(check: Check) -> dict[str, Json]:
    said = check_json(check)
    condition = {
        "fact": check.id,
        "operator": "equal",
        "value": True,
        "params": {"factRetrieverId": CHECKED},
    }
    rule = {"conditions": {"all": [condition]}}
    kept = {key: _literal(value) for key, value in said.items() if key not in ("id", "rule")}
    return {**kept, "factIds": [CHECKED], "rule": rule}


def _literal(value: Json) -> Json:
    """The same for Backstage, whose configuration puts variables in for `${NAME}`."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _literal(each) for key, each in value.items()}
    return [_literal(each) for each in value] if isinstance(value, list) else value
