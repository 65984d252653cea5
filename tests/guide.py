"""The pages that people read, and the code blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
GUIDE = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "bridge/docs").glob("*.md"))}
PAGES = {
    **{
        Path(name): (ROOT / name).read_text("utf-8")
        for name in (
            *("README.md", "tests/README.md", "bridge/README.md", "mappings/README.md"),
            *(".gitlab/CONTRIBUTING.md", ".gitlab/SECURITY.md"),
        )
    },
    **{Path(f"bridge/docs/{name}.md"): text for name, text in GUIDE.items()},
}

_BLOCK = re.compile(
    r"^(?:<!-- (?P<marker>[^\n]*) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: where it begins, its language, the marker before it ("" if none), its text."""

    page: Path
    line: int
    language: str
    marker: str
    text: str

    @property
    def place(self) -> str:
        """`page:line`, for a person."""
        return f"{self.page}:{self.line}"


@cache
def blocks() -> tuple[Block, ...]:
    """Every code block of every page."""
    return tuple(_blocks())


def _blocks() -> Iterator[Block]:
    for page, text in PAGES.items():
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start("language")) + 1
            body = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
            yield Block(page, line, found["language"], found["marker"] or "", body)


def block(topic: str, language: str, start: str) -> str:
    """The code block of a page of the guide that a marker precedes, or that begins so."""
    (found,) = [
        each.text
        for each in blocks()
        if each.page == Path(f"bridge/docs/{topic}.md")
        and each.language == language
        and (each.marker == start or (not each.marker and each.text.startswith(start)))
    ]
    return found


def commands(text: str) -> list[str]:
    """The commands of a console block: what follows `$ `, with lines that end in a backslash."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
