"""A list of services for people who live in spreadsheets: a second processor, and a small one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from bridge.caching.memo import PassMemo
from bridge.model.entities import Draft, Json, Ref
from bridge.model.manifests import AggregatedManifests
from bridge.model.runs import Artifact, Processed
from bridge.processors.aggregation import Usable, claim_order, usable
from bridge.processors.merging import Statement

COLUMNS: Final = (
    *("service", "title", "owner", "tier", "channel", "system", "lifecycle", "type"),
    *("repository", "project", "file"),
)

# A spreadsheet runs a cell that begins so: https://owasp.org/www-community/attacks/CSV_Injection
# The last four are the full-width forms, which some spreadsheets take for the plain ones.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BREAKS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class ServicesCsv:
    """Makes `services.csv`: one line a Component, the same ones as in the catalog; pure."""

    def __init__(self) -> None:
        self._manifests: PassMemo[tuple[int, str], Usable] = PassMemo()
        self._rows: PassMemo[Ref, tuple[str, ...]] = PassMemo()

    @property
    def name(self) -> str:
        """The processor's name in logs and reports."""
        return "services-csv"

    def process(self, manifests: AggregatedManifests) -> Processed:
        """One artifact, sorted by service and project. What is left out the catalog reports."""
        statements, _ = usable(manifests, _is_component, self._manifests)
        oldest: dict[Ref, Statement] = {}
        for statement in sorted(statements, key=claim_order):
            oldest.setdefault(statement.ref, statement)
        with self._rows.round() as known:
            rows = sorted(
                (known.get(ref, [each], lambda each=each: _row(each)), each.place)  # type: ignore[misc]
                for ref, each in oldest.items()
            )
        body = _written([row for row, _ in rows])
        return Processed((Artifact("services.csv", body, "text/csv; charset=utf-8"),))


def _is_component(draft: Draft) -> bool:
    return str(draft.body.get("kind")).lower() == "component"


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


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    # A lone surrogate cannot be encoded; it must not stop the list.
    return file.getvalue().encode("utf-8", "replace")
