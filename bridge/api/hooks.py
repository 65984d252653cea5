"""What GitLab's webhooks say, as hints. Pure: a body in, a hint or a reason to ignore it out.

A hint only says what to read again, so a hook that is late, repeated or out of order does no harm.
https://docs.gitlab.com/user/project/integrations/webhook_events/
https://docs.gitlab.com/administration/system_hooks/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bridge.model.entities import Json
from bridge.model.hints import Hint

_HEADS = "refs/heads/"
_NO_COMMIT = "0" * 40
_OF_A_GROUP = ("group_rename", "group_update", "group_destroy", "subgroup_destroy")
_GROUP_PATHS = ("old_full_path", "full_path", "old_path_with_namespace")
_LONGEST_PATH = 1024


@dataclass(frozen=True, slots=True)
class HookFilter:
    """What a push must touch to matter: files, on a project's branch ("" its default one).

    A file that ends in `/` stands for all that are removed below it. With `everything` any file
    matters.
    """

    files: frozenset[str]
    branch: Callable[[str], str] = lambda path: ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Understood:
    """The hints of a hook; without any, `ignored` says why."""

    hints: tuple[Hint, ...] = ()
    ignored: str = ""


def understand(body: Json, wanted: HookFilter) -> Understood:
    """What a hook's body says. Never raises for what it holds."""
    if not isinstance(body, Mapping):
        return Understood(ignored="the body is not an object")
    event = _text(body, "event_name") or _text(body, "object_kind")
    if event == "push":
        return _push(body, wanted)
    if event == "repository_update":
        return _repository_update(body, wanted)
    if event in _OF_A_GROUP:
        return _group(body)
    if event.startswith("project_"):
        return _project(body)
    return Understood(ignored=f"{event[:40] or 'an event without a name'} changes no catalog")


def pushed_project(body: Json) -> int | None:
    """The project that a push is about; None for any other hook."""
    if not isinstance(body, Mapping):
        return None
    event = _text(body, "event_name") or _text(body, "object_kind")
    return _project_id(body) if event == "push" else None


def _project(body: Mapping[str, Json]) -> Understood:
    number = _project_id(body)
    if number is None:
        return Understood(ignored="it names no project_id")
    return Understood((Hint(number),))


def _group(body: Mapping[str, Json]) -> Understood:
    """A group that was renamed, archived or is gone: its projects are known by its old path, or
    its new. Nothing else tells of them: no date of theirs moves with the group.
    """
    paths = {_text(body, key).strip("/") for key in _GROUP_PATHS}
    hints = tuple(Hint(group=path) for path in sorted(paths) if 0 < len(path) <= _LONGEST_PATH)
    return Understood(hints) if hints else Understood(ignored="it names no group")


def _push(body: Mapping[str, Json], wanted: HookFilter) -> Understood:
    if not _on_the_branch([_text(body, "ref")], body, wanted):
        return Understood(ignored="a push to another branch")
    if not wanted.everything and _proves_no_manifest_touched(body, wanted.files):
        return Understood(ignored="a push that touches no manifest")
    return _project(body)


def _repository_update(body: Mapping[str, Json], wanted: HookFilter) -> Understood:
    refs = body.get("refs")
    named = [ref for ref in refs if isinstance(ref, str)] if isinstance(refs, list) else []
    if named and not _on_the_branch(named, body, wanted):
        return Understood(ignored="an update of other branches")
    return _project(body)


def _on_the_branch(refs: list[str], body: Mapping[str, Json], wanted: HookFilter) -> bool:
    """Whether the branch that is read may be among `refs`; True when it is not known."""
    project = body.get("project")
    project = project if isinstance(project, Mapping) else {}
    branch = wanted.branch(_text(project, "path_with_namespace"))
    branch = branch or _text(project, "default_branch")
    return not branch or f"{_HEADS}{branch}" in refs


def _proves_no_manifest_touched(body: Mapping[str, Json], files: frozenset[str]) -> bool:
    """Whether the lists of files prove that no wanted one was touched.

    They are proof only when all commits are listed (GitLab lists 20 at most, and none in system
    hooks), when the branch neither began nor ended with this push, and when no file was added: of
    a file that was renamed GitLab lists the new path alone, under `added`. A forced push that
    takes commits back and adds others does not say so: the next pass over what changed finds it.
    """
    commits, total = body.get("commits"), body.get("total_commits_count")
    if not isinstance(commits, list) or not commits or len(commits) != total:
        return False
    if any(_text(body, key) in ("", _NO_COMMIT) for key in ("before", "after")):
        return False
    return all(_touches_none(commit, files) for commit in commits)


def _touches_none(commit: Json, files: frozenset[str]) -> bool:
    if not isinstance(commit, Mapping) or commit.get("added") != []:
        return False
    lists = (commit.get("modified"), commit.get("removed"))
    if not all(isinstance(each, list) and files.isdisjoint(_texts(each)) for each in lists):
        return False
    removed = commit.get("removed")
    folders = tuple(file for file in files if file.endswith("/"))
    return not any(text.startswith(folders) for text in _texts(removed or [])) if folders else True


def _texts(values: list[Json]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))


def _project_id(body: Mapping[str, Json]) -> int | None:
    number = body.get("project_id")
    return number if type(number) is int and 0 < number < 2**63 else None


def _text(body: Mapping[str, Json], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
