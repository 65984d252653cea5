"""Plots of scores and counts over time, as plain numbers for an SVG that needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 160
LEFT: Final = 46  # room for the scale
TOP: Final = 18
BOTTOM: Final = 24  # room for the dates


@dataclass(frozen=True, slots=True)
class Point:
    """From `day` on it was `value`; None: there was none."""

    day: date
    value: float | None


@dataclass(frozen=True, slots=True)
class Plot:
    """What a template draws. `steps` are the days on which something changed, for reading."""

    start: date
    end: date
    path: str
    dots: tuple[tuple[float, float], ...]
    target_y: float | None
    scale: tuple[tuple[float, int], ...]
    steps: tuple[Point, ...]
    summary: str


def plot(
    points: Sequence[Point],
    start: date,
    end: date,
    target: float | None = None,
    *,
    top: int = 100,
) -> Plot:
    """A step plot of 0 to `top`; gaps where there was no value."""
    placed = [Point(max(point.day, start), point.value) for point in points if point.day <= end]
    path, dots = _path(placed, start, end, top)
    return Plot(
        start=start,
        end=end,
        path=path,
        dots=dots,
        target_y=None if target is None else _y(target, top),
        scale=tuple((_y(value, top), value) for value in (0, top // 2, top)),
        steps=tuple(placed),
        summary=_summary(placed),
    )


def _path(
    points: Sequence[Point], start: date, end: date, top: int
) -> tuple[str, tuple[tuple[float, float], ...]]:
    parts: list[str] = []
    dots: list[tuple[float, float]] = []
    drawing = False
    for at, point in enumerate(points):
        until = points[at + 1].day if at + 1 < len(points) else end
        if point.value is None:
            drawing = False
            continue
        x, y = _x(point.day, start, end), _y(point.value, top)
        parts.append(f"{'L' if drawing else 'M'}{x:g} {y:g}H{_x(until, start, end):g}")
        dots.append((x, y))
        drawing = True
    if points and points[-1].value is not None:
        dots.append((_x(end, start, end), _y(points[-1].value, top)))
    return "".join(parts), tuple(dots[-1:])


def _x(day: date, start: date, end: date) -> float:
    span = max((end - start).days, 1)
    return round(LEFT + (WIDTH - LEFT - 8) * (day - start).days / span, 1)


def _y(value: float, top: int) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)


def _summary(points: Sequence[Point]) -> str:
    values = [point.value for point in points if point.value is not None]
    if not values:
        return "No score in this time."
    first, last = values[0], values[-1]
    if len(set(values)) == 1:
        return f"The score is {last:.0f}, and has not changed in this time."
    way = f"The score went from {first:.0f} to {last:.0f}"
    return f"{way}; lowest {min(values):.0f}, highest {max(values):.0f}."
