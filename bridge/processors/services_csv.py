"""A list of services for people who live in spreadsheets, made line by line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from bridge.model.entities import Json
from bridge.model.statements import Statement

COLUMNS: Final = (
    *("service", "title", "owner", "tier", "channel", "system", "lifecycle", "type"),
    *("repository", "project", "file"),
)

# A spreadsheet runs a cell that begins so: https://owasp.org/www-community/attacks/CSV_Injection
# The last four are the full-width forms, which some spreadsheets take for the plain ones.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BREAKS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _line(cells: Sequence[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerow(cells)
    # A lone surrogate cannot be encoded; it must not stop the list.
    return file.getvalue().encode("utf-8", "replace")


class ServicesCsv:
    """Makes `services.csv`: one line a Component, the same ones as in the catalog; pure."""

    path: Final = "services.csv"
    content_type: Final = "text/csv; charset=utf-8"
    kind: Final = "component"
    head: Final = _line(COLUMNS)

    def line(self, statements: Sequence[Statement]) -> bytes:
        """The line of the service that these statements are about: what the oldest claim says."""
        return _line(_row(min(statements, key=lambda each: each.age)))


def _row(statement: Statement) -> tuple[str, ...]:
    metadata, spec = statement.body["metadata"], statement.body["spec"]
    project = statement.manifest.project
    cells: tuple[Json, ...] = (
        metadata["name"],
        metadata.get("title"),
        _short(spec["owner"]),
        metadata.get("labels", {}).get("fester.dev/tier"),
        metadata.get("annotations", {}).get("fester.dev/owner-channel"),
        _short(spec.get("system")),
        spec["lifecycle"],
        spec["type"],
        project.web_url or project.path,
        project.path,
        statement.manifest.file,
    )
    return tuple(_cell(cell) for cell in cells)


def _short(ref: Json) -> Json:
    """A reference as people say it: without its kind, and without the default namespace."""
    return None if ref is None else str(ref).partition(":")[2].removeprefix("default/") or ref


def _cell(value: Json) -> str:
    """A cell on one line that no spreadsheet runs; "" for what the manifest does not say."""
    text = "" if value is None else str(value)
    plain = _BREAKS.sub(" ", text)
    risky = text.startswith(_FORMULA) or plain.lstrip().startswith(_FORMULA)
    return f"'{plain}" if risky else plain
