"""The mapping language: YAML files that say which entities a manifest becomes.

| key of a mapping file | what it says |
|---|---|
| `mapping`, `title` | its id, and what its manifests are called in messages |
| `files` | the file names it wants, at a repository's root |
| `schema` | the JSON Schema beside it: what its manifests look like |
| `documents` | `one` (the default), or `many`: each YAML document is a manifest |
| `split` | keys, and lists, that hold a manifest of its own, and what those inherit: `splitting` |
| `defaults` | keys that the defaults for groups may give, where `split` does not say it |
| `when` | whether a file of that name is for this mapping |
| `otherwise` | what the owner is told when no mapping's `when` is true |
| `foreign` | `when` and `reason`: files of that name that are somebody else's and are ignored |
| `let` | names for expressions, in order |
| `nested` | the patterns of further manifests that a root's manifest names |
| `reads` | `path` or `glob`, `text` (and `forEach`, `when`): what else is to be read |
| `entities` | templates that read like the entities they make |
| `warnings` | `when`, `rule`, `message`, `at` (and `forEach`): what the owner is to look at |
| `examples` | `manifest` (or `manifests`), `project`, and the `entities` or `problems` expected |

In expressions, `manifest` is the manifest, `project` has id, path, name, web_url, default_branch,
description, visibility and topics, `file` has path, name, folder, url, edit_url and raw_url.
`files[path]` is what was read at a path, seen from the manifest's folder: exists, folder, path,
oid, size, text and refused; all of it is null for a path that was not looked for. Of a pattern,
`found` has all that fits it. `settings` has find_definitions.

`load_mappings()` gives `Mappings`, a `bridge.ports.Translator`. The language itself is told in
`templates` (structure), and in `bridge.language`: `expressions` (leaves) and `filters`.
"""

from __future__ import annotations

from pathlib import Path

from bridge.model.numbers import FIRST, mark_of
from bridge.processors.mapping.defaults import Defaults
from bridge.processors.mapping.defaults_file import defaults_beside, opened_defaults
from bridge.processors.mapping.examples import ExampleResult, run_examples
from bridge.processors.mapping.explaining import ExplainedEntity, Field, MappingExplanation
from bridge.processors.mapping.loading import load_files, notes, presets_folder, shipped_folder
from bridge.processors.mapping.mapping_file import Mapping
from bridge.processors.mapping.translation import Mappings

__all__ = [
    "ExampleResult",
    "ExplainedEntity",
    "Field",
    "Mapping",
    "MappingExplanation",
    "Mappings",
    "load_mappings",
    "presets_folder",
    "run_examples",
    "shipped_folder",
]


def load_mappings(
    folder: Path | None = None,
    *,
    everything: bool = False,
    find_definitions: bool = False,
    defaults: Path | None = None,
) -> Mappings:
    """The shipped mappings; with `folder`, its files over them (the same file name replaces).

    Presets are among them if the folder asks for them, or with `everything`. With
    `find_definitions`, mappings look for definitions under common names, too. What manifests
    inherit from their groups is in the folder's qm.defaults.yaml, and over it in `defaults`. Raises
    ConfigurationError with every problem of every file, each with `file:line:col`.
    """
    loaded = load_files(folder, everything=everything)
    beside = defaults_beside(folder, loaded) if folder is not None else {}
    own = {mark_of(FIRST): opened_defaults(defaults, loaded)} if defaults is not None else {}
    return Mappings(loaded, notes(loaded, folder), find_definitions, Defaults(beside, own))
