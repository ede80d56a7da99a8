"""A plot of seconds, or of something else, over users, both on logarithmic axes, as SVG text."""

from __future__ import annotations

import math
from typing import NamedTuple

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 70, 230, 50, 60
# Told apart by people who see colours differently, too (Okabe and Ito).
COLOURS = ("#000000", "#0072b2", "#e69f00", "#d55e00", "#56b4e9", "#009e73")


class Line(NamedTuple):
    """One command: its name and (users, seconds) points, or what else is plotted."""

    name: str
    points: list[tuple[float, float]]


class Axis:
    """Maps values onto pixels, a power of ten at each end."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self) -> list[float]:
        """Return the powers of ten on the axis."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def growth(
    lines: list[Line], title: str = "Whole commands: seconds over users", unit: str = " s"
) -> str:
    """Return the plot; ``unit`` stands behind the numbers at its side."""
    across = Axis([x for line in lines for x, _ in line.points], LEFT, WIDTH - RIGHT)
    upward = Axis([y for line in lines for _, y in line.points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 28, title, size=17),
        *_grid(across, upward, unit),
    ]
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        places = [(across.place(x), upward.place(y)) for x, y in line.points]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in places]
        legend = TOP + 10 + 24 * number
        edge = WIDTH - RIGHT + 20
        parts.append(f'<rect x="{edge}" y="{legend - 10}" width="14" height="10" fill="{colour}"/>')
        parts.append(_text(edge + 22, legend, line.name))
    return "\n".join([*parts, "</svg>", ""])


def _grid(across: Axis, upward: Axis, unit: str) -> list[str]:
    parts = []
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in across.ticks():
        x = across.place(value)
        parts.append(f'<path d="M{x} {TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 20, f"{value:,.0f}", anchor="middle"))
    for value in upward.ticks():
        y = upward.place(value)
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:,g}{unit}", anchor="end"))
    parts.append(_text((LEFT + right) / 2, bottom + 44, "users", anchor="middle"))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13) -> str:
    style = f'font-family="sans-serif" font-size="{size}" text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" {style}>{text}</text>'
