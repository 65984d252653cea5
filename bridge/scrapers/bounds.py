"""How much is read of one repository besides its manifests, whatever the source."""

from __future__ import annotations

from typing import Final

MANIFESTS_LIMIT: Final = 200  # nested manifests
PATHS_LIMIT: Final = 1_000  # paths that are looked for
USUAL_LIMIT: Final = 20  # paths that are looked for while a project is read
NAMED_LIMIT: Final = 20  # paths that are not there, of which a likely name is looked for
NEAREST_LIMIT: Final = 10  # folders that are looked into for a likely name
LISTED_LIMIT: Final = 300  # entries of one folder that are compared
