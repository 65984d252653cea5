"""How many examples a law is tried with: all in CI, a tenth where somebody waits for the answer.

Examples are drawn anew at each run, so what a short run leaves out another one draws.
"""

from __future__ import annotations

import os


def examples(most: int) -> int:
    """`most` in CI; otherwise a tenth of it, and three at the least."""
    return most if os.environ.get("CI") else max(3, most // 10)
