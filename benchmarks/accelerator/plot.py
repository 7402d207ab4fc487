# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The shares of the peak, drawn: a row of panels a network, a panel a part, a line an engine."""

from __future__ import annotations

from pathlib import Path

from benchmarks.accelerator.rows import Result
from benchmarks.plots import new_figure

BAR = 50  # percent of the peak, for the encoder at batches of 32 and more


def draw(results: list[Result], path: Path, title: str) -> None:
    """Write the PNG."""
    networks, parts = (
        list(dict.fromkeys(values)) for values in zip(*((r.network, r.part) for r in results), strict=True)
    )
    engines = list(dict.fromkeys(r.engine for r in results))
    figure = new_figure(4.2 * len(parts), 3.4 * len(networks) + 0.6)
    panels = figure.subplots(len(networks), len(parts), squeeze=False, sharex=True)
    for axes_row, network in zip(panels, networks, strict=True):
        for axes, part in zip(axes_row, parts, strict=True):
            for number, engine in enumerate(engines):
                mine = [r for r in results if (r.network, r.part, r.engine) == (network, part, engine)]
                shares = [100 * r.share for r in mine]
                axes.plot([r.batch for r in mine], shares, "-o", ms=4, color=f"C{number}", label=engine)
            if part == "encoder":
                axes.axhline(BAR, color="0.6", lw=1, ls="--")
            axes.set_xscale("log", base=2)
            axes.set_ylim(bottom=0)
            axes.set_title(f"{network}, {part}", fontsize=10)
            axes.grid(alpha=0.3)
        axes_row[0].set_ylabel("% of the peak")
    batches = sorted({r.batch for r in results})
    for axes in panels[-1]:
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_xlabel("people at once")
    figure.suptitle(title, fontsize=10)
    figure.legend(
        *panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(engines)), fontsize=9
    )
    figure.savefig(path, dpi=120)
