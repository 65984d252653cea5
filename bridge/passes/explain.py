"""Why an entity is as it is, or why it is missing: pure, from memory and the last pass.

There is always an answer. What was asked may be a reference, a name, a title, an alias, or a
project by its path, id or URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from bridge.language.names import nearest
from bridge.language.text_faults import clean
from bridge.model.definitions import stands_in
from bridge.model.entities import DEFAULT_NAMESPACE, CatalogEntity, Json, Ref
from bridge.model.entity_changes import EntityChange
from bridge.model.manifests import Verdict
from bridge.model.memory import KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.moments import iso
from bridge.model.numbers import mark_in, own_id
from bridge.model.problems import Problem
from bridge.model.runs import problem_json
from bridge.model.scrape import Project
from bridge.passes.whose import unowned, whose

SHOWN = 20  # how many findings of one sort are worth a person's time
_NEAR = 5
_ALIASES = "fester.dev/aliases"  # names that an entity also goes by, with commas between them
_SOURCE_NAME = "fester.dev/source-name"  # the name as a person wrote it
_NESTED = "where the one at the root names it in `include`, or the settings do in `gitlab.nested`"
_Place: TypeAlias = tuple[int, str, str]  # the mark of a GitLab, a project's path, a file
_SSH = re.compile(r"[\w.-]+@[^:/]+:(?P<path>[^:]+)")


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: `found` entities, facts about where they came from, and problems.

    `known` says whether anything at all is known of what was asked for. `source` is what is
    crawled. `changes` are the last ones, newest first, where somebody looked into the history.
    """

    asked: str
    found: tuple[CatalogEntity, ...]
    facts: tuple[str, ...]
    problems: tuple[Problem, ...]
    suggestions: tuple[str, ...] = ()
    known: bool = True
    source: str = ""
    changes: tuple[EntityChange, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The answer as a JSON tree."""
        return {
            "asked": self.asked,
            "source": self.source,
            "known": self.known,
            "found": [{"ref": str(entity.ref), "entity": entity.body} for entity in self.found],
            "facts": list(self.facts),
            "problems": [problem_json(problem) for problem in self.problems],
            "suggestions": list(self.suggestions),
            "changes": [each.as_json() for each in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked for, as each of the things that it may be.

    `ref` is set when the text names a kind. `path` is that of a project, in lower case, and
    `url` that of its page, if it was asked for by one.
    """

    text: str
    ref: Ref | None
    name: str
    namespace: str
    path: str
    url: str = ""

    @classmethod
    def of(cls, asked: str) -> Question:
        """What may be asked for by a text."""
        text = asked.strip()
        place = text.partition("/-/")[0].rstrip("/").removesuffix(".git").lower()
        clone = _SSH.fullmatch(place)
        if clone is not None:
            return cls(text, None, "", "", clone["path"])
        if place.startswith(("http://", "https://", "ssh://")):
            return cls(text, None, "", "", place.partition("://")[2].partition("/")[2], place)
        path = place.lstrip("/")
        try:
            ref = Ref.parse(text)
        except ValueError:
            head, _, last = path.rpartition("/")
            return cls(text, None, last, head if "/" not in head else "", path)
        return cls(text, ref, ref.name, ref.namespace, path)

    def is_project(self, known: KnownProject) -> bool:
        """Whether it is this project's path, id or URL."""
        project = known.project
        if self.url and self.url == project.web_url.lower():
            return True
        return bool(self.path) and self.path in (project.path.lower(), str(own_id(project.id)))

    def names_project(self, known: KnownProject) -> bool:
        """Whether it is this project's path, id or URL, or its name alone."""
        alone = self.ref is not None or "/" not in self.path
        return self.is_project(known) or (alone and self.names(known.project.name))

    def how(self, entity: CatalogEntity) -> str:
        """How it names an entity: "name", "title", "alias"; "" when it does not."""
        metadata = entity.body["metadata"]
        annotations = metadata.get("annotations") or {}
        titles = (metadata.get("title"), annotations.get(_SOURCE_NAME))
        if self.text.lower() in (str(title).lower() for title in titles if title):
            return "title" if entity.ref.name != self.text.lower() else "name"
        if not self.name or not self._may_be_in(entity.ref):
            return ""
        if entity.ref.name in (self.name, slug_of(self.name)):
            return "name"
        aliases = str(annotations.get(_ALIASES) or "")
        found = aliases and any(self.names(each) for each in aliases.split(","))
        return "alias" if found else ""

    def _may_be_in(self, ref: Ref) -> bool:
        """Whether the kind and the namespace that were said, if any, are those of a reference."""
        if self.ref is not None:
            return (self.ref.kind, self.ref.namespace) == (ref.kind, ref.namespace)
        return "/" not in self.path or self.namespace == ref.namespace

    def names(self, text: str, namespace: str = DEFAULT_NAMESPACE) -> bool:
        """Whether a name in a manifest is what was asked for, whatever the kind."""
        wanted = slug_of(self.name)
        inside = self.namespace == namespace or (self.ref is None and "/" not in self.path)
        return bool(wanted) and inside and slug_of(text) == wanted


def explain(asked: str, memory: Memory, record: PassRecord, source: str = "") -> Explanation:
    """Explain a reference, a name, a title, an alias, or a project's path, id or URL.

    `source` is what is crawled, for the answer to what nothing is known of.
    """
    question = Question.of(asked)
    projects = {
        number: each for number, each in memory.projects.items() if question.names_project(each)
    }
    exactly = {number for number, each in projects.items() if question.is_project(each)}
    named = [(how, each) for each in record.catalog.entities if (how := question.how(each))]
    theirs = [
        each
        for each in record.catalog.entities
        if exactly and any(origin.project_id in exactly for origin in each.origins)
    ]
    theirs.sort(key=lambda each: len(each.origins))  # its own come before what it shares
    found = list({each.ref: each for each in (*(each for _, each in named), *theirs)}.values())
    asked_for = {each.ref for _, each in named}
    own = [e for e in found if e.ref in asked_for or len(e.origins) <= 1 or e not in theirs]
    candidates = list(_candidates(question, memory, exactly))
    facts = [
        *(_otherwise(question, how, each) for how, each in named if how != "name"),
        *(line for each in own[:SHOWN] for line in _where_from(each, memory)),
    ]
    if not found:
        facts.append(f"{question.text} is not in the catalog.")
    told = {(o.project_id, o.file) for each in own for o in each.origins}
    facts.extend(
        line
        for manifest in candidates
        if manifest.project_id in exactly or (manifest.project_id, manifest.file) not in told
        for line in _standing(manifest, memory)
    )
    facts.extend(line for each in projects.values() for line in _state(each, memory))
    lacking = unowned(projects.values(), own, candidates, memory, record)
    facts.extend(whose(lacking, memory, record))
    places = {
        *(_place(o.project_id, o.project, o.file) for each in own for o in each.origins),
        *(
            _place(each.project_id, memory.projects[each.project_id].project.path, each.file)
            for each in candidates
        ),
        *(_place(number, each.project.path) for number, each in projects.items()),
    }
    refs = {str(each.ref) for each in found}
    problems = tuple(_problems(question, record, refs, places))
    known = bool(found or candidates or projects or problems)
    if not known:
        facts.extend(_unseen(memory, record, source))
    return Explanation(
        asked,
        tuple(found[:SHOWN]),
        tuple(facts[: 3 * SHOWN]),
        problems[:SHOWN],
        () if known else _suggestions(question, memory, record),
        known,
        source,
    )


def _otherwise(question: Question, how: str, entity: CatalogEntity) -> str:
    article = "an" if how == "alias" else "the"
    return f"{question.text} is {article} {how} of {entity.ref}."


def _where_from(entity: CatalogEntity, memory: Memory) -> Iterator[str]:
    made = _count(len(entity.origins), "manifest")
    yield f"{entity.ref} is in the catalog, made from {made}:"
    for origin in entity.origins[:SHOWN]:
        known = memory.projects.get(origin.project_id)
        project = _whereabouts(known.project) if known is not None else origin.project
        line = f"  {project} {origin.file} (blob {origin.oid[:10]}) by mapping {origin.mapping}"
        if origin.kept_since:
            line += f"; kept since {iso(origin.kept_since)}: the manifest's newer text is broken"
        if known is not None and known.gap_since:
            line += f"; not readable since {iso(known.gap_since)}: {known.gap_reason}"
        if (origin.project_id, origin.file) not in memory.manifests:
            line += (
                "; the manifest is gone, and the entity's removal is withheld because too much "
                "would go at once: if it is meant, run once with --accept-removals"
            )
        yield line
        yield from _inherited(memory.manifests.get((origin.project_id, origin.file)))
    told = entity.body["spec"].get("definition")
    if entity.ref.kind == "api" and isinstance(told, str) and stands_in(told):
        yield f"{entity.ref} is published without a definition: {clean(told.strip(), 300)}"


def _inherited(manifest: KnownManifest | None) -> Iterator[str]:
    """What a manifest has from the defaults for the groups above its project."""
    standing = manifest and (
        manifest.current if manifest.current.verdict is Verdict.VALID else manifest.good
    )
    found: dict[tuple[str, str], list[str]] = {}
    for each in standing.inherited if standing else ():
        found.setdefault((each.pattern, each.file), []).append(each.key)
    for (pattern, file), keys in found.items():
        yield f"    {', '.join(keys)}: inherited from the defaults for {pattern} in {file}"


def _whereabouts(project: Project) -> str:
    """A project's path; its address where other sources may have one of the same path."""
    return project.web_url or project.path if mark_in(project.id) else project.path


def _candidates(
    question: Question, memory: Memory, exactly: Iterable[int]
) -> Iterator[KnownManifest]:
    """Manifests that speak of what was asked for, whatever became of them."""
    for key in sorted(memory.manifests):
        manifest = memory.manifests[key]
        known = memory.projects[manifest.project_id]
        if (
            manifest.project_id in exactly
            or question.names_project(known)
            or any(_speaks_of(question, manifest))
        ):
            yield manifest


def _speaks_of(question: Question, manifest: KnownManifest) -> Iterator[bool]:
    for draft in manifest.current.drafts:
        ref = Ref.of(draft.body)
        yield question.names(ref.name, ref.namespace)
    if manifest.current.verdict is not Verdict.VALID:
        # What is valid is told by its drafts; the text of the others is looked into.
        for document in manifest.current.documents:
            yield any(question.names(name) for name in _named(document))


def _named(document: Json) -> Iterator[str]:
    """What a parsed manifest names at its first levels."""
    for section in (document, *(document.values() if isinstance(document, dict) else ())):
        if isinstance(section, dict):
            for key in ("name", "dd-service"):
                value = section.get(key)
                if isinstance(value, str):
                    yield value


def _standing(manifest: KnownManifest, memory: Memory) -> Iterator[str]:
    project = memory.projects[manifest.project_id].project
    place = f"{_whereabouts(project)} {manifest.file}"
    current = manifest.current
    if current.verdict is Verdict.IGNORED:
        yield f"{place} is ignored: {current.reason}"
    elif current.verdict is Verdict.VALID:
        refs = ", ".join(str(Ref.of(draft.body)) for draft in current.drafts[:SHOWN])
        yield f"{place} is valid and speaks of {refs or 'nothing'}"
        yield from _inherited(manifest)
    elif manifest.good is not None:
        yield (
            f"{place} is broken since {iso(manifest.broken_since)}; "
            "what it said before is kept until it is mended"
        )
    else:
        yield f"{place} is broken and was never valid, so nothing of it is published"


def _state(known: KnownProject, memory: Memory) -> Iterator[str]:
    """What is to be said of a project besides its manifests."""
    project = known.project
    if known.left_out:
        yield f"project {_whereabouts(project)} was seen and is left out: {known.left_out}"
    elif known.gap_since:
        kept = "what was known of it is kept" if known.read_at else "nothing was known of it yet"
        since = f"{iso(known.gap_since)}: {known.gap_reason}"
        yield f"project {_whereabouts(project)} is not readable since {since}; {kept}"
    elif not any(project_id == project.id for project_id, _ in memory.manifests):
        where = f"its default branch {project.default_branch}".strip()
        where = where if project.default_branch else "it: its repository has no branch yet"
        yield (
            f"project {_whereabouts(project)} was read and has no manifest on {where}; manifests "
            f"are read at a repository's root, and deeper {_NESTED}. Files of other tools, such "
            "as a catalog-info.yaml, are read where `presets.yaml` in the mappings folder says so"
        )


def _problems(
    question: Question, record: PassRecord, refs: set[str], places: set[_Place]
) -> Iterator[Problem]:
    """Those of the entities and of `places`; the file "" stands for all of a project."""
    for problem in record.report.problems:
        theirs = {(problem.gitlab, problem.project, file) for file in (problem.file, "")}
        if (
            problem.ref in refs
            or (problem.project and not places.isdisjoint(theirs))
            or _about(question, problem)
        ):
            yield problem


def _place(number: int, project: str, file: str = "") -> _Place:
    return mark_in(number), project, file


def _about(question: Question, problem: Problem) -> bool:
    """Whether a problem is about an entity of that name, which may not be in the catalog."""
    if not problem.ref:
        return False
    if question.ref is not None:
        return problem.ref == str(question.ref)
    return problem.ref.rpartition("/")[2] == question.path


def _unseen(memory: Memory, record: PassRecord, source: str) -> Iterator[str]:
    """Why nothing may be known of something, in the order in which it is worth looking."""
    of_it = f" in {source}" if source else ""
    yield f"No entity, title, alias, manifest or project{of_it} that Fester has seen is called so."
    swept = memory.horizon.swept_by_all_at
    if swept:
        yield f"The last full sweep began {iso(swept)}."
    else:
        yield "No full sweep has been complete yet: it may not have been reached."
    if any(problem.rule == "enumeration-gap" for problem in record.report.problems):
        yield "A part of the list of projects could not be read; it may lie there."
    yield (
        "A manifest that lies deeper than its repository's root (services/cart/qm.yaml) is read "
        f"only {_NESTED}. A project that was not seen has another name, lies outside of what is "
        "crawled (`from`, `gitlab.groups`), is archived while `gitlab.archived` is off, was "
        "deleted, or is hidden from the token: `fester doctor` looks at the token."
    )


def _suggestions(question: Question, memory: Memory, record: PassRecord) -> tuple[str, ...]:
    """References and paths that look like what was asked for; the same name comes first."""
    refs = (str(entity.ref) for entity in record.catalog.entities)
    return near(question, refs, (known.project.path for known in memory.projects.values()))


def near(question: Question, refs: Iterable[str], projects: Iterable[str]) -> tuple[str, ...]:
    """Of references and projects' paths those that look like what was asked for."""
    names: dict[str, str] = {}
    for ref in refs:
        names.setdefault(ref.rpartition("/")[2], ref)
    for path in projects:
        names.setdefault(slug_of(path.rpartition("/")[2]), path)
    return tuple(names[name] for name in nearest(slug_of(question.name), names, _NEAR))


@lru_cache(256)  # what was asked for is compared with everything
def slug_of(text: str) -> str:
    """A name as all its spellings are."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
