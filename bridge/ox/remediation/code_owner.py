"""The owner that a project's CODEOWNERS names, read just before a draft is made of the project."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from gitlab.exceptions import GitlabGetError, GitlabHeadError

from bridge.language.codeowners import PLACES, owners_of_everything
from bridge.model.tracker import Proposal

_MOST: Final = 100_000  # bytes; a longer file is not read


def with_code_owner(proposal: Proposal, project: Any) -> Proposal:
    """The proposal with the owner that CODEOWNERS of this python-gitlab project names, if any.

    At most four requests, and none where the proposal does not ask. What cannot be seen says
    nothing: then the owner stays. Raises `GitlabError` when GitLab does not answer.
    """
    if proposal.by_code_owners is None:
        return proposal
    for file in PLACES:
        text = _text(project, file, proposal.target)
        if text is not None:
            content = proposal.by_code_owners(owners_of_everything(text), file)
            return replace(proposal, content=content)
    return proposal


def _text(project: Any, file: str, branch: str) -> str | None:
    """What a file says; "" of one that is too long or hidden, None where there is none."""
    try:
        size = int(project.files.head(file, ref=branch).get("X-Gitlab-Size") or 0)
        if size > _MOST:
            return ""
        return bytes(project.files.raw(file, ref=branch)).decode("utf-8", "replace")
    except (GitlabGetError, GitlabHeadError) as error:
        if error.response_code == 404:
            return None
        if error.response_code == 403:
            return ""
        raise
