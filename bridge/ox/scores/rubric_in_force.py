"""The rubric while the service runs: a change is picked up, a mistake is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from bridge.errors import ConfigurationError
from bridge.model.facts import FactSchema
from bridge.model.problems import Problem
from bridge.ox.scores.rubric import LoadedRubric, load_rubric

log = structlog.get_logger()


class RubricFile:
    """The last good rubric of a file. `problems` says why the file is not the one in use."""

    def __init__(self, path: Path, schemas: Sequence[FactSchema], good: LoadedRubric) -> None:
        self.problems: tuple[Problem, ...] = ()
        self._path = path
        self._schemas = schemas
        self._good = good
        self._seen = _stamp(path)

    @property
    def good(self) -> LoadedRubric:
        """The rubric in force, without a look at the file."""
        return self._good

    def proposed(self) -> LoadedRubric | None:
        """The rubric beside the file that is called `….next.yaml`; None where there is none.

        It is in force nowhere. Raises `ConfigurationError` with every problem of it.
        """
        path = self._path.with_suffix(f".next{self._path.suffix}")
        return load_rubric(path, self._schemas) if path.exists() else None

    def current(self) -> LoadedRubric:
        """The rubric to evaluate with; reads the file again when it has changed."""
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return self._good
        self._seen = stamp
        try:
            self._good = load_rubric(self._path, self._schemas)
        except ConfigurationError as error:
            self.problems = error.problems
            log.error(
                "The changed rubric cannot be used; the one before stays in force",
                action="rubric_refused",
                problems=[str(problem) for problem in error.problems],
            )
        else:
            self.problems = ()
            log.info(
                "A changed rubric is in force",
                action="rubric_changed",
                version=self._good.rubric.version,
            )
        return self._good


def _stamp(path: Path) -> bytes | None:
    """What the file holds; None when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None
