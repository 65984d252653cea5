"""Defaults for GitLab groups: the project that keeps them, and who makes use of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from bridge.model.problems import Problem


@dataclass(frozen=True, slots=True)
class DefaultsPlace:
    """Where a GitLab keeps its defaults: a project's full path, and a file in it."""

    project: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.project} {self.path}"


@runtime_checkable
class Inheriting(Protocol):
    """What a translator may offer beside: manifests inherit from the groups above them."""

    def with_file(
        self, source: str, place: DefaultsPlace, text: str | None
    ) -> tuple[Self, tuple[Problem, ...]]:
        """The same translator with the defaults that a source has in `text`; None: no file.

        Itself where it has these already. What is wrong with the text comes beside, and then it
        is the translator as it was.
        """

    def groups(self, source: str) -> Mapping[str, str]:
        """The groups of a source that have defaults ("" is all of it), and what names theirs."""
