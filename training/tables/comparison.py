# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A table of trained rows beside the paper's figures, as Markdown and as a plot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

COLUMNS = {
    "ap_total": "AP", "pckh_all": "PCKh", "pckh_wrist": "wrist", "pckh_ankle": "ankle", "pckh_occluded": "occluded",
    "pckh_blurred": "blurred",
}  # fmt: skip
_FORMER = {"pckh_hidden": "pckh_occluded"}  # in the records of earlier trainings


@dataclass(frozen=True)
class Result:
    """One finished run: its seed and the figures of its last validation, percent by name."""

    seed: int
    figures: dict[str, float]


@dataclass
class Row:
    """A row and its finished runs; paper is its figure there."""

    name: str
    paper: float | None
    results: list[Result]

    def values(self, column: str) -> list[float]:
        """What the runs have for a column."""
        named = [{_FORMER.get(name, name): value for name, value in r.figures.items()} for r in self.results]
        return [figures[column] for figures in named if column in figures]


def mean_and_spread(values: list[float]) -> str:
    """Mean, and with several seeds the sample's standard deviation."""
    if not values:
        return "-"
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.1f}"


def comparison_table(rows: list[Row]) -> str:
    """Markdown: a line a row, columns that at least one row has; the paper's figure first."""
    columns = [c for c in COLUMNS if any(row.values(c) for row in rows)]
    has_paper = any(row.paper is not None for row in rows)
    head = ["row", *(["paper mAP"] if has_paper else []), *(COLUMNS[c] for c in columns), "seeds"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for row in rows:
        paper = [] if not has_paper else ["-" if row.paper is None else f"{row.paper:.1f}"]
        figures = [mean_and_spread(row.values(c)) for c in columns]
        lines.append("| " + " | ".join([row.name, *paper, *figures, str(len(row.results))]) + " |")
    return "\n".join(lines)


def write_comparison(folder: Path, title: str, note: str, rows: list[Row]) -> None:
    """Write table.md and table.png to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = f"# {title}\n\n{comparison_table(rows)}\n"
    (folder / "table.md").write_text(text + (f"\n{note.strip()}\n" if note else ""))
    plot_comparison(folder / "table.png", title, [row for row in rows if row.results])


def plot_comparison(path: Path, title: str, rows: list[Row]) -> None:
    """Each row's mean and every seed's dot, overall, on occluded and on blurred joints; beside them the paper's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    main = "ap_total" if any(row.values("ap_total") for row in rows) else "pckh_all"
    panels = [main, *(c for c in ("pckh_occluded", "pckh_blurred") if any(row.values(c) for row in rows))]
    has_paper = any(row.paper is not None for row in rows)
    names = [COLUMNS[c] for c in panels] + (["paper mAP"] if has_paper else [])
    size = (3.2 * len(names) + 2.5, 0.5 * len(rows) + 1.6)
    figure, axes = pyplot.subplots(1, len(names), figsize=size, sharey=True, constrained_layout=True, squeeze=False)
    for axis, name, column in zip(axes[0], names, [*panels, None], strict=False):
        for place, row in enumerate(rows):
            values = row.values(column) if column else [row.paper] if row.paper is not None else []
            if values:
                axis.barh(place, float(np.mean(values)), color="#9db8d2" if column else "#d9d9d9", height=0.6)
                axis.plot(values, [place] * len(values), "o", color="#1f3b57", markersize=4)
                axis.annotate(f" {np.mean(values):.1f}", (max(values), place), va="center", fontsize=9)
        low, high = axis.dataLim.intervalx if axis.has_data() else (0, 1)
        shown = [v for row in rows for v in (row.values(column) if column else [row.paper]) if v is not None]
        margin = max(1.0, 0.35 * (max(shown) - min(shown))) if shown else 1.0
        axis.set_xlim((min(shown) - margin, max(shown) + 2 * margin) if shown else (low, high))
        axis.set_title(name)
        axis.grid(axis="x", alpha=0.3)
    axes[0][0].set_yticks(range(len(rows)), [row.name for row in rows])
    axes[0][0].invert_yaxis()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
