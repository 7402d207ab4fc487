# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What windows are worth by the time between their frames: `python benchmarks/window_interval.py [--strides 1 3 7]`.

Every n-th frame of the demo's clip, as a node sees them that cannot process more, with the true boxes: whole windows
with and without later frames, and keyframes alone. Right is a joint within a tenth of the person's height.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/window_interval.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.report import machine, table, write_json  # noqa: E402
from sdtc_ros.demo import demo_clip  # noqa: E402
from sdtc_ros.demo.clip import Clip  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.models.bundle import Bundle, default_bundle, load_bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame, FramePoses  # noqa: E402

NEAR = 0.1  # of a person's height


@dataclass(frozen=True)
class Row:
    """Percent of the joints that are right: visible ones, and occluded ones."""

    hz: float
    windows: str
    visible: float
    occluded: float


def play(clip: Clip, bundle: Bundle, engine: Engine, stride: int, lookahead: int, alone: bool) -> Row:
    """Every stride-th frame of the clip through a pipeline."""
    pipeline = Pipeline(bundle, engine, PipelineConfig(lookahead=lookahead, max_gap=60.0))
    pipeline.ring.alone = alone
    numbers, right, occluded = dict[int, int](), list[bool](), list[bool]()

    def count(result: FramePoses) -> None:
        number = numbers[result.frame.stamp]
        for pose in result.poses:
            person = int(np.flatnonzero(clip.track_ids == pose.track_id)[0])
            away = np.linalg.norm(pose.keypoints[:, :2] - clip.keypoints[number, person], axis=1)
            right.extend((away < NEAR * clip.boxes[number, person, 3]).tolist())
            occluded.extend((~clip.visible[number, person]).tolist())

    for number in range(0, len(clip.frames), stride):
        stamp = round(1e9 + number * 1e9 / clip.fps)
        numbers[stamp] = number
        here = np.flatnonzero(clip.present[number])
        boxes = Boxes(clip.boxes[number, here], np.ones(len(here), np.float32), clip.track_ids[here])
        result = pipeline.process(Frame(clip.frames[number], stamp), boxes)
        if result is not None:
            count(result)
    for result in pipeline.flush():
        count(result)
    what = "keyframes alone" if alone else f"whole, lookahead {lookahead}"
    found, hidden = np.array(right), np.array(occluded)
    return Row(clip.fps / stride, what, 100 * float(found[~hidden].mean()), 100 * float(found[hidden].mean()))


def _work(args: argparse.Namespace) -> None:
    from sdtc_ros.engine.ort.host import OnnxEngine

    bundle, clip = load_bundle(args.bundle or default_bundle()), demo_clip(args.frames)
    engine = OnnxEngine(bundle, threads=args.threads)
    ways = [(bundle.delta, False), (0, False), (0, True)]
    rows = [play(clip, bundle, engine, stride, *way) for stride in args.strides for way in ways]
    head = ["frames, Hz", "windows", "visible joints right, %", "occluded, %"]
    print(table(head, [[f"{row.hz:.1f}", row.windows, f"{row.visible:.1f}", f"{row.occluded:.1f}"] for row in rows]))
    if args.json:
        write_json(args.json, {"rows": [asdict(row) for row in rows], "model": bundle.name, **machine()})


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/window_interval.py", description="Windows by the time between their frames."
    )
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 3, 7], metavar="N", help="every N-th frame")
    parser.add_argument("--frames", type=int, help="of the clip, at most (default: all 100)")
    parser.add_argument("--bundle", type=Path, help="folder of a model bundle (default: the shipped one)")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures")
    return carry_out(parser, arguments, _work)


if __name__ == "__main__":
    sys.exit(main())
