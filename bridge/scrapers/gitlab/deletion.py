"""Whether a project is scheduled for deletion, by the best that its GitLab tells.

GitLab deletes after days. Until then the project, or the group above it, has another path and
name. https://docs.gitlab.com/user/project/working_with_projects/#delete-a-project
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_SUFFIX: Final = re.compile(r"-(?:deletion_scheduled|deleted)-(\d{1,18})$")


def marked_for_deletion(node: Mapping[str, Any], path: str, project_id: int) -> bool:
    """What a project's node says, or its path where the node cannot say it.

    `markedForDeletion` (GitLab 18.1) counts the groups above, too; `markedForDeletionOn` does not.
    """
    told = node.get("markedForDeletion")
    if isinstance(told, bool):
        return told
    *above, last = path.split("/")
    if any(_SUFFIX.search(segment) for segment in above):
        return True
    if "markedForDeletionOn" in node:
        return node["markedForDeletionOn"] is not None
    suffix = _SUFFIX.search(last)
    return suffix is not None and int(suffix[1]) == project_id


def group_marked_for_deletion(path: str) -> bool:
    """Whether a group's path says that it, or one above it, is scheduled for deletion."""
    return any(_SUFFIX.search(segment) for segment in path.split("/"))
