# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Accuracy on photographs, with what it costs: `python benchmarks/photographs.py FOLDER [--json FILE]`.

FOLDER holds labelled people (benchmarks/beside/photographs.py says how). Every contender gets the same true boxes, one
person after the other, single frames, one thread; milliseconds are processor time a person, from the picture to the
joints, in the same run.

- our bundles: those given with --models, else all that ship;
- MoveNet as published (squares of 192 and 256, its own weighting), with --movenet, the unpacked npm package
  (`python -m training.weights download movenet-thunder --to DIR`); needs the extras of training and export;
- MediaPipe's BlazePose full with --python, the environment that has mediapipe==0.10.21: it gets the square around the
  enlarged box at 512 x 512 pixels and looks for the person in it. Left out, and reported so, where it is not installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/photographs.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.beside.photographs import Joints, Photograph, hits, read_sets  # noqa: E402
from benchmarks.beside.worker import JOINTS  # noqa: E402
from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.peer import Contender, mediapipe_worker  # noqa: E402
from benchmarks.report import machine, table, versions, write_json  # noqa: E402
from sdtc_ros.crops import crop_boxes, crop_images, to_image  # noqa: E402
from sdtc_ros.engine.ort.host import OnnxEngine  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.models.bundle import load_bundle, write_manifest  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame  # noqa: E402

SHIPPED = ROOT / "sdtc_ros" / "models"
SIDES = {"lightning": 192, "thunder": 256}
UNWEIGHTED = 1e9  # cells
PICTURE = 512  # side of what MediaPipe gets


@dataclass(frozen=True)
class Row:
    """One contender: percent of joints found in each set, milliseconds of processor time a person."""

    contender: str
    found: dict[str, float]
    milliseconds: float


class Ours:
    """A bundle in the product's pipeline."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        bundle = load_bundle(folder)
        config = PipelineConfig(lookahead=0, crop_drift_threshold=0, min_box_score=0)
        self._pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), config)

    def find(self, image: Any, box: Any) -> Joints:
        """The joints of one person, image pixels."""
        self._pipeline.reset()
        boxes = Boxes(box[None], np.ones(1, np.float32), np.array([0]))
        result = self._pipeline.process(Frame(image, 1), boxes)
        if result is None or not result.poses:
            return {}
        joints = self._pipeline.bundle.skeleton.joints
        return {name: (x, y) for name, (x, y, _) in zip(joints, result.poses[0].keypoints.tolist(), strict=True)}


def measure_ours(contender: Ours, sets: dict[str, list[Photograph]]) -> Row:
    """All people of all sets, one at a time."""
    found, seconds, count = {}, 0.0, 0
    for name, photographs in sets.items():
        right: list[bool] = []
        for photograph in photographs:
            image = photograph.image()
            for box, truth in zip(photograph.boxes, photograph.joints, strict=True):
                start = process_time()
                joints = contender.find(image, box)
                seconds, count = seconds + process_time() - start, count + 1
                right += hits(box, truth, joints)
        found[name] = 100 * float(np.mean(right))
    return Row(contender.name, found, 1000 * seconds / count)


@dataclass(frozen=True)
class Variant:
    """MoveNet on other crops or with another weighting of its joints by the distance from the regressed place.

    size: of the crops, (width, height); reach: cells at which the weight has fallen to half, MoveNet's own is 1.8.
    """

    words: str
    name: str
    size: tuple[int, int]
    reach: float


def variants(ablate: bool) -> list[Variant]:
    """MoveNet as published; ablate: also with ours in place of its crops and its weighting, one by one."""
    from training.models.movenet_decode import CENTRE_REACH, JOINT_REACH
    from training.weights.movenet import INPUT_SIZES

    found = []
    for name, side in SIDES.items():
        square, ours = (side, side), INPUT_SIZES[name]
        found.append(Variant("as published", name, square, CENTRE_REACH))
        if ablate:
            found += [
                Variant("published crops, our weighting", name, square, JOINT_REACH),
                Variant("our crops, published weighting", name, ours, CENTRE_REACH),
                Variant("our crops, no weighting", name, ours, UNWEIGHTED),
            ]
    return found


def as_bundle(package: Path, variant: Variant, folder: Path) -> Ours:
    """A variant as a bundle in the product's pipeline."""
    from export.graphs import token_shapes, write_graphs
    from training.checkpoint import MoveNetChoice, published_movenet
    from training.models.movenet_decode import MoveNetDecode
    from training.weights.tfjs import graph_file

    size = variant.size
    path = graph_file(package, f"movenet-{variant.name}")
    network, _ = published_movenet(path, MoveNetChoice(input_size=size))
    network.decode = MoveNetDecode(network.config.heatmap_size, variant.reach)
    folder.mkdir()
    write_graphs(network, folder)
    half = (0.5, 0.5, 0.5)
    write_manifest(
        folder, name=variant.name, skeleton="coco", input_size=size, delta=0, tokens=token_shapes(network),
        mean=half, std=half, decode="movenet",
    )  # fmt: skip
    return Ours(f"MoveNet {variant.name.capitalize()}, {variant.words}, {size[0]} x {size[1]}", folder)


def measure_mediapipe(contender: Contender, sets: dict[str, list[Photograph]], folder: Path) -> Row:
    """The same people as squares of PICTURE pixels, each a picture without a past."""
    found, seconds, count = {}, 0.0, 0
    for name, photographs in sets.items():
        people = [(p, box, truth) for p in photographs for box, truth in zip(p.boxes, p.joints, strict=True)]
        squares = [crop_boxes(box, 1.0) for _, box, _ in people]
        size = (PICTURE, PICTURE)
        images = [crop_images(p.image(), square, size)[0] for (p, _, _), square in zip(people, squares, strict=True)]
        whole = np.tile(np.array([0, 0, *size], np.float32), (len(people), 1, 1))
        clip = folder / f"{name}.npz"
        np.savez(clip, images=np.stack(images), boxes=whole, crops=whole)
        told, points = contender.play(clip, "still")
        clip.unlink()
        seconds, count = seconds + sum(told["seconds"]["cpu"]), count + len(people)
        right: list[bool] = []
        for (_, box, truth), square, place in zip(people, squares, points[:, 0], strict=True):
            there = to_image(place[None].astype(np.float32), square, size)[0]
            joints = {joint: (x, y) for joint, (x, y) in zip(JOINTS, there.tolist(), strict=True) if x == x}
            right += hits(box, truth, joints)
        found[name] = 100 * float(np.mean(right))
    return Row("MediaPipe, BlazePose full", found, 1000 * seconds / count)


def report(rows: list[Row]) -> str:
    """The table."""
    sets = list(rows[0].found)
    cells = [[row.contender, *(f"{row.found[name]:.1f}" for name in sets), f"{row.milliseconds:.1f}"] for row in rows]
    return table(["", *sets, "ms a person"], cells)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/photographs.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="labelled people, a set or a folder of sets")
    parser.add_argument("--models", type=Path, nargs="+", metavar="BUNDLE", help="our bundles (default: all that ship)")
    parser.add_argument("--movenet", type=Path, metavar="PACKAGE", help="the unpacked npm package of MoveNet's weights")
    parser.add_argument("--ablate", action="store_true", help="with --movenet: also our crops and weighting one by one")
    parser.add_argument("--python", default=sys.executable, help="of the environment that has mediapipe==0.10.21")
    parser.add_argument("--people", type=int, metavar="N", help="of each set only the first N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    if args.people is not None and args.people < 1:
        raise UsageError(f"--people must be >= 1, got {args.people}")
    sets = read_sets(args.folder, args.people)
    here = ", ".join(f"{package} {version}" for package, version in versions().items())
    print(f"{machine()['cpu']}, one thread, load {machine()['load']} at the start\n{here}", flush=True)
    print("people: " + ", ".join(f"{name} {sum(len(p.boxes) for p in sets[name])}" for name in sets) + "\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="sdtc_ros-photographs-") as name:
        rows = []
        for row in _rows(args, sets, Path(name)):
            rows.append(row)
            print(report([row]).splitlines()[-1], file=sys.stderr, flush=True)  # a run takes minutes
    print(report(rows))
    if args.json:
        write_json(args.json, {"sets": list(sets), "rows": [row.__dict__ for row in rows]})


def _rows(args: argparse.Namespace, sets: dict[str, list[Photograph]], folder: Path) -> Iterator[Row]:
    models = args.models or sorted(path.parent for path in SHIPPED.glob("*/temporal.onnx"))
    for model in models:
        yield measure_ours(Ours(load_bundle(model).name, model), sets)
    theirs = mediapipe_worker(args.python, 1, folder)
    if theirs is not None:
        yield measure_mediapipe(theirs, sets, folder)
        theirs.close()
    for number, variant in enumerate(variants(args.ablate) if args.movenet else []):
        yield measure_ours(as_bundle(args.movenet, variant, folder / str(number)), sets)


if __name__ == "__main__":
    sys.exit(main())
