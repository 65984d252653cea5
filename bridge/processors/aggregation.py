"""What one manifest says of entities, and one entity of all that is said of it: pure.

Entities that Backstage would refuse are left out, two claims on one name are settled by age, and
what several projects share is merged. Whatever is left out or overruled becomes a problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.caching.interning import once_for_each
from bridge.language.text_faults import clean, shown
from bridge.model.entities import Body, CatalogEntity, Draft, Json, Origin, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import iso
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import Project
from bridge.model.statements import Statement
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors.descriptions import with_description
from bridge.processors.membership import of_gitlab
from bridge.processors.merging import Conflict, Identity, MergeRules, Rule, merge
from bridge.processors.placeholders import neutralise, neutralised
from bridge.processors.provenance import as_kept, says_most, with_source
from bridge.processors.rules import Broken, broken_rules, refused

_MOST_NAMED = 3  # findings, names or values that one message lists


def merged(
    statements: Sequence[Statement], rules: MergeRules
) -> tuple[CatalogEntity | None, list[Problem]]:
    """The entity of all that is said of one reference, and what was overruled on the way.

    Takes statements in the order of `Statement.place`; None when what they make together is
    nothing that Backstage would take. Never raises for what a manifest says.
    """
    if is_claimed(statements[0].ref, rules):
        return _claimed(statements, rules)
    return _shared(statements, rules)


def is_claimed(ref: Ref, rules: MergeRules) -> bool:
    """Whether the entity is one manifest's alone."""
    return rules.of(ref.kind).identity is Identity.CLAIM


def said(manifest: TranslatedManifest) -> tuple[list[Statement], list[Problem]]:
    """What one manifest says that Backstage would take, and what is wrong with the rest.

    Placeholders are neutralised; a draft that breaks a rule becomes a problem instead.
    """
    statements: list[Statement] = []
    problems: list[Problem] = []
    for index, draft in enumerate(manifest.translation.drafts):
        body, changed, broken = _judged(draft.body)
        if broken:
            message = _invalid(body, [f"{each.path}: {each.message}" for each in broken])
            problems.append(
                _at(manifest, draft, message, rule="entity-invalid", severity=Severity.ERROR)
            )
            continue
        ref = Ref.of(body)
        statements.append(
            Statement(ref, body, manifest, index, draft.line, draft.column, draft.places)
        )
        if changed:
            message = _placeholder(ref, changed)
            problems.append(_at(manifest, draft, message, rule="placeholder", ref=str(ref)))
    return statements, problems


@once_for_each
def _judged(draft: Body) -> tuple[Body, tuple[str, ...], list[Broken]]:
    """A draft without placeholders, where it had some, and why Backstage would refuse it."""
    body, changed = neutralised(draft)
    return body, changed, refused(body)


def is_left_out(statement: Statement, rules: MergeRules) -> bool:
    """Whether merge.yaml wants no entities of this type."""
    types = rules.of(statement.ref.kind).leave_out
    return bool(types) and str(statement.body["spec"].get("type", "")).lower() in types


def _invalid(body: Body, broken: Sequence[str]) -> str:
    more = f" (and {len(broken) - _MOST_NAMED} more)" if len(broken) > _MOST_NAMED else ""
    return (
        f"{_called(body)} is left out, because Backstage would refuse it: "
        f"{'; '.join(broken[:_MOST_NAMED])}{more}"
    )


def _called(body: Body) -> str:
    """What to call an entity that may have no reference."""
    kind, metadata = body.get("kind"), body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    plain = clean(kind) if isinstance(kind, str) and kind else "an entity of no kind"
    return f"{plain} {shown(name)}" if name is not None else f"{plain} without a name"


def _placeholder(ref: Ref, changed: Sequence[str]) -> str:
    places = ", ".join(changed[:_MOST_NAMED])
    more = f" and {len(changed) - _MOST_NAMED} more places" if len(changed) > _MOST_NAMED else ""
    return (
        f"{ref}: {places}{more} would make Backstage fetch a file ($text, $json, $yaml), or nests "
        "too deep; it is published as plain data instead"
    )


def _at(
    manifest: TranslatedManifest,
    draft: Draft | Statement,
    message: str,
    *,
    rule: str,
    severity: Severity = Severity.WARNING,
    ref: str = "",
) -> Problem:
    return Problem(
        message,
        rule,
        severity,
        project=manifest.project.path,
        gitlab=mark_in(manifest.project.id),
        file=manifest.file,
        line=draft.line,
        column=draft.column,
        ref=ref or _ref_of(draft.body),
    )


def _ref_of(body: Body) -> str:
    """The reference if the body has one, bounded; "" else."""
    try:
        return clean(str(Ref.of(body)), 255)
    except (KeyError, AttributeError, TypeError):
        return ""


def _claimed(
    statements: Sequence[Statement], rules: MergeRules
) -> tuple[CatalogEntity, list[Problem]]:
    winner, *losers = _by_claim(statements, rules)
    body = with_source(winner.body, winner.manifest)
    if winner.manifest.kept_since:
        body = as_kept(body, winner.manifest, winner.manifest.kept_since)
    entity = CatalogEntity(winner.ref, body, (_origin(winner.manifest),))
    return entity, [_lost(loser, winner, rules) for loser in losers]


def _by_claim(statements: Sequence[Statement], rules: MergeRules) -> list[Statement]:
    """The statements by whose claim is older; within one project, what yields comes last.

    A project's claim is as old as the oldest of its manifests that make it.
    """
    oldest: dict[int, tuple[datetime, int, str, int]] = {}
    for each in statements:
        project = each.manifest.project.id
        oldest[project] = min(oldest.get(project, each.age), each.age)
    return sorted(
        statements,
        key=lambda each: (oldest[each.manifest.project.id], _yields(each, rules), each.age),
    )


def _yields(statement: Statement, rules: MergeRules) -> bool:
    return statement.manifest.translation.mapping in rules.yields


def _lost(loser: Statement, winner: Statement, rules: MergeRules) -> Problem:
    ref, theirs, ours = winner.ref, winner.manifest, loser.manifest
    if theirs.project.id == ours.project.id and _yields(loser, rules) > _yields(winner, rules):
        message = (
            f"{ref} is described by {clean(theirs.file)} of this project, too, and that counts; "
            f"what {clean(ours.file)} says of it is left out: delete it there"
        )
        return _at(ours, loser, message, rule="claim-yielded", ref=str(ref))
    names = _source_name(winner), _source_name(loser)
    collapsed = ""
    if all(names) and names[0] != names[1]:
        collapsed = f" (their names {shown(names[0])} and {shown(names[1])} become the same)"
    since = f", there since {iso(theirs.held_since)}" if theirs.held_since else ""
    if (theirs.project.id, theirs.file) == (ours.project.id, ours.file):
        who = f"this file describes it more than once; what stands on line {winner.line} counts"
    else:
        holder, leaver = _apart(theirs.project, ours.project)
        who = (
            f"{holder} ({clean(theirs.file)}{since}) claimed it first, so what "
            f"{leaver} ({clean(ours.file)}) says is left out"
        )
    message = f"{ref}: {who}{collapsed}; rename one of them, or give one an `id`"
    return _at(ours, loser, message, rule="claim-lost", severity=Severity.ERROR, ref=str(ref))


def _shared(
    statements: Sequence[Statement], rules: MergeRules
) -> tuple[CatalogEntity | None, list[Problem]]:
    ref = statements[0].ref
    statements, overruled = of_gitlab(_in_any_order(statements))
    body, conflicts = merge(statements, rules.of(ref.kind))
    # Merging leaves out silent keys, and an object may be left with a lone `$text`.
    body = neutralise(body) if len(statements) > 1 else body
    problems = overruled + _told(ref, conflicts)
    body = with_description(body, statements)
    body = with_source(body, says_most(statements).manifest)
    kept = [(m.kept_since, m) for m in (each.manifest for each in statements) if m.kept_since]
    if len(kept) == len(statements):
        # It stands on old texts alone since the last of them broke.
        since, last = max(kept, key=lambda each: each[0])
        body = as_kept(body, last, since)
    found = {_origin(statement.manifest) for statement in statements}
    origins = tuple(sorted(found, key=lambda each: each.place))
    broken = broken_rules(body) if len(statements) > 1 else []
    if broken:
        message = _invalid(body, [f"{each.path}: {each.message}" for each in broken])
        first = statements[0]
        problems.append(
            _at(
                first.manifest,
                first,
                message,
                rule="entity-invalid",
                severity=Severity.ERROR,
                ref=str(ref),
            )
        )
        return None, problems
    return CatalogEntity(ref, body, origins), problems


def _told(ref: Ref, conflicts: Sequence[Conflict]) -> list[Problem]:
    """What manifests say differently; of names that collide, what only echoes them is left out."""
    name_path = f"metadata.annotations.{SOURCE_NAME}"
    collided = any(conflict.path == name_path for conflict in conflicts)
    return [
        _collision(ref, conflict) if conflict.path == name_path else _conflict(ref, conflict)
        for conflict in conflicts
        if conflict.path == name_path or not (collided and _echoes(conflict))
    ]


def _in_any_order(statements: Sequence[Statement]) -> Sequence[Statement]:
    """The statements with those of one manifest ordered by what they say.

    Several services of one file may speak of one system: which of them stands first in the file
    must not matter.
    """
    by_file: dict[tuple[int, str], list[Statement]] = {}
    for statement in statements:
        by_file.setdefault(statement.place[:2], []).append(statement)
    if len(by_file) == len(statements):
        return statements
    ordered: list[Statement] = []
    for said_there in by_file.values():
        by_words = sorted(said_there, key=lambda each: json.dumps(each.body, sort_keys=True))
        ordered += [replace(each, index=at) for at, each in enumerate(by_words)]
    return ordered


def _echoes(conflict: Conflict) -> bool:
    """Whether a field only repeats the names: then the collision has told it all."""
    return all(
        value == _source_name(statement)
        for value, statements in conflict.said
        for statement in statements
    )


def _collision(ref: Ref, conflict: Conflict) -> Problem:
    """Different names that became one reference: perhaps one thing, perhaps two."""
    names = " and ".join(
        f"{shown(value)} ({_who(statements)})" for value, statements in conflict.said[:_MOST_NAMED]
    )
    loser = conflict.said[1][1][0]
    message = (
        f"{names}{_others(len(conflict.said))} are different names that all become {ref}, so they "
        "are one entity in the catalog: write the name in one way, or give one of them another, or "
        "an `id` where the format has one"
    )
    return _at(loser.manifest, loser, message, rule="name-collision", ref=str(ref))


def _conflict(ref: Ref, conflict: Conflict) -> Problem:
    if conflict.cut:
        speaker = conflict.said[0][1][0]
        message = (
            f"{ref}: {clean(conflict.path)} would have too many items; the last {conflict.cut} "
            "are left out: name fewer in the manifests"
        )
        return _at(speaker.manifest, speaker, message, rule="merge-conflict", ref=str(ref))
    told = ", ".join(
        f"{_who(statements)}: {_shown(value)}" for value, statements in conflict.said[:_MOST_NAMED]
    )
    winning, winners = conflict.said[0]
    loser = conflict.said[1][1][0]
    message = (
        f"{ref}: projects disagree about {clean(conflict.path)} "
        f"({told}{_others(len(conflict.said))}); "
        f"{_shown(winning)} of {clean(winners[0].manifest.project.path)} stands, "
        f"by the rule {_because(conflict)}: agree on one"
    )
    return _at(loser.manifest, loser, message, rule="merge-conflict", ref=str(ref))


def _because(conflict: Conflict) -> str:
    """The rule in words, with the count that settled it."""
    if conflict.rule is not Rule.MAJORITY:
        return f"`{conflict.rule}`"
    counts = [len(_projects(statements)) for _, statements in conflict.said]
    if counts[0] == counts[1]:
        return "`majority` (a tie, so the lowest project id)"
    return f"`majority` ({counts[0]} of {sum(counts)} projects)"


def _projects(statements: Iterable[Statement]) -> set[int]:
    return {statement.manifest.project.id for statement in statements}


def _apart(one: Project, other: Project) -> tuple[str, str]:
    """Two projects by their paths; by their addresses where these lie in two GitLabs."""
    if mark_in(one.id) == mark_in(other.id):
        return clean(one.path), clean(other.path)
    return clean(one.web_url or one.path), clean(other.web_url or other.path)


def _who(statements: Sequence[Statement]) -> str:
    others = len(_projects(statements)) - 1
    more = f" and {others} more" if others else ""
    return f"{clean(statements[0].manifest.project.path)}{more}"


def _others(values: int) -> str:
    return f", and {values - _MOST_NAMED} other ways" if values > _MOST_NAMED else ""


def _shown(value: Json) -> str:
    """A value in a message; of a list its first items, since "a list" would settle nothing."""
    if isinstance(value, list) and value:
        more = ", …" if len(value) > _MOST_NAMED else ""
        return f"[{', '.join(shown(item) for item in value[:_MOST_NAMED])}{more}]"
    return shown(value)


def _origin(manifest: TranslatedManifest) -> Origin:
    project = manifest.project
    return Origin(
        project_id=project.id,
        project=project.path,
        file=manifest.file,
        oid=manifest.oid,
        mapping=manifest.translation.mapping,
        kept_since=manifest.kept_since,
        held_since=manifest.held_since,
    )


def _source_name(statement: Statement) -> str:
    return str(statement.body["metadata"].get("annotations", {}).get(SOURCE_NAME, ""))
