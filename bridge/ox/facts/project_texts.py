"""Files of a project whose text rides on its page, and when its documents last changed.

One file an alias: some releases of GitLab price the texts of several paths tenfold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bridge.language.codeowners import PLACES
from bridge.model.facts import Subject
from bridge.model.moments import zoned_moment
from bridge.ox.facts import codeowners_text, readme_text
from bridge.ox.facts.readings import ReadingBuilder

README: Final = "README.md"
DOCS: Final = "docs"
README_FACTS: Final = (
    *("readme_length", "readme_sections", "readme_links", "readme_says_how_to_run"),
    *("readme_says_who_owns", "readme_quality"),
)
CODEOWNERS_FACTS: Final = (
    *("codeowners_rules", "codeowners_default_owner", "codeowners_named"),
    *("codeowners_without_owner", "codeowners_unknown"),
)
DOCS_FACTS: Final = ("docs_changed_at", "days_without_docs_change")
TEXT_FACTS: Final = (*README_FACTS, *CODEOWNERS_FACTS, *DOCS_FACTS)

_ENTRY: Final = "(first: 1) { nodes { name } }"
_FILE: Final = '{alias}: blobs(paths: ["{path}"], first: 1) {{ nodes {{ mode rawTextBlob }} }}'
_ALIASES: Final = {"readme": README} | {f"owners{n}": path for n, path in enumerate(PLACES)}
ASKED: Final = " ".join(
    [
        *(_FILE.format(alias=alias, path=path) for alias, path in _ALIASES.items()),
        f'docs: tree(path: "{DOCS}") {{ lastCommit {{ authoredDate }}',
        f"blobs{_ENTRY} trees{_ENTRY} }}",
    ]
)

_SHOWN: Final = 200  # characters of what GitLab says
_HIDDEN: Final = "GitLab does not show the repository to the token"
_TOO_HEAVY: Final = "GitLab could not give the project's texts in time"
_BINARY: Final = "it is no text"
_NOBODY: Final = "the catalog knows no groups and people of GitLab (`gitlab.people`)"


class _Untold(Exception):
    """GitLab failed to give a part: what is null there is not known to be missing."""


def read_texts(
    notes: ReadingBuilder,
    subject: Subject,
    node: Mapping[str, Any],
    failed: Mapping[str, str],
    *,
    asked: bool,
) -> None:
    """The facts of a project's texts; `asked` says whether the page asked for them.

    `failed` are `PageAnswer.failed`: what is null with an error is unknown, not missing.
    """
    repository = node.get("repository")
    if not isinstance(repository, Mapping):
        with _untold_is_unknown(notes, TEXT_FACTS):
            _told("repository", failed)
            notes.not_applicable(_HIDDEN, *TEXT_FACTS)
    elif not asked:
        notes.unknown(_TOO_HEAVY, *TEXT_FACTS)
    else:
        with _untold_is_unknown(notes, README_FACTS):
            _readme(notes, _file(repository, "readme", failed))
        with _untold_is_unknown(notes, CODEOWNERS_FACTS):
            _codeowners(notes, _owners(repository, failed), subject)
        with _untold_is_unknown(notes, DOCS_FACTS):
            _docs(notes, repository.get("docs"), failed)


@contextmanager
def _untold_is_unknown(notes: ReadingBuilder, names: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    except _Untold as untold:
        notes.unknown(str(untold), *names)


def _file(
    repository: Mapping[str, Any], alias: str, failed: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """The file's node; None where there is no file: a folder and a submodule are none."""
    nodes = (repository.get(alias) or {}).get("nodes") or ()
    files = (each for each in nodes if each and str(each.get("mode") or "").startswith("100"))
    file = next(files, None)
    if file is None or file.get("rawTextBlob") is None:
        _told(f"repository.{alias}", failed)
    return file


def _owners(repository: Mapping[str, Any], failed: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The first CODEOWNERS file; one after a place that was not told may not be the first."""
    found = (_file(repository, f"owners{number}", failed) for number in range(len(PLACES)))
    return next((each for each in found if each is not None), None)


def _told(field: str, failed: Mapping[str, str]) -> None:
    """Raises `_Untold` for a field with an error."""
    if field in failed:
        alias = field.removeprefix("repository.")
        raise _Untold(f"GitLab did not give {_ALIASES.get(alias, alias)}: {failed[field]}"[:_SHOWN])


def _readme(notes: ReadingBuilder, file: Mapping[str, Any] | None) -> None:
    text = file.get("rawTextBlob") if file is not None else None
    if not isinstance(text, str):
        reason = f"there is no {README} at the root" if file is None else _BINARY
        notes.not_applicable(reason, *README_FACTS)
        return
    found = readme_text.measured(text)
    values = (found.length, found.sections, found.links, found.run, found.owner, found.quality)
    notes.all_known(dict(zip(README_FACTS, values, strict=True)))


def _codeowners(notes: ReadingBuilder, file: Mapping[str, Any] | None, subject: Subject) -> None:
    text = file.get("rawTextBlob") if file is not None else None
    if not isinstance(text, str):
        reason = "there is no CODEOWNERS file" if file is None else _BINARY
        notes.not_applicable(reason, *CODEOWNERS_FACTS)
        return
    found = codeowners_text.parsed(text)
    unknown = [each for each in found.groups_and_users() if each not in subject.gitlab_names]
    values = (found.rules, found.default, list(found.owners), found.unowned, unknown)
    notes.all_known(dict(zip(CODEOWNERS_FACTS, values, strict=True)))
    if not subject.gitlab_names:
        notes.not_applicable(_NOBODY, "codeowners_unknown")


def _docs(notes: ReadingBuilder, tree: Any, failed: Mapping[str, str]) -> None:
    folder = tree if isinstance(tree, Mapping) else {}
    there = any((folder.get(kind) or {}).get("nodes") for kind in ("blobs", "trees"))
    if not there:  # the last commit may be the one that deleted it
        _told("repository.docs", failed)
        notes.not_applicable(f"there is no folder {DOCS}/", *DOCS_FACTS)
        return
    at = zoned_moment((folder.get("lastCommit") or {}).get("authoredDate"))
    if at is None:
        notes.unknown(f"GitLab does not tell when {DOCS}/ last changed", *DOCS_FACTS)
        return
    days = max(0, (notes.seen_at - at).days)
    notes.all_known(dict(zip(DOCS_FACTS, (at.isoformat(), days), strict=True)))
