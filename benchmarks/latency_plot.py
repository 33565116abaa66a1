"""A picture of latencies under load: for each load a group, for each side a bar from its p50 to its p99, in SVG.

The axis is logarithmic, because the sides are far apart. Both ends of a bar are labelled with their milliseconds. A
side that could not do a load is drawn hollow: its figures grew with the time for which it was tried.
"""

import html
import math
from collections.abc import Mapping
from typing import Protocol

COLOURS = ("#b45309", "#64748b", "#0f766e", "#7c3aed", "#be185d")
WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 84, 48
INK, FAINT = "#1f2937", "#d1d5db"


class Latency(Protocol):
    """Seconds."""

    @property
    def p50(self) -> float: ...

    @property
    def p99(self) -> float: ...

    @property
    def behind(self) -> bool: ...


def picture(title: str, results: Mapping[str, Mapping[str, Latency]]) -> str:
    """An SVG document. ``results``: by load, then by side; every load has the same sides."""
    sides = list(next(iter(results.values())))
    every = [
        1_000 * value for of_load in results.values() for one in of_load.values() for value in (one.p50, one.p99)
    ]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every) * 1.2))

    def height_of(milliseconds: float) -> float:
        part = (math.log10(milliseconds) - low) / (high - low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    drawn = [_text(LEFT, 26, title, size=15, weight="bold")]
    drawn.append(_text(WIDTH - RIGHT, 26, "each bar: p50 to p99", anchor="end"))
    for number, side in enumerate(sides):
        x = LEFT + number * (WIDTH - LEFT - RIGHT) / len(sides)
        drawn.append(f'<rect x="{x:.0f}" y="44" width="12" height="12" fill="{COLOURS[number]}"/>')
        drawn.append(_text(x + 18, 55, side))
    for power in range(low, high + 1):
        y = height_of(10.0**power)
        drawn.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{FAINT}"/>')
        drawn.append(_text(LEFT - 8, y + 4, f"{10.0**power:g} ms", anchor="end"))
    group = (WIDTH - LEFT - RIGHT) / len(results)
    for place, (load, of_load) in enumerate(results.items()):
        middle = LEFT + (place + 0.5) * group
        drawn.append(_text(middle, HEIGHT - 18, f"{load} of capacity", anchor="middle"))
        for number, side in enumerate(sides):
            x = middle + (number - (len(sides) - 1) / 2) * min(70.0, group / (len(sides) + 0.5))
            drawn += _bar(x, COLOURS[number], of_load[side], height_of)
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _bar(x, colour, one, height_of) -> list[str]:  # noqa: ANN001 - a place, its colour, a Latency and the axis
    top, bottom = height_of(1_000 * one.p99), height_of(1_000 * one.p50)
    fill, dash = ("white", ' stroke-dasharray="4 3"') if one.behind else (colour, "")
    place = f'x="{x - 11:.1f}" y="{top:.1f}" width="22" height="{max(2.0, bottom - top):.1f}"'
    return [
        f'<rect {place} fill="{fill}" stroke="{colour}"{dash}/>',
        _text(x, top - 5, f"{1_000 * one.p99:.0f}", anchor="middle"),
        _text(x, bottom + 14, f"{1_000 * one.p50:.0f}", anchor="middle"),
    ]


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{INK}">{html.escape(words)}</text>'
    )
