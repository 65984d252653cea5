"""Puts owners right before manifests are merged: who is meant, or a warning on the very line.

Where the teams are known, no Group is made of a name that is none of them: what a manifest says of
its owner (a channel, a page) goes to the team that it means, and a slip of the pen is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from bridge.language.text_faults import clean, shown
from bridge.model.entities import Body, Draft, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors import group_names, membership
from bridge.processors.teams import Team, TeamMatch, Teams, team_of

OTHER_OWNERS: Final = "fester.dev/other-owners"  # references with commas between them
_MOST_OTHERS: Final = 50
_MOST_NAMED: Final = 3
_MOST_TOLD: Final = 20  # owners of one manifest that are reported one by one

_Settled: TypeAlias = tuple[TranslatedManifest, tuple[Problem, ...]]


def described(manifest: TranslatedManifest) -> tuple[Team, ...]:
    """The teams that a manifest describes, not only names as an owner."""
    drafts = manifest.translation.drafts
    named = set(_owners(drafts))
    found = (team_of(draft.body) for draft in drafts)
    teams = (team for team in found if team is not None and team.ref not in named)
    return tuple(group_names.dated(team, manifest) for team in teams)


def _owners(drafts: Sequence[Draft]) -> dict[Ref, str]:
    """What drafts name as owners, the first or another one, with the text as it stands there."""
    owners: dict[Ref, str] = {}
    for draft in drafts:
        for text in (_owner_text(draft.body), *_other_texts(draft.body)):
            ref = _owner(draft.body, text)
            if ref is not None:
                owners.setdefault(ref, text)
    return owners


def _other_texts(body: Body) -> list[str]:
    """The owners besides the first, which Backstage has no place for."""
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    said = annotations.get(OTHER_OWNERS) if isinstance(annotations, Mapping) else None
    parts = said.split(",")[:_MOST_OTHERS] if isinstance(said, str) else ()
    return [part.strip() for part in parts if part.strip()]


def _owner_text(body: Body) -> str:
    spec = body.get("spec")
    owner = spec.get("owner") if isinstance(spec, Mapping) else None
    return owner if isinstance(owner, str) else ""


def _owner(body: Body, text: str) -> Ref | None:
    metadata = body.get("metadata")
    space = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    try:
        return Ref.parse(
            text.strip(), kind="group", namespace=space if isinstance(space, str) else "default"
        )
    except ValueError:
        return None  # the rules for entities report it


def settled(manifest: TranslatedManifest, teams: Teams) -> _Settled:
    """A manifest with its owners put right, and what is wrong with them.

    One that needs nothing is the very same object.
    """
    manifest, collided = group_names.without_collision(manifest, teams)
    manifest, foreign = membership.without_foreign(manifest, teams)
    drafts = manifest.translation.drafts
    owners = _owners(drafts)
    found = {ref: teams.find(ref) for ref in owners}
    lost = {
        ref: each for ref, each in found.items() if len(each.refs) != 1 and teams.judges(ref.kind)
    }
    told = (_problem(manifest, ref, owners[ref], lost[ref]) for ref in list(lost)[:_MOST_TOLD])
    problems = (*collided, *foreign, *_elsewhere(manifest, owners, teams), *told)
    right = tuple(each for draft in drafts for each in _draft(draft, found, teams))
    if len(right) == len(drafts) and all(a is b for a, b in zip(right, drafts, strict=True)):
        return manifest, problems
    return replace(manifest, translation=replace(manifest.translation, drafts=right)), problems


def _elsewhere(
    manifest: TranslatedManifest, owners: Mapping[Ref, str], teams: Teams
) -> tuple[Problem, ...]:
    """What a manifest describes and another source publishes, in one problem.

    A Group that is only named as an owner is no description.
    """
    left: dict[Ref, Draft] = {}
    for draft in manifest.translation.drafts:
        team = team_of(draft.body)
        holder = teams.by_ref.get(team.ref) if team else None
        if holder and holder.elsewhere and not _only_named(draft, holder.ref, owners):
            left.setdefault(holder.ref, draft)
    if not left:
        return ()
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    first = next(iter(left.values()))
    message = (
        f"{', '.join(clean(str(ref), 255) for ref in list(left)[:_MOST_NAMED])}{more}: left out, "
        "for another source puts it into Backstage, as its catalog (`owners.backstage`) or "
        "`owners.known` says. Take it out there, or here"
    )
    return (
        Problem(
            message,
            "team-elsewhere",
            Severity.WARNING,
            project=manifest.project.path,
            gitlab=mark_in(manifest.project.id),
            file=manifest.file,
            line=first.line,
            column=first.column,
            ref=clean(str(next(iter(left))), 255),
        ),
    )


def _only_named(draft: Draft, ref: Ref, owners: Mapping[Ref, str]) -> bool:
    annotations = draft.body["metadata"].get("annotations")
    made = isinstance(annotations, Mapping) and SOURCE_NAME in annotations
    return made and ref.kind == "group" and ref in owners


def _draft(draft: Draft, found: Mapping[Ref, TeamMatch], teams: Teams) -> tuple[Draft, ...]:
    """A draft with its owner put right; none where it would make a team that is none."""
    try:
        own = Ref.of(draft.body)
    except (KeyError, AttributeError, TypeError):
        return (draft,)
    if own in teams.by_ref and teams.by_ref[own].elsewhere:
        return ()  # two sources of one entity are a conflict in Backstage; `_elsewhere` tells
    if own in found and own.kind == "group":
        return _named(draft, found[own], teams)
    draft = _with_others(draft, found)
    owner = _owner(draft.body, _owner_text(draft.body))
    if owner is None or len(found[owner].refs) != 1 or found[owner].refs[0] == owner:
        return (draft,)
    spec = {**draft.body["spec"], "owner": str(found[owner].refs[0])}
    return (replace(draft, body={**draft.body, "spec": spec}),)


def _with_others(draft: Draft, found: Mapping[Ref, TeamMatch]) -> Draft:
    """A draft with the owners besides the first put right; the very same one if they are."""
    texts = _other_texts(draft.body)
    meant = list(texts)
    for at, text in enumerate(texts):
        ref = _owner(draft.body, text)
        if ref is not None and len(found[ref].refs) == 1 and found[ref].refs[0] != ref:
            meant[at] = str(found[ref].refs[0])
    if meant == texts:
        return draft
    metadata = draft.body["metadata"]
    annotations = {**metadata["annotations"], OTHER_OWNERS: ", ".join(dict.fromkeys(meant))}
    return replace(draft, body={**draft.body, "metadata": {**metadata, "annotations": annotations}})


def _named(draft: Draft, found: TeamMatch, teams: Teams) -> tuple[Draft, ...]:
    """What becomes of a Group that a manifest only names: of one that is known, what it adds."""
    if len(found.refs) != 1:
        return () if teams.strict else (draft,)
    team = teams.by_ref.get(found.refs[0])
    if team is None:
        return () if teams.strict else (draft,)
    if team.elsewhere or team.ref.kind != "group":
        return ()
    said = draft.body["metadata"]
    annotations = {
        key: value for key, value in (said.get("annotations") or {}).items() if key != SOURCE_NAME
    }
    adds = {"annotations": annotations, "links": said.get("links")}
    metadata = {"name": team.ref.name, **{key: each for key, each in adds.items() if each}}
    if team.ref.namespace != "default":
        metadata["namespace"] = team.ref.namespace
    body = {**draft.body, "metadata": metadata, "spec": {"type": team.type, "children": []}}
    return (replace(draft, body=body),)


def _problem(manifest: TranslatedManifest, owner: Ref, text: str, found: TeamMatch) -> Problem:
    drafts = manifest.translation.drafts
    first = next(draft for draft in drafts if owner in _owners([draft]))
    line, column = next(
        ((at, beside) for said, at, beside in first.places if said == text),
        (first.line, first.column),
    )
    written = _written(drafts, owner)
    if found.refs:
        among = " and ".join(map(str, found.refs[:3]))
        message = f"the owner {shown(written)} may be {among}: write the one that is meant"
    else:
        near = " or ".join(map(str, found.near))
        hint = f"; did you mean {near}?" if near else "."
        message = (
            f"the owner {shown(written)} is no known team{hint} Write the reference, the title or "
            "the GitLab path of a team that there is, or give this name one in `owners.table`"
        )
    try:
        ref = clean(str(Ref.of(first.body)), 255)
    except (KeyError, AttributeError, TypeError):
        ref = ""
    return Problem(
        message,
        "owner-ambiguous" if found.refs else "owner-unknown",
        Severity.WARNING,
        project=manifest.project.path,
        gitlab=mark_in(manifest.project.id),
        file=manifest.file,
        line=line,
        column=column,
        ref=ref,
    )


def _written(drafts: Sequence[Draft], owner: Ref) -> str:
    """The owner as a person wrote it, where a draft of its Group tells; else its reference."""
    for draft in drafts:
        team = team_of(draft.body)
        if team is not None and team.ref == owner:
            annotations = draft.body["metadata"].get("annotations") or {}
            return str(annotations.get(SOURCE_NAME) or owner.name)
    return owner.name if owner.kind == "group" else str(owner)
