"""Which mappings are in force, what a sweep asks for by them, and what follows when they change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.passes.stages import Stages
from bridge.ports import Translator
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.merging import MergeRules
from bridge.processors.teams import OwnerRules, Team
from bridge.settings import Settings
from bridge.wiring.extensions import collected
from bridge.wiring.owners import owner_rules
from bridge.wiring.sources import each_source


def mappings_and_rules(
    folder: Path | None, *, everything: bool = False, find_definitions: bool = False
) -> tuple[Mappings, MergeRules]:
    """The mappings and merge rules, shipped ones overlaid by `folder`; all problems at once.

    With `everything` every preset is among them.
    """
    problems: list[Problem] = []
    mappings = collected(
        problems,
        lambda: load_mappings(folder, everything=everything, find_definitions=find_definitions),
    )
    rules = collected(problems, lambda: load_merge_rules(_merge_file(folder)))
    if problems or mappings is None or rules is None:
        raise ConfigurationError(problems)
    return mappings, rules


def mappings_of(settings: Settings) -> tuple[Mappings, MergeRules]:
    """As `mappings_and_rules`, of the settings' folder."""
    return mappings_and_rules(settings.mappings, find_definitions=settings.gitlab.find_definitions)


def _merge_file(folder: Path | None) -> Path:
    own = folder / "merge.yaml" if folder is not None else None
    return own if own is not None and own.exists() else shipped_folder() / "merge.yaml"


def scope(settings: Settings, mappings: Mappings) -> str:
    """Names what a full sweep asks for: the filters, and the mappings down to their text."""
    chosen = settings.gitlab.model_dump(exclude={"concurrency", "page_size", "timeout", "defaults"})
    digests = sorted((mapping.id, mapping.digest, mapping.files) for mapping in mappings.all)
    asked = [settings.source, chosen, mappings.files, digests]
    # A sweep of the first source settles what a source leaves behind that is none any more.
    asked += [[each.name for each in settings.further]] if settings.further else []
    text = json.dumps(asked, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def remapped(settings: Settings, stages: Stages, elsewhere: Sequence[Team] = ()) -> Stages:
    """The stages with the mapping files as they are now; reads them, so it blocks.

    Broken files never replace good ones: the stages then keep theirs and say so in every report.
    """
    try:
        mappings, rules = mappings_of(settings)
        owners = owner_rules(settings, elsewhere)
    except ConfigurationError as error:
        kept = Problem(
            f"the mapping files in {settings.mappings} cannot be used as they are now, so the ones "
            "that were loaded before stay in use; mend what is listed with this",
            "mappings-kept",
        )
        return replace(stages, problems=(kept, *error.problems))
    found = scope(settings, mappings)
    maker = maker_of(settings, rules, owners)
    if found == stages.scope and maker == stages.maker:
        return replace(stages, problems=mappings.notes, translator=_same(stages, mappings))
    further = {
        name: replace(stages.further[name], scope=scope(one, mappings))
        for name, one in each_source(settings).items()
        if name != FIRST
    }
    return replace(
        stages,
        translator=mappings,
        maker=maker,
        scope=found,
        further=further,
        problems=mappings.notes,
    )


def _same(stages: Stages, mappings: Mappings) -> Translator:
    """The mappings in use, unless their folder says other defaults for groups by now."""
    used = stages.translator
    same = isinstance(used, Mappings) and used.defaults.everywhere == mappings.defaults.everywhere
    return used if same else mappings


def maker_of(settings: Settings, rules: MergeRules, owners: OwnerRules) -> BackstageProcessor:
    """What makes entities of what manifests say."""
    publish = settings.relations.dangling == "publish"
    return BackstageProcessor(rules, owners, publish_dangling=publish)
