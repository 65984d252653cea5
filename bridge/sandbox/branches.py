"""Branches beside the default one, and commits on them, as GitLab's commits API makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.sandbox.project import SandboxFile, SandboxProject
from bridge.sandbox.tracker import Unacceptable
from bridge.sandbox.world import World


@dataclass(slots=True)
class Branch:
    """A branch's files and the id of its last commit."""

    name: str
    files: dict[str, SandboxFile]
    head: str


class Branches:
    """The branches of every project of a world. The default branch is the project's own files."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._made: dict[tuple[int, str], Branch] = {}

    def find(self, project: SandboxProject, name: str) -> Branch | None:
        """A branch by name."""
        if name == project.default_branch and project.repository != "empty":
            return Branch(name, project.files, _commit_id(project.files, ""))
        return self._made.get((project.id, name))

    def create(self, project: SandboxProject, name: str, ref: str) -> Branch:
        """A branch at another one's head. Raises `Unacceptable`."""
        if self.find(project, name) is not None:
            raise Unacceptable("Branch already exists")
        start = self.find(project, ref)
        if start is None:
            raise Unacceptable(f"Invalid reference name: {ref}")
        branch = Branch(name, dict(start.files), start.head)
        self._made[project.id, name] = branch
        return branch

    def delete(self, project: SandboxProject, name: str) -> bool:
        """Remove a branch; False when there is none."""
        return self._made.pop((project.id, name), None) is not None

    def commit(
        self,
        project: SandboxProject,
        name: str,
        message: str,
        actions: Sequence[Mapping[str, Any]],
        start: str | None,
    ) -> Branch:
        """One commit with several files. Raises `Unacceptable`, and then nothing is changed.

        With `start` the branch is made from that one and must not exist yet: there is no silent
        overwriting without `force`, which the sandbox does not know at all.
        """
        branch = self.find(project, name)
        if start is not None and branch is not None:
            raise Unacceptable(
                f"A branch called '{name}' already exists. "
                "Switch to that branch in order to make changes"
            )
        if branch is None and (start is not None or project.files):
            branch = self._from(project, start, name)
        files = dict(branch.files) if branch else {}
        for action in actions:
            _apply(files, action)
        if name == project.default_branch:
            raise Unacceptable("You are not allowed to push into this branch")
        made = Branch(name, files, _commit_id(files, message))
        self._made[project.id, name] = made
        return made

    def merge(self, project_id: int, name: str) -> None:
        """Bring a branch's files onto the default branch, as somebody who presses Merge does."""
        project = self.world.get(project_id)
        branch = self._made.get((project_id, name))
        if project is None or branch is None:
            raise LookupError(f"no branch {name!r} in project {project_id} of the sandbox")
        for path, file in branch.files.items():
            if project.files.get(path) != file:
                self.world.commit_file(project_id, path, file)
        del self._made[project_id, name]

    def _from(self, project: SandboxProject, start: str | None, name: str) -> Branch:
        origin = self.find(project, start) if start else None
        if origin is None:
            raise Unacceptable("You can only create or edit files when you are on a branch")
        return Branch(name, dict(origin.files), origin.head)


def _apply(files: dict[str, SandboxFile], action: Mapping[str, Any]) -> None:
    path = str(action.get("file_path", ""))
    match action.get("action"):
        case "create":
            if path in files:
                raise Unacceptable("A file with this name already exists")
            files[path] = SandboxFile(str(action.get("content", "")).encode())
        case "update":
            if path not in files:
                raise Unacceptable("A file with this name doesn't exist")
            files[path] = SandboxFile(str(action.get("content", "")).encode())
        case "delete":
            if files.pop(path, None) is None:
                raise Unacceptable("A file with this name doesn't exist")
        case _:
            raise Unacceptable("actions[0][action] does not have a valid value")


def _commit_id(files: Mapping[str, SandboxFile], message: str) -> str:
    listing = "".join(f"{path}:{file.oid}\n" for path, file in sorted(files.items()))
    return hashlib.sha1(f"{message}\n{listing}".encode(), usedforsecurity=False).hexdigest()
