"""The 60 simulated days of remediation, told with other seeds: what is judged, and what fails.

`python -m tests.benchmarks.simulations --seeds 1 2 3`. Not a benchmark of speed: chance finds what
nobody thought of. A judge that asks whether a trouble took place may miss it in some story.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from itertools import pairwise

import structlog

from tests.ox.remediation import test_simulation
from tests.ox.remediation.test_simulation import Story, by_us, made, simulated


def failures(story: Story) -> list[str]:
    """The judges that are not content, and why."""
    judges: list[Callable[[Story], None]] = [
        judge for name, judge in vars(test_simulation).items() if name.startswith("test_")
    ]
    found = []
    for judge in judges:
        try:
            judge(story)
        except (AssertionError, LookupError) as error:
            line = traceback.extract_tb(error.__traceback__)[-1].line
            found.append(f"{judge.__name__}: {line} {error!s:.200}".strip())
    return found


def main() -> None:
    """Tell each seed's story, and print a line of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(1, 41))
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    for seed in parser.parse_args().seeds:
        story = simulated(seed)
        twice = sum(len(list(pairwise(events))) for events in made(story).values())
        kills, opened = story.crashes + story.untold, len(list(by_us(story, "created")))
        sys.stdout.write(
            f"seed {seed}: {opened} opened, {twice} anew after a person deleted it; {kills} kills; "
            f"{'; '.join(failures(story)) or 'all judges content'}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
