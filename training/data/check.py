# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m training.data check DIR`: what a data set's folder holds, what cannot be used and why, and a picture."""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from sdtc_ros.errors import InputError, PartialInputError
from sdtc_ros.replay.progress import Progress
from training.data import summary as reasons
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.clips import ClipDataset, FrameCache
from training.data.detections import match_detections
from training.data.index import Index, build_index
from training.data.layout import DATASETS, find_layout, find_splits
from training.data.sheet import contact_sheet

WINDOW = (144, 192)  # width, height of a crop in the contact sheet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the data set's folder (docs/data.md)")
    parser.add_argument("--dataset", choices=DATASETS, help="what it must be (default: found out)")
    parser.add_argument("--split", help="one split only (default: all that are there)")
    parser.add_argument("--images", type=Path, metavar="DIR", help="where the images are, if not in DIR")
    parser.add_argument("--out", type=Path, default=Path("out/data"), help="folder of the contact sheets (out/data)")
    parser.add_argument("--windows", type=int, default=12, help="windows on a contact sheet (12)")
    parser.add_argument("--delta", type=int, default=2, help="frames on each side of a keyframe (2)")
    parser.add_argument("--augment", action="store_true", help="draw the windows as augmented for training")
    parser.add_argument("--min-joints", type=int, default=3, help="labelled joints that a window's person needs (3)")
    parser.add_argument("--boxes", type=Path, metavar="PATH", help="detector boxes: count the people they find")
    parser.add_argument("--decode", action="store_true", help="decode every image, to find the damaged ones")


def run(args: argparse.Namespace) -> int:
    """Print and draw; raises InputError where nothing can be used, PartialInputError where something is damaged."""
    layouts = (
        [find_layout(args.folder, args.split, args.dataset, args.images)]
        if args.split
        else find_splits(args.folder, args.dataset, args.images)
    )
    unusable: list[str] = []
    damaged = False
    for layout in layouts:
        try:
            index = build_index(layout, args.min_joints)
        except InputError as error:
            unusable.append(str(error))
            continue
        if args.decode:
            decode_all(index)
        sheet = draw(index, args)
        print("\n".join(index.summary.lines()))
        if args.boxes is not None:
            print(f"  {match_detections(index, args.boxes).source}")
        print(f"  drawn in   {sheet}", flush=True)
        damaged |= index.summary.damaged
    if len(unusable) == len(layouts):
        raise InputError(unusable[0])
    if unusable or damaged:
        raise PartialInputError("; ".join([*unusable, *(["some of it is damaged or missing, see above"] * damaged)]))
    return 0


def decode_all(index: Index) -> None:
    """Count the images that do not decode into the summary."""
    paths = [video.path(frame) for video in index.videos for frame in range(len(video.files))]
    with ThreadPoolExecutor() as pool, Progress("decoding", len(paths)) as progress:
        for path, sound in zip(paths, pool.map(_decodes, paths), strict=True):
            progress.step()
            if not sound:
                index.summary.skip(reasons.UNREADABLE, str(path))


def _decodes(path: Path) -> bool:
    return FrameCache(0).read(path) is not None


def draw(index: Index, args: argparse.Namespace) -> Path:
    """Write the contact sheet of a split, windows spread evenly over all; images that do not decode are counted."""
    dataset = ClipDataset(index, WINDOW, args.delta, Augmentation() if args.augment else NO_AUGMENTATION)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, max(1, args.windows)).round().astype(int)).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not decode is reported in the summary
        sheet = contact_sheet([(_caption(dataset, i), dataset[i]) for i in chosen], index.skeleton)
    if not args.decode:
        for broken in dataset.unreadable():
            index.summary.skip(reasons.UNREADABLE, str(broken))
    args.out.mkdir(parents=True, exist_ok=True)
    path: Path = args.out / f"{index.summary.dataset}-{index.summary.split}.png"
    cv2.imwrite(str(path), sheet)
    return path


def _caption(dataset: ClipDataset, sample: int) -> str:
    people, row = dataset.index.people, int(dataset.rows[sample])
    video = dataset.index.videos[int(people.video[row])]
    first, last = (Path(video.files[frame]).stem for frame in dataset.frames[sample][[0, -1]].tolist())
    return f"{video.name}, track {people.track[row]}, frames {first} to {last}"
