"""Why an entity is as it is, or why it is missing: pure, from memory and the last pass.

There is always an answer. What was asked may be a reference, a name, a title, an alias, or a
project by its path, id or URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from bridge.language.text_faults import clean
from bridge.model.definitions import stands_in
from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.entity_changes import EntityChange
from bridge.model.manifests import Verdict
from bridge.model.memory import KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.moments import iso
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem
from bridge.model.runs import problem_json
from bridge.model.scrape import Project
from bridge.passes.question import Question, near, speaks_of
from bridge.passes.whose import unowned, whose

SHOWN = 20  # how many findings of one sort are worth a person's time
_NESTED = "where the one at the root names it in `include`, or the settings do in `gitlab.nested`"
_Place: TypeAlias = tuple[int, str, str]  # the mark of a GitLab, a project's path, a file


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
class _Meant:
    """What is known of what was asked for.

    `named` are entities with how they were named; `entities` are these, and what those projects
    give that were asked for `exactly`; `own` are those that are named, or of one manifest alone.
    """

    named: Sequence[tuple[str, CatalogEntity]]
    entities: Sequence[CatalogEntity]
    own: Sequence[CatalogEntity]
    manifests: Sequence[KnownManifest]
    projects: Mapping[int, KnownProject]
    exactly: Set[int]

    def places(self, memory: Memory) -> set[_Place]:
        """The projects and files that problems may be told of."""
        return {
            *(_place(o.project_id, o.project, o.file) for each in self.own for o in each.origins),
            *(
                _place(each.project_id, memory.projects[each.project_id].project.path, each.file)
                for each in self.manifests
            ),
            *(_place(number, each.project.path) for number, each in self.projects.items()),
        }


def explain(asked: str, memory: Memory, record: PassRecord, source: str = "") -> Explanation:
    """Explain a reference, a name, a title, an alias, or a project's path, id or URL.

    `source` is what is crawled, for the answer to what nothing is known of.
    """
    question = Question.of(asked)
    meant = _meant(question, memory, record)
    refs = {str(each.ref) for each in meant.entities}
    problems = tuple(_problems(question, record, refs, meant.places(memory)))
    known = bool(meant.entities or meant.manifests or meant.projects or problems)
    facts = list(_facts(question, meant, memory, record))
    if not known:
        facts.extend(_unseen(memory, record, source))
    return Explanation(
        asked,
        tuple(meant.entities[:SHOWN]),
        tuple(facts[: 3 * SHOWN]),
        problems[:SHOWN],
        () if known else _suggestions(question, memory, record),
        known,
        source,
    )


def _meant(question: Question, memory: Memory, record: PassRecord) -> _Meant:
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
    manifests = list(_candidates(question, memory, exactly))
    return _Meant(named, found, own, manifests, projects, exactly)


def _facts(question: Question, meant: _Meant, memory: Memory, record: PassRecord) -> Iterator[str]:
    """What is told of it, what was asked for most plainly first."""
    for how, each in meant.named:
        if how != "name":
            yield _otherwise(question, how, each)
    for each in meant.own[:SHOWN]:
        yield from _where_from(each, memory)
    if not meant.entities:
        yield f"{question.text} is not in the catalog."
    told = {(o.project_id, o.file) for each in meant.own for o in each.origins}
    for manifest in meant.manifests:
        key = manifest.project_id, manifest.file
        if manifest.project_id in meant.exactly or key not in told:
            yield from _standing(manifest, memory)
    for known in meant.projects.values():
        yield from _state(known, memory)
    lacking = unowned(meant.projects.values(), meant.own, meant.manifests, memory, record)
    yield from whose(lacking, memory, record)


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
            or any(speaks_of(question, manifest))
        ):
            yield manifest


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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
