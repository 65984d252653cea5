"""What published files hold, for tests that look at them from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def entities_of(files: Mapping[str, bytes]) -> list[Any]:
    """The entities that `catalog.json` leads to, with provenance, by reference."""
    paths = json.loads(files["catalog.json"])["shards"]
    found = [each for path in paths for each in json.loads(files[path])["entities"]]
    return sorted(found, key=lambda each: str(each["ref"]))


def entities_in(folder: Path) -> list[Any]:
    """The same of a folder."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "catalog.json", *folder.glob("provenance/*.json"))
    }
    return entities_of(files)
