# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The report's drawings: well-formed SVG whose lengths are the values', with ticks at round numbers."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sdtc_ros.replay.report_plots import area_chart, bars, nice_ticks, range_bars, spans


def rects(svg: str, kind: str) -> list[dict[str, str]]:
    return [dict(node.attrib) for node in ElementTree.fromstring(svg).iter("rect") if node.get("class") == kind]


@pytest.mark.parametrize("most", [0.013, 0.9, 1, 7, 12.3, 480, 99_999])
def test_ticks_are_few_and_cover(most):
    ticks = nice_ticks(most)
    assert ticks[0] == 0
    assert most <= ticks[-1] * (1 + 1e-9)
    assert ticks[-2] < most
    assert 3 <= len(ticks) <= 6
    assert len(f"{ticks[1]:g}") <= 6


def test_range_bars_lengths_are_in_proportion():
    svg = range_bars([("encode", (10.0, 20.0, 40.0)), ("a <b> & c", (5.0, 5.0, 5.0))], "ms")
    first, second = rects(svg, "series")
    assert float(first["width"]) == pytest.approx(2 * float(second["width"]), abs=0.1)
    assert float(rects(svg, "faint")[0]["width"]) == pytest.approx(2 * float(first["width"]), abs=0.1)
    assert "a &lt;b&gt; &amp; c" in svg


def test_bars_with_a_missing_value():
    svg = bars([("nose", 0.5), ("none", float("nan"))], 1.0)
    assert [float(rect["width"]) > 0 for rect in rects(svg, "series")] == [True, False]
    assert re.findall(r'class="value"[^>]*>([^<]*)<', svg) == ["0.50", "-"]


def test_spans_start_and_end_where_they_should():
    (bar,) = rects(spans([("4", 1.0, 3.0, 0.5)], 4.0, "s"), "series")
    (whole,) = rects(spans([("4", 0.0, 4.0, 0.5)], 4.0, "s"), "series")
    assert float(bar["width"]) == pytest.approx(float(whole["width"]) / 2, abs=0.1)
    assert float(bar["x"]) - float(whole["x"]) == pytest.approx(float(whole["width"]) / 4, abs=0.1)


@pytest.mark.parametrize("count", [1, 2, 50, 5000])
def test_area_chart_of_any_length(count):
    svg = area_chart(np.arange(count) / 25, np.full(count, 3.0), "s")
    path = next(node for node in ElementTree.fromstring(svg).iter("path") if node.get("class") == "line")
    heights = {float(pair.split()[1]) for pair in path.get("d")[1:].split("L")}
    assert len(heights) == 1  # three people throughout: a level line
    assert len(svg) < 40_000
