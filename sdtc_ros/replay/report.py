# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A replay's report: one HTML file that needs nothing else, neither network nor scripts."""

from __future__ import annotations

import math
import platform
from base64 import b64encode
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sdtc_ros.replay.report_page import page, section, table, tile
from sdtc_ros.replay.report_plots import area_chart, bars, range_bars, spans
from sdtc_ros.replay.statistics import STAGES, RunStatistics
from sdtc_ros.version import __version__
from sdtc_ros.whole_file import write_whole

if TYPE_CHECKING:
    from sdtc_ros.replay.result import ReplayResult

_MAX_IMAGES, _MAX_TRACKS = 7, 30
_STAGE_TEXT = {
    "read": "reading and decoding the frame (replay only)",
    "detect": "finding person boxes",
    "track": "giving boxes their track ids, choosing crops",
    "crop": "cutting out the people",
    "encode": "the network's encoder, new crops only",
    "estimate": "the network's temporal part and heatmap decoding",
    "write": "drawing and writing (replay only)",
}


def write_report(result: ReplayResult, path: Path) -> Path:
    """Write the report of a replay to `path` and return that; the file appears whole or not at all.

    A part that cannot be drawn is left out, and reported there and in the result's notes. Raises OSError.
    """
    statistics = result.statistics
    drawn = [
        _drawn(result, lambda: _tiles(result)),
        _drawn(result, lambda: _accuracy(result)),
        _drawn(result, lambda: _images(statistics)),
        _drawn(result, lambda: _latency(statistics)),
        _drawn(result, lambda: _people(statistics)),
        _drawn(result, lambda: _scores(statistics)),
    ]
    parts = [_problems(result), *drawn, _files(result, path), _provenance(result)]
    about = f"{result.source.what} · model {result.pipeline.bundle.name} · {result.boxes}"
    write_whole(path, page(f"Poses of {result.source.name}", about, parts))
    return path


def _drawn(result: ReplayResult, part: Callable[[], str]) -> str:
    try:
        return part()
    except (ArithmeticError, ValueError, LookupError, TypeError) as error:  # figures without sense
        result.notes.append(f"a part of the report could not be drawn ({type(error).__name__}: {error})")
        return ""


def _problems(result: ReplayResult) -> str:
    said = [*result.problems, *result.notes]
    if result.stopped:
        said.insert(0, f"the replay was stopped after {result.frames} frames")
    if not said:
        return ""
    items = "".join(f"<li>{escape(text[:1].upper() + text[1:])}.</li>" for text in said)
    return f'<aside class="problems"><h2>What to know about this run</h2><ul>{items}</ul></aside>'


def _tiles(result: ReplayResult) -> str:
    statistics = result.statistics
    people = np.asarray(statistics.people, np.float64)
    tiles = [
        tile("frames", f"{len(people):,}", f"{_span(statistics):.1f} s of {result.source.fps:.4g} frames a second"),
        tile("people a frame", f"{people.mean():.1f}", f"{people.max():.0f} at most"),
        tile("tracks", f"{len(statistics.tracks):,}", _track_text(statistics)),
        tile("pipeline time", f"{statistics.percentiles('total')[0]:.1f} ms", "a frame, median"),
        tile("replay speed", f"{len(people) / max(statistics.wall, 1e-9):.1f}", "frames a second, all told"),
    ]
    if result.accuracy:
        total = result.accuracy.result.ap["total"]
        tiles.insert(0, tile("AP", "-" if math.isnan(total) else f"{total:.1f}", f"mean of the joints, {result.boxes}"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _span(statistics: RunStatistics) -> float:
    return statistics.seconds[-1] - statistics.seconds[0]


def _track_text(statistics: RunStatistics) -> str:
    lengths = [track.frames for track in statistics.tracks.values()]
    return f"median length {np.median(lengths):.0f} frames" if lengths else "nobody was found"


def _accuracy(result: ReplayResult) -> str:
    accuracy = result.accuracy
    if accuracy is None:
        return ""
    groups = accuracy.result.groups
    titles = list(groups["ap"])
    rows = [[name.upper(), *(_figure(values[title]) for title in titles)] for name, values in groups.items()]
    text = [table(["", *titles], rows)]
    if accuracy.result.subsets:
        subsets = [
            [name, f"{s.joints:,}", _figure(s.recall), _figure(s.pck)] for name, s in accuracy.result.subsets.items()
        ]
        text.append(table(["joints that are", "number", "recall", "PCK of matched people"], subsets))
    counts = accuracy.result.counts
    text.append(
        f"<p>Person boxes: <strong>{escape(result.boxes)}</strong>. Percent, by the rules of PoseTrack's poseval "
        f"(a joint counts as found within half a head, 0.3 × the head box's diagonal). {counts['people']:,} annotated "
        f"people in {accuracy.replayed:,} of the truth's {accuracy.annotated:,} annotated frames.</p>"
    )
    return section("Accuracy", "".join(text))


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _images(statistics: RunStatistics) -> str:
    chosen = statistics.samples
    if len(chosen) > _MAX_IMAGES:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, _MAX_IMAGES).round().astype(int)]
    fullest = max(chosen, key=lambda sample: sample.people)  # shown large
    chosen = [fullest, *(sample for sample in chosen if sample is not fullest)]
    figures = "".join(
        f'<figure><img alt="frame {sample.number}" src="data:image/jpeg;base64,{b64encode(sample.jpeg).decode()}">'
        f"<figcaption>frame {sample.number} · {sample.people} {'person' if sample.people == 1 else 'people'}"
        "</figcaption></figure>"
        for sample in chosen
    )
    legend = (
        "<p>Orange is the person's left, blue the right; the fainter a limb, the lower its score. A box bears its "
        "track id and the pose's score.</p>"
    )
    return section("Frames", f'{legend}<div class="frames">{figures}</div>')


def _latency(statistics: RunStatistics) -> str:
    stages = [stage for stage in STAGES if stage in statistics.latency]
    figures = {stage: statistics.percentiles(stage) for stage in [*stages, "total"]}
    rows = [
        [stage, *(f"{v:.2f}" for v in figures[stage]), f"{len(statistics.latency[stage]):,}", _STAGE_TEXT[stage]]
        for stage in stages
    ]
    rows.append(["pipeline", *(f"{v:.2f}" for v in figures["total"]), f"{len(statistics.total):,}", "detect to decode"])
    chart = range_bars([(name, figures[name]) for name in stages] + [("pipeline", figures["total"])], "ms")
    heads = ["stage", "p50 ms", "p95 ms", "p99 ms", "frames", ""]
    key = "<p>Bar: median; thin bar: 95 of 100 frames are faster; tick: 99 of 100.</p>"
    return section("Time by stage", chart + key + table(heads, rows, last_is_text=True))


def _people(statistics: RunStatistics) -> str:
    seconds = np.asarray(statistics.seconds, np.float64)
    chart = area_chart(seconds, np.asarray(statistics.people, np.float64), "seconds")
    text = "<h3>People</h3>" + chart
    longest = sorted(statistics.tracks.items(), key=lambda item: -item[1].frames)[:_MAX_TRACKS]
    if longest:
        rows = [
            (str(n), t.first, t.last, t.score / t.frames) for n, t in sorted(longest, key=lambda item: item[1].first)
        ]
        more = len(statistics.tracks) - len(longest)
        note = f" The {more:,} shorter ones are not shown." if more else ""
        text += f"<h3>Tracks</h3><p>The stronger the bar, the higher the mean score.{note}</p>"
        text += spans(rows, float(seconds[-1]), "seconds")
    return section("People and tracks over time", text)


def _scores(statistics: RunStatistics) -> str:
    if not statistics.tracks:
        return ""
    sums, counts = statistics.joint_scores.T
    names = [joint.replace("_", " ") for joint in statistics.skeleton.joints]
    rows = list(zip(names, (sums / np.maximum(counts, 1)).tolist(), strict=True))
    return section("Mean score by joint", bars(rows, 1.0))


def _files(result: ReplayResult, report: Path) -> str:
    what = {
        "bag": "poses as vision_msgs/Detection2DArray on /sdtc/poses: <code>ros2 bag play poses_bag</code>",
        "poses": "poses in PoseTrack18's format",
        "video": "the frames with their poses drawn",
        "evaluation": "every figure of the accuracy",
    }
    rows = [
        [f"<code>{escape(str(path.relative_to(report.parent)))}</code>", what[role]]
        for role, path in result.files.items()
        if role in what and path.exists()
    ]
    return section("Files", table(["in this folder", ""], rows, last_is_text=True, escaped=True))


def _provenance(result: ReplayResult) -> str:
    bundle, threshold = result.pipeline.bundle, result.pipeline.config.crop_drift_threshold
    rows = [
        ["model", f"{bundle.name}, hash {bundle.bundle_hash[:12]}"],
        ["skeleton, crop, window", f"{bundle.skeleton.name}, {bundle.input_size[0]} × {bundle.input_size[1]}, "
         f"{2 * bundle.delta + 1} frames, lookahead {result.pipeline.lookahead}"],
        ["crop drift threshold", f"{threshold:g}" if threshold else "0, every crop moves: the papers' protocol"],
        *([str(key), str(value)] for key, value in bundle.training.items() if isinstance(value, (str, int, float))),
        ["sdtc_ros", f"{__version__}, Python {platform.python_version()}, {platform.machine()}"],
    ]  # fmt: skip
    return section("Made with", table(["", ""], rows, last_is_text=True))
