"""Why an entity is as it is, or why it is missing: pure, from memory and the last pass."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.manifests import Verdict
from bridge.model.memory import KnownManifest, Memory, PassRecord
from bridge.model.problems import Problem
from bridge.model.runs import problem_json

_SHOWN = 20  # how many findings of one sort are worth a person's time


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: `found` entities, facts about where they came from, and problems."""

    asked: str
    found: tuple[CatalogEntity, ...]
    facts: tuple[str, ...]
    problems: tuple[Problem, ...]
    suggestions: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The answer as a JSON tree."""
        return {
            "asked": self.asked,
            "found": [{"ref": str(entity.ref), "entity": entity.body} for entity in self.found],
            "facts": list(self.facts),
            "problems": [problem_json(problem) for problem in self.problems],
            "suggestions": list(self.suggestions),
        }


def explain(asked: str, memory: Memory, record: PassRecord) -> Explanation:
    """Explain a reference (`component:default/name`), a bare name, a project path or its id."""
    wanted = _wanted(asked)
    found = tuple(entity for entity in record.catalog.entities if wanted(entity.ref))
    facts = [line for entity in found for line in _where_from(entity, memory)]
    origins = {(o.project, o.file) for entity in found for o in entity.origins}
    refs = {str(entity.ref) for entity in found}
    candidates = list(_candidates(asked, memory))
    if not found:
        facts.append(f"{asked} is not in the catalog.")
    facts.extend(
        line
        for manifest in candidates
        for line in _standing(manifest, memory)
        if (memory.projects[manifest.project_id].project.path, manifest.file) not in origins
    )
    origins |= {(memory.projects[m.project_id].project.path, m.file) for m in candidates}
    facts.extend(_projects(asked, memory))
    problems = tuple(
        problem
        for problem in record.report.problems
        if problem.ref in refs
        or _mentions(problem, asked)
        or (problem.project, problem.file) in origins
    )
    nothing = not found and not candidates and not problems
    suggestions = _suggestions(asked, record) if nothing else ()
    return Explanation(
        asked, found[:_SHOWN], tuple(facts[: 3 * _SHOWN]), problems[:_SHOWN], suggestions
    )


def _wanted(asked: str) -> Callable[[Ref], bool]:
    """A predicate on refs: the exact one, or any kind's when only a name is given."""
    name = asked.strip().lower()
    try:
        exact = Ref.parse(name)
    except ValueError:
        bare = _slug(name.rpartition("/")[2])
        return lambda ref: ref.name in (name, bare)
    return lambda ref: ref == exact


def _where_from(entity: CatalogEntity, memory: Memory) -> Iterator[str]:
    yield f"{entity.ref} is in the catalog, made from {_count(len(entity.origins), 'manifest')}:"
    for origin in entity.origins[:_SHOWN]:
        line = (
            f"  {origin.project} {origin.file} (blob {origin.oid[:10]}) by mapping {origin.mapping}"
        )
        if origin.kept_since:
            line += f"; kept since {origin.kept_since}: the manifest's newer text is broken"
        known = memory.projects.get(origin.project_id)
        if known is not None and known.gap_since:
            line += f"; not readable since {known.gap_since}: {known.gap_reason}"
        if (origin.project_id, origin.file) not in memory.manifests:
            line += (
                "; the manifest is gone, and the entity's removal is withheld because too much "
                "would go at once: if it is meant, run once with --accept-removals"
            )
        yield line


def _candidates(asked: str, memory: Memory) -> Iterator[KnownManifest]:
    """Manifests that speak of what was asked for, whatever became of them."""
    name = _slug(asked.rpartition(":")[2].rpartition("/")[2])
    path = asked.strip().strip("/").lower()
    for key in sorted(memory.manifests):
        manifest = memory.manifests[key]
        project = memory.projects[manifest.project_id].project
        if (
            project.path.lower() == path
            or str(project.id) == path
            or _slug(project.name) == name
            or any(_slug(str(d.body["metadata"]["name"])) == name for d in manifest.current.drafts)
            or any(_named(manifest.current.documents, name))
        ):
            yield manifest


def _named(data: Json, name: str) -> Iterator[bool]:
    """Whether a parsed manifest names something so, at its first levels."""
    for document in data:
        for section in (document, *(_values(document))):
            if isinstance(section, dict):
                for key in ("name", "dd-service"):
                    value = section.get(key)
                    if isinstance(value, str) and _slug(value) == name:
                        yield True


def _values(tree: Json) -> Iterable[Json]:
    return tree.values() if isinstance(tree, dict) else ()


def _standing(manifest: KnownManifest, memory: Memory) -> Iterator[str]:
    project = memory.projects[manifest.project_id].project
    place = f"{project.path} {manifest.file}"
    current = manifest.current
    if current.verdict is Verdict.IGNORED:
        yield f"{place} is ignored: {current.reason}"
    elif current.verdict is Verdict.VALID:
        refs = ", ".join(str(Ref.of(draft.body)) for draft in current.drafts[:_SHOWN])
        yield f"{place} is valid and speaks of {refs or 'nothing'}"
    elif manifest.good is not None:
        yield (
            f"{place} is broken since {manifest.broken_since}; "
            "what it said before is kept until it is mended"
        )
    else:
        yield f"{place} is broken and was never valid, so nothing of it is published"


def _projects(asked: str, memory: Memory) -> Iterator[str]:
    path = asked.strip().strip("/").lower()
    name = _slug(path.rpartition(":")[2].rpartition("/")[2])
    with_manifest = {project_id for project_id, _ in memory.manifests}
    for known in list(memory.projects.values()):
        project = known.project
        if project.path.lower() != path and _slug(project.name) != name:
            continue
        if known.gap_since:
            since = f"{known.gap_since}: {known.gap_reason}"
            yield f"project {project.path} is not readable since {since}"
        elif project.id not in with_manifest:
            yield f"project {project.path} was read and has no manifest on its default branch"


def _mentions(problem: Problem, asked: str) -> bool:
    text = asked.strip().lower()
    if ":" not in text and problem.ref:
        return problem.ref.rpartition("/")[2] == text
    project = problem.project.lower()
    return text in (problem.ref, project, project.rpartition("/")[2])


def _suggestions(asked: str, record: PassRecord) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for entity in record.catalog.entities:
        names.setdefault(entity.ref.name, str(entity.ref))
    bare = _slug(asked.rpartition(":")[2].rpartition("/")[2])
    near = difflib.get_close_matches(bare, names, n=5, cutoff=0.6)
    return tuple(names[name] for name in near)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
