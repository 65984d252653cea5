"""Where the boxes of a map stand: who needs on the left, what is needed to its right.

Layers come from networkx; in a circle who needs most stands first. Within a layer boxes stand near
what they are tied to and beside those of their own system. Numbers only: a template draws them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import networkx as nx

from bridge.answers.system_map import Arrow, Box, SystemMap

WIDTH: Final = 168
HEIGHT: Final = 38
GAP_X: Final = 84
GAP_Y: Final = 14
MARGIN: Final = 48  # an arrow that leads back bends out of its column
COLUMN: Final = 40  # boxes of one layer above each other, before another column begins
_SWEEPS: Final = 6
_TITLE: Final = 22  # characters that fit into a box


@dataclass(frozen=True, slots=True)
class PlacedBox:
    """A box and its upper left corner; `short` is what fits into it."""

    box: Box
    x: int
    y: int
    short: str


@dataclass(frozen=True, slots=True)
class PlacedArrow:
    """An arrow as an SVG path, with what a reader is told of it."""

    arrow: Arrow
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a template draws, in pixels."""

    width: int
    height: int
    boxes: tuple[PlacedBox, ...]
    arrows: tuple[PlacedArrow, ...]


def drawing(found: SystemMap) -> Drawing:
    """Lay a map out; the same map gives the same drawing."""
    layers = _ordered(_layers(found), found)
    columns = [column for layer in layers for column in _columns(layer)]
    tallest = max((len(column) for column in columns), default=0)
    boxes = {box.ref: box for box in found.boxes}
    corners: dict[str, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        x = MARGIN + number * (WIDTH + GAP_X)
        top = MARGIN + (tallest - len(column)) * (HEIGHT + GAP_Y) // 2
        for row, ref in enumerate(column):
            corners[ref] = (x, top + row * (HEIGHT + GAP_Y))
    return Drawing(
        2 * MARGIN + len(columns) * (WIDTH + GAP_X) - (GAP_X if columns else 0),
        2 * MARGIN + tallest * (HEIGHT + GAP_Y),
        tuple(PlacedBox(boxes[ref], *at, _short(boxes[ref].title)) for ref, at in corners.items()),
        tuple(PlacedArrow(arrow, _path(arrow, corners)) for arrow in found.arrows),
    )


def _short(title: str) -> str:
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"


def _layers(found: SystemMap) -> list[list[str]]:
    """References by their distance from who needs them; those without arrows come last."""
    graph = nx.DiGraph()
    graph.add_nodes_from(box.ref for box in found.boxes)
    for arrow in found.arrows:
        graph.add_edge(arrow.source, arrow.target, count=arrow.count)
    lonely = sorted(nx.isolates(graph))
    graph.remove_nodes_from(lonely)
    graph.remove_edges_from(_leading_back(graph))
    layers = [sorted(generation) for generation in nx.topological_generations(graph)]
    return [*layers, lonely] if lonely else layers


def _leading_back(graph: nx.DiGraph) -> list[tuple[str, str]]:
    """The arrows that make circles, when those who need most and are needed least come first."""
    circles = enumerate(nx.strongly_connected_components(graph))
    circle = {ref: number for number, members in circles for ref in members}
    needed, needing = (dict(each(weight="count")) for each in (graph.in_degree, graph.out_degree))
    rank = {ref: (needed[ref] - needing[ref], ref) for ref in graph}
    return [
        (source, target)
        for source, target in graph.edges
        if circle[source] == circle[target] and rank[source] >= rank[target]
    ]


def _ordered(layers: Sequence[Sequence[str]], found: SystemMap) -> list[list[str]]:
    """Each layer in an order with few crossings, by the mean place of what a box is tied to."""
    groups = {box.ref: box.group for box in found.boxes}
    tied: dict[str, list[str]] = {}
    for arrow in found.arrows:
        tied.setdefault(arrow.source, []).append(arrow.target)
        tied.setdefault(arrow.target, []).append(arrow.source)
    ordered = [sorted(layer, key=lambda ref: (groups[ref], ref)) for layer in layers]
    for sweep in range(_SWEEPS):
        places = _places(ordered)
        turn = range(len(ordered)) if sweep % 2 == 0 else reversed(range(len(ordered)))
        for number in turn:
            ordered[number] = _by_neighbours(ordered[number], groups, tied, places)
            places |= _places([ordered[number]])
    return ordered


def _places(layers: Iterable[Sequence[str]]) -> dict[str, float]:
    """How far down its layer each box stands, from 0 to 1."""
    return {ref: (row + 0.5) / len(layer) for layer in layers for row, ref in enumerate(layer)}


def _by_neighbours(
    layer: Sequence[str],
    groups: Mapping[str, str],
    tied: Mapping[str, Sequence[str]],
    places: Mapping[str, float],
) -> list[str]:
    means = {ref: fmean([places[each] for each in tied.get(ref, ())] or [0.5]) for ref in layer}
    together: dict[str, list[float]] = {}
    for ref in layer:
        together.setdefault(groups[ref], []).append(means[ref])
    centres = {group: fmean(found) for group, found in together.items()}
    return sorted(layer, key=lambda ref: (centres[groups[ref]], groups[ref], means[ref], ref))


def _columns(layer: Sequence[str]) -> list[Sequence[str]]:
    return [layer[start : start + COLUMN] for start in range(0, len(layer), COLUMN)]


def _path(arrow: Arrow, corners: Mapping[str, tuple[int, int]]) -> str:
    """A curve from the right of who needs to the left of what is needed; a loop back below."""
    (x1, y1), (x2, y2) = corners[arrow.source], corners[arrow.target]
    middle = HEIGHT // 2
    if x2 > x1:
        start, end = (x1 + WIDTH, y1 + middle), (x2 - 4, y2 + middle)
        bend = max(GAP_X // 2, (end[0] - start[0]) // 3)
    else:
        start, end = (x1, y1 + middle), (x2 + WIDTH + 4, y2 + middle)
        bend = -GAP_X
        if x1 == x2:
            end = (x2 - 4, y2 + middle)
            return _curve(start, end, bend // 2, bend // 2)
    return _curve(start, end, bend, -bend)


def _curve(start: tuple[int, int], end: tuple[int, int], out: int, back: int) -> str:
    (x1, y1), (x2, y2) = start, end
    return f"M{x1},{y1} C{x1 + out},{y1} {x2 + back},{y2} {x2},{y2}"
