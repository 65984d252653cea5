"""Projects with a file that Backstage's own discovery reads, too, and what they are told. Pure."""

from __future__ import annotations

from typing import Final

from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import ProjectRead, ProjectSkipped, Record

# What is said of a file of Backstage's own format: the rule, and the message.
_BESIDE: Final = (
    "catalog-info-beside",
    "there is a {name} beside this manifest: if Backstage's discovery reads it, too, "
    "the entity that came first stands and the other is a conflict; keep one of the two",
)
_ALONE: Final = (
    "catalog-info-alone",
    "this is no manifest that is read, so nothing of the project is in the catalog: {rename}name "
    "the preset `catalog-info` in the `presets.yaml` of the mappings folder, or write a qm.yaml "
    "(`fester convert {name}{as_preset}` makes one)",
)
_PRESET: Final = "catalog-info.yaml"  # the name that the preset reads


def told_twice(record: Record) -> dict[int, tuple[Problem, ...]]:
    """What there is to say of a project with a manifest that Backstage's discovery reads.

    Empty for a record that says nothing of it; with no problem where there is no such manifest.
    """
    if isinstance(record, ProjectSkipped):
        return {record.project.id: ()}
    if not isinstance(record, ProjectRead) or record.observation is None:
        return {}
    name = record.observation.catalog_info
    if not name:
        return {record.project.id: ()}
    rule, message = _BESIDE if record.files else _ALONE
    named = name == _PRESET
    problem = Problem(
        message.format(
            name=name,
            rename="" if named else f"call it {_PRESET} and ",
            as_preset="" if named else f" --as {_PRESET}",
        ),
        rule,
        Severity.INFO,
        project=record.project.path,
        file=min((each.path for each in record.files), default=name),
        gitlab=mark_in(record.project.id),
    )
    return {record.project.id: (problem,)}
