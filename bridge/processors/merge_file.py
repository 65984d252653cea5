"""Reads merge.yaml. Its shape is that of the JSON Schema `merge` (`fester schema merge`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean, nearest
from bridge.language.own_schemas import faults
from bridge.language.source import Source
from bridge.language.text_faults import clean
from bridge.language.text_positions import Path as Keys
from bridge.model.entities import Json
from bridge.processors.merging import Identity, KindRules, MergeRules, Rule
from bridge.processors.rules import SPEC_FIELDS

RULE: Final = "merge-rules"
_ROOTS: Final = ("metadata", "spec")
_FIXED: Final = frozenset(("metadata.name", "metadata.namespace"))
_KINDS: Final = {
    kind.lower(): kind
    for kind in (
        *("Component", "API", "Resource", "System", "Domain", "Group"),
        *("User", "Location", "Template"),
    )
}


def load_merge_rules(path: Path) -> MergeRules:
    """The rules of a file; raises ConfigurationError with every problem, each with its place."""
    source, tree, _ = Source.opened(path, RULE, "must be an object, in one YAML document")
    source.problems += faults("merge", source, tree)
    _check_names(source, tree)
    if source.problems:
        raise ConfigurationError(source.problems)
    return _rules(tree)


def _check_names(source: Source, tree: Mapping[str, Json]) -> None:
    """What the schema cannot say: which fields and kinds there are."""
    _check_fields(source, _map(tree.get("fields")), ("fields",), ())
    seen: set[str] = set()
    for name, each in _map(tree.get("kinds")).items():
        at: Keys = ("kinds", name)
        if name.lower() in seen:
            message = f"`{clean(name)}` is there twice: letter case makes no other kind"
            source.problem(message, at, key=True)
        seen.add(name.lower())
        near = nearest(name, _KINDS, likeness=0.75)
        if name.lower() not in _KINDS and near:
            message = f"`{clean(name)}` is no kind; did you mean `{_KINDS[near[0]]}`?"
            source.problem(message, at, key=True)
        own = tuple(SPEC_FIELDS.get(name.lower(), ()))
        _check_fields(source, _map(_map(each).get("fields")), (*at, "fields"), own)


def _check_fields(
    source: Source, fields: Mapping[str, Json], path: Keys, own: Sequence[str]
) -> None:
    for name in fields:
        root, dot, rest = name.partition(".")
        if name in _FIXED or not dot or not rest or root not in _ROOTS:
            message = (
                f"`{clean(name)}` cannot have a rule: name a field below `metadata` or `spec`, "
                f"such as metadata.title or spec.owner{did_you_mean(root, _ROOTS)}"
            )
            source.problem(message, (*path, name), key=True)
        elif root == "spec" and own and rest not in own:
            # Extra fields are allowed; one that is nearly a known one is a slip of the pen.
            near = nearest(rest, own, likeness=0.8)
            if near:
                message = f"`{clean(name)}` is no field here; did you mean `spec.{near[0]}`?"
                source.problem(message, (*path, name), key=True)


def _rules(tree: Mapping[str, Json]) -> MergeRules:
    """The rules of a file that has its shape."""
    default = tree.get("default", {})
    identity = Identity(default.get("identity", Identity.CLAIM))
    rule = Rule(default.get("rule", Rule.MAJORITY))
    common = {name: Rule(each) for name, each in tree.get("fields", {}).items()}
    kinds = {
        name.lower(): KindRules(
            Identity(each.get("identity", identity)),
            Rule(each.get("rule", rule)),
            {**common, **{field: Rule(said) for field, said in each.get("fields", {}).items()}},
            frozenset(word.lower() for word in each.get("leave_out", ())),
        )
        for name, each in tree.get("kinds", {}).items()
    }
    yields = frozenset(tree.get("yields", ()))
    return MergeRules(kinds, KindRules(identity, rule, common), yields)


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
