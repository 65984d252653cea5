"""Who says who is in a team: GitLab alone, of the groups and people that the crawl read there.

Any project may write a User or a Group into a manifest of its own. If that were merged with what
GitLab tells, everybody who may push to some project could put themselves into every team.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bridge.language.text_faults import clean, shown
from bridge.model.entities import Draft, Json, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.statements import Statement
from bridge.processors.teams import Teams

_RULE: Final = "membership-of-gitlab"
_MOST_NAMED: Final = 3  # values that one message names
# How an entity joins itself to teams, and others to itself: the field, and what it leads to.
_JOINING: Final = {
    "user": (("memberOf", "group"),),
    "group": (("children", "group"), ("members", "user")),
}
_ALONE: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("memberOf", "email"),
    "group": ("members", "parent", "children", "email"),
}


def of_gitlab(statements: Sequence[Statement]) -> tuple[Sequence[Statement], list[Problem]]:
    """What is said of one entity, without what GitLab alone says, and a problem for each such.

    Only the crawl gives manifests under numbers below zero. Where it is silent, or nobody else
    speaks, the statements are the very same.
    """
    fields = _ALONE.get(statements[0].ref.kind, ())
    read = [each for each in statements if each.manifest.project.id < 0]
    if not fields or not read or len(read) == len(statements):
        return statements, []
    known = {field: {key for each in read for key, _ in _said(each, field)} for field in fields}
    kept: list[Statement] = []
    problems: list[Problem] = []
    for each in statements:
        if each.manifest.project.id < 0:
            kept.append(each)
            continue
        kept.append(_without(each, fields))
        for field in fields:
            other = [value for key, value in _said(each, field) if key not in known[field]]
            if other:
                problems.append(_overruled(each, field, other, read[0]))
    return kept, problems


def without_foreign(
    manifest: TranslatedManifest, teams: Teams
) -> tuple[TranslatedManifest, tuple[Problem, ...]]:
    """A manifest whose own Users and Groups join no group that GitLab tells of, and whose Groups
    have no member who is a stranger to its project; and why.

    People of GitLab are no strangers where they are in a group that the project lies in. Of a User
    or Group that GitLab tells of itself, `of_gitlab` judges. A manifest that needs nothing is the
    very same object.
    """
    if manifest.project.id < 0:
        return manifest, ()
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for draft in manifest.translation.drafts:
        right, told = _joining_none(manifest, draft, teams)
        drafts.append(right)
        problems += told
    if not problems:
        return manifest, ()
    translation = replace(manifest.translation, drafts=tuple(drafts))
    return replace(manifest, translation=translation), tuple(problems)


def _joining_none(
    manifest: TranslatedManifest, draft: Draft, teams: Teams
) -> tuple[Draft, list[Problem]]:
    try:
        ref = Ref.of(draft.body)
    except (KeyError, AttributeError, TypeError):
        return draft, []  # the rules for entities report it
    spec = draft.body.get("spec")
    if not isinstance(spec, Mapping) or teams.is_read(ref):
        return draft, []
    problems = []
    for field, kind in _JOINING.get(ref.kind, ()):
        said = spec.get(field)
        if not isinstance(said, list):
            continue
        foreign = _foreign(said, ref, kind, manifest, teams)
        if foreign:
            spec = {**spec, field: [each for each in said if each not in foreign]}
            message = _left_out(field, foreign, ref, manifest)
            problems.append(_problem(message, manifest, draft, ref))
    return (replace(draft, body={**draft.body, "spec": spec}) if problems else draft), problems


def _foreign(
    said: Sequence[Json], by: Ref, kind: str, manifest: TranslatedManifest, teams: Teams
) -> list[Json]:
    """Those of the values that lead to a group of GitLab, or to a person who is a stranger."""
    gitlab, project = mark_in(manifest.project.id), manifest.project.path
    found = []
    for each in said:
        ref = _ref(each, kind, by)
        if ref is not None and teams.is_read(ref):
            near = ref.kind == "user" and teams.is_met_above(ref, gitlab, project)
            found += [] if near else [each]
    return found


def _ref(value: Json, kind: str, by: Ref) -> Ref | None:
    try:
        text = value.strip() if isinstance(value, str) else ""
        return Ref.parse(text, kind=kind, namespace=by.namespace) if text else None
    except ValueError:
        return None


def _left_out(field: str, foreign: Sequence[Json], ref: Ref, manifest: TranslatedManifest) -> str:
    said, project = clean(str(ref), 255), clean(manifest.project.path)
    if field == "members":
        return (
            f"{said}: {_list(foreign)} are in no GitLab group that {project} lies in, so its "
            "`members` are without them: else anybody might put them into any team. Add them "
            "to a group above in GitLab, or move the manifest to a project of theirs"
        )
    return (
        f"{said}: GitLab alone says who is in its groups, so `{field}` {_list(foreign)} of "
        f"{project} is left out: change it in GitLab"
    )


def _said(statement: Statement, field: str) -> Iterator[tuple[str, Json]]:
    """Each value that a field has, with what tells it apart: references in one spelling."""
    spec = statement.body.get("spec")
    place = spec.get("profile") if field == "email" and isinstance(spec, Mapping) else spec
    value = place.get(field) if isinstance(place, Mapping) else None
    for each in value if isinstance(value, list) else [value]:
        if each not in (None, ""):
            yield _key(statement, field, each), each


def _key(statement: Statement, field: str, value: Json) -> str:
    kind = "user" if field == "members" else "group"
    try:
        if field != "email" and isinstance(value, str):
            space = statement.ref.namespace
            return str(Ref.parse(value.strip(), kind=kind, namespace=space))
    except ValueError:
        pass  # told as it stands there
    return json.dumps(value, sort_keys=True)


def _without(statement: Statement, fields: Sequence[str]) -> Statement:
    spec = statement.body.get("spec")
    if not isinstance(spec, Mapping):
        return statement
    left = {key: value for key, value in spec.items() if key not in fields or key == "email"}
    profile = left.get("profile")
    if isinstance(profile, Mapping):
        left["profile"] = {key: value for key, value in profile.items() if key != "email"}
    return replace(statement, body={**statement.body, "spec": left})


def _overruled(
    statement: Statement, field: str, values: Sequence[Json], read: Statement
) -> Problem:
    path = "profile.email" if field == "email" else field
    message = (
        f"{statement.ref}: GitLab alone says its `{path}` (by the group "
        f"{clean(read.manifest.project.path)}), so {_list(values)} of "
        f"{clean(statement.manifest.project.path)} is left out: change it in GitLab"
    )
    return _problem(message, statement.manifest, statement, statement.ref)


def _list(values: Sequence[Json]) -> str:
    more = ", …" if len(values) > _MOST_NAMED else ""
    return f"[{', '.join(shown(each) for each in values[:_MOST_NAMED])}{more}]"


def _problem(
    message: str, manifest: TranslatedManifest, at: Draft | Statement, ref: Ref
) -> Problem:
    return Problem(
        message,
        _RULE,
        Severity.WARNING,
        project=manifest.project.path,
        gitlab=mark_in(manifest.project.id),
        file=manifest.file,
        line=at.line,
        column=at.column,
        ref=clean(str(ref), 255),
    )
