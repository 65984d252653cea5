"""Every error that Fester raises on purpose.

FesterError
├── ConfigurationError      settings or mapping files to fix; holds *all* problems (exit code 2)
├── SourceError             the source cannot be read at all (exit code 1)
│   └── SourceRefused       the source says no: token missing, expired or too weak
├── PublishError            a destination did not take the catalog (exit code 1)
│   ├── PublishConflict     somebody else published there at the same time
│   └── DestinationTaken    another source's or another store's catalog lies there
├── TrackerError            GitLab did not do what was asked with an issue or merge request
│   ├── TrackerRefused      it says no, for good: switched off, archived, no right to write
│   ├── TrackerUnsure       nobody knows whether it was done: time-out, reset, 5xx
│   └── TrackerStopped      nothing more in this run: it asks to wait, or the token is refused
├── StoreError              the store cannot be opened, read or written (exit code 1)
│   └── StoreConflict       somebody else saved a pass of the same source meanwhile
├── FactsRefused            facts that were pushed are not what their schema promises
├── OtherRules              this process would do a task otherwise than who leads
├── LeadLost                another replica leads now; nothing was published
├── BadQuestion             a question that cannot be answered as it is put
├── TokenRefused            a request's token is not good (401)
├── KeysUnavailable         Backstage's keys cannot be had, so no token can be judged (503)
└── NotUnderstood           one text is not what it should be; carries a `Problem`

An error's message is for the person who reads it: it names the file, key or project,
says what was expected, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.secret.masks import masked

if TYPE_CHECKING:
    from bridge.model.problems import Problem


class FesterError(Exception):
    """The root: whatever Fester raises on purpose is one of these.

    Its message may quote a library's, so no secret in force stays in it.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(masked(a) if isinstance(a, str) else a for a in arguments))


class ConfigurationError(FesterError):
    """Settings or mapping files need fixing; `problems` lists every one that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SourceError(FesterError):
    """The source could not be read at all; nothing is published and nothing is deleted."""


class SourceRefused(SourceError):
    """The source refused the token (401 or 403): check GITLAB_TOKEN and its scope `read_api`."""


class PublishError(FesterError):
    """A destination did not take the catalog; what it held before is still whole."""


class PublishConflict(PublishError):
    """Another publisher wrote to the same destination meanwhile; run again to publish on top.

    `free_in` is after how many seconds the destination may be free, where that is known.
    """

    def __init__(self, message: str, free_in: float = 0.0) -> None:
        super().__init__(message)
        self.free_in = free_in


class DestinationTaken(PublishError):
    """A destination is another's; the message says whose, and how to take it over."""


class TrackerError(FesterError):
    """GitLab did not do what was asked with an issue or a merge request."""


class TrackerRefused(TrackerError):
    """GitLab says no: issues are switched off, the project archived, or the token too weak."""


class TrackerUnsure(TrackerError):
    """The answer was lost, so it may be done or not; the next run looks before it acts."""


class TrackerStopped(TrackerError):
    """GitLab asks to wait, or refuses the token; what is left is left to the next run."""


class StoreError(FesterError):
    """The store could not be opened, read or written; check its URL, its rights and its disk."""


class StoreConflict(StoreError):
    """Another Fester saved a pass of this source meanwhile; the next pass goes on from there."""


class OtherRules(FesterError):
    """This process would do a task otherwise than the one that leads: its rules are others."""


class LeadLost(FesterError):
    """Another replica crawls and publishes now; this one stopped before it published."""


class BadQuestion(FesterError):
    """A question cannot be answered as it is put; the message says what to mend."""


class TokenRefused(FesterError):
    """A token is not good. The message names the rule it breaks and never repeats the token."""


class KeysUnavailable(FesterError):
    """Backstage's public keys cannot be read now, and none are remembered: ask again soon."""


class FactsRefused(FesterError):
    """Facts that were pushed are not what their schema promises; `problems` lists what is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(masked(problem) for problem in problems)
        super().__init__("; ".join(self.problems))


class NotUnderstood(FesterError):
    """One text is not what it should be; `problem` says where and what was expected."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))
