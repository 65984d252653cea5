"""presets.yaml: which shipped mappings for other tools' files are in use.

    presets: [catalog-info, compass]

It lies in a mappings folder of one's own. Without it none is: each means another file that is
looked for in every project, and perhaps entities that somebody else publishes, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean
from bridge.language.own_schemas import faults
from bridge.language.source import Source
from bridge.language.text_faults import shown

FILE: Final = "presets.yaml"
RULE: Final = "presets-invalid"


def preset_files(folder: Path) -> dict[str, Path]:
    """The presets that lie in a folder, by id: a preset's file is called by its id."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def chosen_presets(path: Path, known: dict[str, Path]) -> list[Path]:
    """The mapping files that a presets.yaml names; [] when there is none.

    Raises ConfigurationError with every problem, each with its place.
    """
    if not path.is_file():
        return []
    expected = "presets.yaml holds one key: `presets: [catalog-info]`"
    source, tree, _ = Source.opened(path, RULE, expected)
    source.problems += faults("presets", source, tree)
    names = tree.get("presets")
    for at, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and name not in known:
            near = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            source.problem(f"there is no preset {shown(name)}{near}", ("presets", at))
    if source.problems:
        raise ConfigurationError(source.problems)
    return [known[name] for name in dict.fromkeys(tree["presets"])]
