"""Groups and users of GitLab that become one name: two of them, of which one can have it.

`a-b` and `a/b` are both `a-b` in Backstage, and two GitLabs may each have an `a/b`. Merged they
would be one team with the members of both, so the group that was there first has the name, and all
that the other one's manifest gives is left out, with a problem that names both. So it is with the
same username in two GitLabs, which may be two people: merged, one would be in the other's teams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge.language.text_faults import clean
from bridge.model.entities import Body, Draft
from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import AFTER_ALL
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.suggested_owner import GROUP_PATH, SOURCE_NAME
from bridge.processors.teams import Team, Teams, team_of

_MOST_NAMED: Final = 3  # people that one message names


def dated(team: Team, manifest: TranslatedManifest) -> Team:
    """A team with the path and the age of the GitLab group or user that it is made of, if it is.

    Only the crawl gives manifests of groups, under numbers below zero: no manifest that somebody
    writes can take a group's name. The older claim comes first, then the group made first.
    """
    path = _path(team, manifest) if manifest.project.id < 0 else ""
    age = manifest.held_since or AFTER_ALL, -manifest.project.id
    gitlab = mark_in(manifest.project.id)
    within = manifest.project.path if team.ref.kind == "user" else ""
    return replace(team, path=path, gitlab=gitlab, age=age, within=within) if path else team


def without_collision(
    manifest: TranslatedManifest, teams: Teams
) -> tuple[TranslatedManifest, tuple[Problem, ...]]:
    """A group's manifest that says nothing where another group has its name, and why.

    A group below such a one has no parent, rather than one that merely has the same name; a member
    whose name another person has is left out. Any other manifest is the very same object.
    """
    path, gitlab = manifest.project.path, mark_in(manifest.project.id)
    if manifest.project.id >= 0:
        return manifest, ()
    holder = teams.holder(gitlab, path)
    if holder is not None:
        return _with(manifest, ()), (_problem(manifest, holder),)
    manifest, problems = _without_others(manifest, teams)
    if teams.holder(gitlab, path.rpartition("/")[0]) is None:
        return manifest, problems
    drafts = manifest.translation.drafts
    return _with(manifest, tuple(_without_parent(draft) for draft in drafts)), problems


def _without_others(
    manifest: TranslatedManifest, teams: Teams
) -> tuple[TranslatedManifest, tuple[Problem, ...]]:
    """A group's manifest without the members whose names other people have, and one error."""
    gitlab = mark_in(manifest.project.id)
    kept: list[Draft] = []
    lost: list[tuple[str, Team]] = []
    for draft in manifest.translation.drafts:
        made = team_of(draft.body)
        username = _told(draft.body, SOURCE_NAME) if made and made.ref.kind == "user" else ""
        holder = teams.user_holder(gitlab, username) if username else None
        if holder is None:
            kept.append(draft)
        else:
            lost.append((username, holder))
    if not lost:
        return manifest, ()
    return _with(manifest, tuple(kept)), (_other_people(manifest, lost),)


def _with(manifest: TranslatedManifest, drafts: tuple[Draft, ...]) -> TranslatedManifest:
    return replace(manifest, translation=replace(manifest.translation, drafts=drafts))


def _path(team: Team, manifest: TranslatedManifest) -> str:
    """The path or username as the entity tells it; a mapping may merge several by telling none."""
    for draft in manifest.translation.drafts:
        made = team_of(draft.body)
        if made is not None and made.ref == team.ref:
            return _told(draft.body, GROUP_PATH if team.ref.kind == "group" else SOURCE_NAME)
    return ""


def _told(body: Body, annotation: str) -> str:
    annotations = body["metadata"].get("annotations")
    return str(annotations.get(annotation) or "") if isinstance(annotations, Mapping) else ""


def _without_parent(draft: Draft) -> Draft:
    spec = draft.body.get("spec")
    if not isinstance(spec, Mapping) or "parent" not in spec:
        return draft
    rest = {key: value for key, value in spec.items() if key != "parent"}
    return replace(draft, body={**draft.body, "spec": rest})


def _problem(manifest: TranslatedManifest, holder: Team) -> Problem:
    ours, theirs = clean(manifest.project.path), clean(holder.path)
    if holder.gitlab != mark_in(manifest.project.id):
        theirs = f"{theirs} of another GitLab"
    message = (
        f"the groups {theirs} and {ours} both become {holder.ref}; {theirs} was there first, so "
        f"{ours} and who is a member of it alone are left out: rename one of them, or give one "
        "another name in a mapping of your own (gitlab-org.yaml)"
    )
    return _lost_name(manifest, message, holder)


def _other_people(manifest: TranslatedManifest, lost: list[tuple[str, Team]]) -> Problem:
    mark = mark_in(manifest.project.id)
    told = [
        f"{clean(username)} and {clean(holder.path)}"
        f"{' of another GitLab' if holder.gitlab != mark else ''} both become {holder.ref}"
        for username, holder in lost[:_MOST_NAMED]
    ]
    more = f", and {len(lost) - _MOST_NAMED} more like these" if len(lost) > _MOST_NAMED else ""
    message = (
        f"of the members of {clean(manifest.project.path)}, {', '.join(told)}{more}; they may be "
        "two people, and the latter was there first, so the former is left out: give one another "
        "name in a mapping of your own (gitlab-org.yaml), or, where they are one person, no "
        f"{SOURCE_NAME}"
    )
    return _lost_name(manifest, message, lost[0][1])


def _lost_name(manifest: TranslatedManifest, message: str, holder: Team) -> Problem:
    return Problem(
        message,
        "claim-lost",
        Severity.ERROR,
        project=manifest.project.path,
        gitlab=mark_in(manifest.project.id),
        file=manifest.file,
        ref=str(holder.ref),
    )
