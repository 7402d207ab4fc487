# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The report's plots as inline SVG: no plotting library, no fonts or scripts from elsewhere, colours from the page.

All sizes are units of a 720-wide drawing, which the page scales. Classes (`.axis`, `.series`, ...) are styled there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

WIDTH = 720
_LEFT, _RIGHT = 88, 16
_PLOT = WIDTH - _LEFT - _RIGHT


def range_bars(rows: Sequence[tuple[str, tuple[float, float, float]]], unit: str) -> str:
    """A row a name: a bar to the first of three values, a thinner one to the second, a tick at the third."""
    top, step = 6, 26
    most = max((values[2] for _, values in rows), default=0.0) or 1.0
    ticks = nice_ticks(most)
    scale = _PLOT / max(ticks[-1], most)
    parts = [_vertical(_LEFT + tick * scale, top, top + step * len(rows), f"{tick:g}") for tick in ticks]
    for i, (name, (low, mid, high)) in enumerate(rows):
        y = top + i * step
        parts.append(f'<text class="name" x="{_LEFT - 8}" y="{y + 17}">{escape(name)}</text>')
        parts.append(_rect("faint", _LEFT, y + 9, mid * scale, 8))
        parts.append(_rect("series", _LEFT, y + 5, low * scale, 16))
        x = _LEFT + high * scale
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 5}" y2="{y + 21}"/>')
    return _svg(top + step * len(rows) + 24, parts, unit)


def area_chart(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], x_label: str) -> str:
    """Counts y over x as steps: the mean of a bin filled, its maximum as a line; at most 360 bins."""
    height, top = 130, 8
    edges = np.linspace(x[0], x[-1] if x[-1] > x[0] else x[0] + 1, min(360, len(x)) + 1)
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    peak = np.zeros(len(edges) - 1)
    np.maximum.at(peak, place, y)
    count = np.bincount(place, minlength=len(peak))
    mean = np.bincount(place, y, len(peak)) / np.maximum(count, 1)
    ticks = nice_ticks(max(float(y.max()), 1.0), whole=True)
    scale_y, scale_x = height / ticks[-1], _PLOT / (edges[-1] - edges[0])
    parts = [_horizontal(top + height - tick * scale_y, f"{tick:g}") for tick in ticks]
    at = _LEFT + (edges - edges[0]) * scale_x
    filled = "".join(
        f"L{a:.1f} {top + height - v * scale_y:.1f}L{b:.1f} {top + height - v * scale_y:.1f}"
        for a, b, v, n in zip(at[:-1], at[1:], mean, count, strict=True)
        if n
    )
    parts.append(f'<path class="area" d="M{at[0]:.1f} {top + height}{filled}L{at[-1]:.1f} {top + height}Z"/>')
    line = "L".join(
        f"{a:.1f} {top + height - v * scale_y:.1f}L{b:.1f} {top + height - v * scale_y:.1f}"
        for a, b, v, n in zip(at[:-1], at[1:], peak, count, strict=True)
        if n
    )
    parts.append(f'<path class="line" d="M{line}"/>')
    parts += _time_axis(edges[0], edges[-1], top + height)
    return _svg(top + height + 24, parts, x_label)


def spans(rows: Sequence[tuple[str, float, float, float]], until: float, x_label: str) -> str:
    """A row a name: a bar from a start to an end, the more opaque the higher its score (0 to 1)."""
    top, step = 4, 15
    scale = _PLOT / (until or 1.0)
    parts: list[str] = []
    for i, (name, start, end, score) in enumerate(rows):
        y = top + i * step
        parts.append(f'<text class="name small" x="{_LEFT - 8}" y="{y + 10}">{escape(name)}</text>')
        wide = max(2.0, (end - start) * scale)
        opacity = 0.25 + 0.75 * min(max(score, 0.0), 1.0)
        parts.append(
            f'<rect class="series" fill-opacity="{opacity:.2f}" x="{_LEFT + start * scale:.1f}" y="{y + 2}" '
            f'width="{wide:.1f}" height="{step - 5}" rx="2"><title>track {escape(name)}: {start:.2f} to {end:.2f} s, '
            f"mean score {score:.2f}</title></rect>"
        )
    parts += _time_axis(0.0, until or 1.0, top + step * len(rows))
    return _svg(top + step * len(rows) + 24, parts, x_label)


def bars(rows: Sequence[tuple[str, float]], most: float) -> str:
    """A row a name: a bar of its value, which is written at its end; NaN has none."""
    top, step = 4, 19
    scale = (_PLOT - 50) / most
    parts: list[str] = []
    for i, (name, value) in enumerate(rows):
        y = top + i * step
        known = not math.isnan(value)
        parts.append(f'<text class="name small" x="{_LEFT - 8}" y="{y + 12}">{escape(name)}</text>')
        parts.append(_rect("series", _LEFT, y + 3, value * scale if known else 0, step - 7))
        x = _LEFT + (value * scale if known else 0) + 6
        parts.append(f'<text class="value" x="{x:.1f}" y="{y + 12}">{f"{value:.2f}" if known else "-"}</text>')
    return _svg(top + step * len(rows) + 8, parts, "")


def nice_ticks(most: float, whole: bool = False) -> list[float]:
    """Three to six round numbers from 0 up to `most` or just beyond."""
    rough = most / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = max(1.0, math.ceil(step)) if whole else step
    return [i * step for i in range(math.ceil(most / step - 1e-9) + 1)]


def _time_axis(start: float, end: float, y: float) -> list[str]:
    span = end - start
    marks = [tick for tick in nice_ticks(span) if tick <= span * 1.001]
    return [
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>',
        *(
            f'<text class="mark" x="{_LEFT + tick / span * _PLOT:.1f}" y="{y + 15}">{start + tick:g}</text>'
            for tick in marks
        ),
    ]


def _vertical(x: float, top: float, bottom: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        f'<text class="mark" x="{x:.1f}" y="{bottom + 15}">{label}</text>'
    )


def _horizontal(y: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="name small" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>'
    )


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{max(width, 0):.1f}" height="{height}" rx="2"/>'


def _svg(height: float, parts: list[str], label: str) -> str:
    """The drawing, its unit at the left of the axis' numbers."""
    text = f'<text class="unit" x="{_LEFT - 8}" y="{height - 9}">{escape(label)}</text>' if label else ""
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img">{"".join(parts)}{text}</svg>'
