"""Frozen nouns to JSON text and back: `decode_x(encode_x(x)) == x`.

Decoding ignores keys that it does not know (a newer Fester wrote them) and fills in the default
for keys that are missing (an older one did not know them).
"""

from __future__ import annotations

import zlib
from dataclasses import MISSING, fields, replace
from datetime import datetime
from sys import intern
from typing import TypeVar

from bridge.caching.interning import interned
from bridge.model.compression import compressed
from bridge.model.entities import Draft, Json
from bridge.model.json_text import ascii_json, tree_of
from bridge.model.manifests import CodeOwners, Inherited, Translation, Verdict, as_data
from bridge.model.memory import Horizon, KnownProject
from bridge.model.moments import zoned_moment
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Receipt, Report
from bridge.model.scrape import Coverage, Project

Kind = TypeVar("Kind")


class Undecodable(ValueError):
    """A stored text is not what this codec writes; the message says what was expected."""


def pack(text: str) -> bytes:
    """JSON text, compressed."""
    return compressed(text.encode("ascii"))


def unpack(packed: bytes) -> str:
    """The text that was packed. Raises `Undecodable`."""
    try:
        return zlib.decompress(packed).decode("ascii")
    except (zlib.error, UnicodeDecodeError) as error:
        raise Undecodable(f"expected packed JSON ({error})") from error


def encode_translation(translation: Translation) -> str:
    """JSON text. Raises TypeError or ValueError for what JSON cannot hold."""
    return ascii_json(
        {
            "verdict": translation.verdict.value,
            "fingerprint": translation.fingerprint,
            "mapping": translation.mapping,
            "drafts": [
                {
                    "body": draft.body,
                    "line": draft.line,
                    "column": draft.column,
                    **({"places": draft.places} if draft.places else {}),
                    **({"document": draft.document} if draft.document else {}),
                }
                for draft in translation.drafts
            ],
            "data": translation.documents,
            "problems": [problem_tree(problem) for problem in translation.problems],
            "reason": translation.reason,
            **({"inherited": told} if (told := _inherited(translation)) else {}),
            **(
                {"code_owners": [who.file, *who.handles]}
                if (who := translation.code_owners)
                else {}
            ),
        }
    )


def _inherited(translation: Translation) -> list[list[str]]:
    return [[each.key, each.group, each.file] for each in translation.inherited]


def decode_translation(text: str) -> Translation:
    """The translation that was encoded. Raises `Undecodable`."""
    tree = _object(_parse(text))
    return Translation(
        verdict=_verdict(_get(tree, "verdict", str)),
        fingerprint=_get(tree, "fingerprint", str),
        mapping=_get(tree, "mapping", str, ""),
        drafts=tuple(_draft(each) for each in _get(tree, "drafts", list, [])),
        data=as_data(_get(tree, "data", list, [])),
        problems=tuple(problem_of(each) for each in _get(tree, "problems", list, [])),
        reason=_get(tree, "reason", str, ""),
        inherited=tuple(_an_inherited(each) for each in _get(tree, "inherited", list, [])),
        code_owners=_code_owners(_strings(_get(tree, "code_owners", list, []))),
    )


def _code_owners(told: tuple[str, ...]) -> CodeOwners | None:
    return CodeOwners(told[0], told[1:]) if told else None


def _an_inherited(tree: Json) -> Inherited:
    match tree:
        case [str(key), str(group), str(file)]:
            return Inherited(key, group, file)
        case _:
            raise Undecodable(f"expected a key, a group and a file: {tree!r:.80}")


def encode_project(known: KnownProject) -> str:
    """JSON text of the project and of reasons; the dates are columns of their own."""
    project = known.project
    tree = {name: getattr(project, name) for name in _PROJECT_FIELDS}
    tree |= {name: moment_text(getattr(project, name)) for name in _PROJECT_MOMENTS}
    why = {
        "gap_reason": known.gap_reason,
        "gap_tried": moment_text(known.gap_tried),
        "left_out": known.left_out,
    }
    return ascii_json({"project": tree, **{name: text for name, text in why.items() if text}})


def decode_project(text: str, read_at: str, gap_since: str) -> KnownProject:
    """What was encoded, with the dates from their columns. Raises `Undecodable`."""
    tree = _object(_parse(text))
    inner = _object(tree.get("project"))
    values = {name: _get(inner, name, *rule) for name, rule in _PROJECT_FIELDS.items()}
    values["topics"] = _strings(values["topics"])
    values |= {name: zoned_moment(inner.get(name)) for name in _PROJECT_MOMENTS}
    reason, tried, left_out = (_get(tree, name, str, "") for name in _REASONS)
    return KnownProject(
        Project(**values),
        moment_of(read_at),
        moment_of(gap_since),
        reason,
        moment_of(tried),
        left_out,
    )


def encode_horizon(horizon: Horizon) -> str:
    """JSON text; the count of passes is a column of its own."""
    tree: dict[str, Json] = _own_tree(horizon)
    if horizon.others:
        tree["others"] = {
            source: _own_tree(each) for source, each in sorted(horizon.others.items())
        }
    return ascii_json(tree)


def _own_tree(horizon: Horizon) -> dict[str, Json]:
    return {
        "listed_at": moment_text(horizon.listed_at),
        "swept_at": moment_text(horizon.swept_at),
        "scope": horizon.scope,
        "complete_at": moment_text(horizon.complete_at),
    }


def decode_horizon(text: str, passes: int) -> Horizon:
    """What was encoded, with the count from its column. Raises `Undecodable`."""
    tree = _object(_parse(text))
    others = {name: _own(_object(each)) for name, each in _get(tree, "others", dict, {}).items()}
    return replace(_own(tree), passes=passes, others=others)


def _own(tree: dict[str, Json]) -> Horizon:
    """A horizon without those of others."""
    listed, swept, scope, complete = (_get(tree, name, str, "") for name in _HORIZON_FIELDS)
    return Horizon(moment_of(listed), moment_of(swept), scope, moment_of(complete))


def moment_text(moment: datetime | None) -> str:
    """A moment as it is stored: ISO 8601; "" for never."""
    return moment.isoformat() if moment is not None else ""


def moment_of(text: str) -> datetime | None:
    """What was stored, aware; None for never. Raises `Undecodable`."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Undecodable(f"expected a date and time, got {text[:40]!r}") from error
    if moment.tzinfo is None:
        raise Undecodable(f"expected a date and time with its zone, got {text[:40]!r}")
    return moment


def encode_report(report: Report) -> str:
    """JSON text with more than `Report.as_json`: nothing rounded, receipts whole."""
    return ascii_json(
        {
            "outcome": report.outcome.value,
            "seconds": report.seconds,
            "projects": report.projects,
            "this_pass": report.this_pass,
            "manifests": report.manifests,
            "entities": report.entities,
            "gitlab_requests": report.gitlab_requests,
            "problems": [problem_tree(problem) for problem in report.problems],
            "published": [
                {name: getattr(receipt, name) for name in _RECEIPT_FIELDS}
                for receipt in report.published
            ],
            "started_at": moment_text(report.started_at),
            "failure": report.failure,
            "kind": report.kind.value,
            **({"source": report.source} if report.source else {}),
        }
    )


def decode_report(text: str) -> Report:
    """The report that was encoded. Raises `Undecodable`."""
    tree = _object(_parse(text))
    return Report(
        outcome=_outcome(_get(tree, "outcome", str)),
        seconds=_number(tree.get("seconds")),
        projects=_counts(tree.get("projects", {})),
        manifests=_counts(tree.get("manifests", {})),
        entities=_counts(tree.get("entities", {})),
        gitlab_requests=_get(tree, "gitlab_requests", int, 0),
        problems=tuple(problem_of(each) for each in _get(tree, "problems", list, [])),
        published=tuple(_receipt(each) for each in _get(tree, "published", list, [])),
        started_at=moment_of(_get(tree, "started_at", str, "")),
        failure=_get(tree, "failure", str, ""),
        kind=_coverage(_get(tree, "kind", str, "")),
        source=_get(tree, "source", str, ""),
        this_pass=_counts(tree.get("this_pass", {})),
    )


def _parse(text: str) -> Json:
    try:
        return tree_of(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"expected JSON ({error})") from error


def _object(tree: Json) -> dict[str, Json]:
    if not isinstance(tree, dict):
        raise Undecodable(f"expected an object, got {type(tree).__name__}")
    return tree


def _get(tree: dict[str, Json], key: str, kind: type[Kind], default: Kind | None = None) -> Kind:
    value = tree.get(key, default)
    if type(value) is not kind:  # exact: JSON's true must not pass for a number
        raise Undecodable(f"expected {kind.__name__} at {key!r}, got {type(value).__name__}")
    return value


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Undecodable(f"expected a number, got {type(value).__name__}")
    return float(value)


def _strings(values: list[Json]) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise Undecodable("expected a list of text")
    return tuple(values)


def _counts(tree: Json) -> dict[str, int]:
    counts = _object(tree)
    if not all(type(count) is int for count in counts.values()):
        raise Undecodable("expected an object of whole numbers")
    return counts


def problem_tree(problem: Problem) -> dict[str, Json]:
    """A problem as a JSON object."""
    tree = {name: getattr(problem, name) for name in _PROBLEM_FIELDS}
    return {name: value for name, value in tree.items() if value or name not in _OF_FURTHER}


def problem_of(tree: Json) -> Problem:
    """The problem that `problem_tree` gave. Raises `Undecodable`."""
    values = _by_rules(tree, _PROBLEM_FIELDS)
    try:
        values["severity"] = Severity(values["severity"])
    except ValueError as error:
        raise Undecodable(str(error)) from error
    return Problem(**values)


def _draft(tree: Json) -> Draft:
    values = _object(tree)
    body = interned(_get(values, "body", dict))
    places = tuple(_place(each) for each in _get(values, "places", list, []))
    line, column = _get(values, "line", int, 1), _get(values, "column", int, 1)
    return Draft(body, line, column, places, _get(values, "document", int, 0))


def _place(tree: Json) -> tuple[str, int, int]:
    match tree:
        case [str(reference), int(line), int(column)]:
            return intern(reference), line, column
    raise Undecodable("expected a reference, a line and a column")


def _receipt(tree: Json) -> Receipt:
    values = _by_rules(tree, _RECEIPT_FIELDS)
    return Receipt(**{**values, "changed": _strings(values["changed"])})


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError as error:
        raise Undecodable(str(error)) from error


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError as error:
        raise Undecodable(str(error)) from error


def _coverage(text: str) -> Coverage:
    """What a pass set out to see; "" is an older Fester's, which could not tell."""
    try:
        return Coverage(text) if text else Coverage.FULL
    except ValueError as error:
        raise Undecodable(str(error)) from error


# A field's rule: the JSON type expected, and the default when the key is missing.
_Rule = tuple[type[Json], Json]


def _rules(noun: type[Json]) -> dict[str, _Rule]:
    kinds: dict[str, type[Json]] = {"int": int, "bool": bool, "tuple[str, ...]": list}
    defaults = {
        field.name: None if field.default is MISSING else field.default for field in fields(noun)
    }
    rules: dict[str, _Rule] = {}
    for field in fields(noun):
        kind = kinds.get(str(field.type), str)  # annotations are text; enums are stored as text
        default = defaults[field.name]
        rules[field.name] = (kind, [] if default == () else _value_of(default))
    return rules


def _value_of(default: Json) -> Json:
    return default.value if isinstance(default, Severity) else default


def _by_rules(tree: Json, rules: dict[str, _Rule]) -> dict[str, Json]:
    values = _object(tree)
    return {name: _get(values, name, *rule) for name, rule in rules.items()}


_PROJECT_MOMENTS = ("created_at", "updated_at", "last_activity_at")
_PROJECT_FIELDS = {
    name: rule for name, rule in _rules(Project).items() if name not in _PROJECT_MOMENTS
}
_PROBLEM_FIELDS = _rules(Problem)
_OF_FURTHER = frozenset({"gitlab", "source"})  # which most stores know nothing of
_RECEIPT_FIELDS = _rules(Receipt)
_REASONS = ("gap_reason", "gap_tried", "left_out")
# In the order of `Horizon`.
_HORIZON_FIELDS = ("listed_at", "swept_at", "scope", "complete_at")
