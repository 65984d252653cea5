"""Passes over several sources: told as one, and their progress counted as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bridge.model.problems import Problem
from bridge.model.runs import Outcome, Receipt, Report, Step
from bridge.passes.stages import Pass, PassOptions


def counted_together(wishes: Sequence[PassOptions]) -> Iterator[PassOptions]:
    """The same wishes, whose progress counts the projects of all of them."""
    seen = [0] * len(wishes)

    def heard(n: int, tell: Callable[[str, int], None]) -> Callable[[str, int], None]:
        def progress(step: str, done: int) -> None:
            seen[n] = done if step == Step.PROJECT else seen[n]
            tell(step, sum(seen) if step == Step.PROJECT else done)

        return progress

    for n, wish in enumerate(wishes):
        yield replace(wish, progress=heard(n, wish.progress))


def together(passes: Sequence[tuple[str, Pass]]) -> Pass:
    """The one account of passes (at least one), each with its source's name for people.

    A source that could not be read is a problem; the account is that of a failure only when none
    of them could be read, or nothing could be published.
    """
    latest = max((done for _, done in passes), key=lambda done: done.horizon.passes)
    heard = latest
    for _, done in passes:
        heard = heard.after(done) if done is not latest else heard
    problems = [
        Problem(f"{name}: {done.report.failure}; what is known of it is kept", "source-unread")
        for name, done in passes
        if done.report.outcome is Outcome.FAILED
    ]
    if len(problems) == len(passes):
        return replace(heard, report=_failed([done.report for _, done in passes]))
    report = _account([done.report for _, done in passes], latest.report, problems)
    waits = [done.retry_in for _, done in passes if done.retry_in is not None]
    return replace(heard, report=report, retry_in=min(waits, default=None))


def _failed(reports: Sequence[Report]) -> Report:
    return replace(reports[0], failure="; ".join(each.failure for each in reports), source="")


def _account(reports: Sequence[Report], latest: Report, problems: Sequence[Problem]) -> Report:
    complete = not problems and all(each.outcome is Outcome.COMPLETE for each in reports)
    told = dict.fromkeys(problem for each in reports for problem in each.problems)
    counts: Counter[str] = Counter()
    for each in reports:
        counts.update(each.this_pass)
    return replace(
        latest,
        outcome=Outcome.COMPLETE if complete else Outcome.INCOMPLETE,
        seconds=max(each.seconds for each in reports),
        gitlab_requests=sum(each.gitlab_requests for each in reports),
        problems=(*problems, *told),
        published=_receipts(reports),
        started_at=min((each.started_at for each in reports if each.started_at), default=None),
        kind=reports[0].kind,
        this_pass=dict(counts),
        source="",
    )


def _receipts(reports: Sequence[Report]) -> tuple[Receipt, ...]:
    """What was written and removed by all of them; what stands is as the last one left it."""
    found: dict[str, Receipt] = {}
    for each in (receipt for report in reports for receipt in report.published):
        had = found.get(each.to, Receipt(each.to, 0, 0, 0))
        found[each.to] = replace(
            each,
            written=had.written + each.written,
            removed=had.removed + each.removed,
            changed=tuple(sorted({*had.changed, *each.changed})),
        )
    return tuple(found[name] for name in sorted(found))
