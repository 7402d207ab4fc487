# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where a data set's annotations and images lie under its folder, and which data set it is.

| data set | annotations | images |
|---|---|---|
| posetrack17 | annotations/<split>/*.json (annolist) | images/<group>/<sequence>/00000001.jpg |
| posetrack18 | annotations/<split>/*.json | images/<split>/<sequence>/000000.jpg |
| posetrack21 | posetrack_data/<split>/*.json | images/<split>/<sequence>/000000.jpg |
| hieve | annotations/<split>/<video>/000000.xml | images/<split>/<video>/000000.jpg |

PoseTrack's frames are named by the annotations, relative to the data set's folder. Other places that the data sets'
archives use are found too (`_PLACES`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.evaluate.protocols import PROTOCOLS
from sdtc_ros.ground_truth.json_input import load_json
from sdtc_ros.ground_truth.posetrack import dataset_of

DATASETS = tuple(PROTOCOLS)
_JSON_PLACES = ("annotations/{split}", "posetrack_data/{split}", "posetrack_data/annotations/{split}")
_PLACES = {
    "posetrack17": _JSON_PLACES,
    "posetrack18": _JSON_PLACES,
    "posetrack21": _JSON_PLACES,
    "hieve": ("annotations/{split}", "labels/{split}", "{split}/labels", "{split}/annotations"),
}
EXPECTED = {
    "posetrack17": "annotations/{split}/*.json with 'annolist' beside images/<group>/<sequence>/00000001.jpg",
    "posetrack18": "annotations/{split}/*.json beside images/{split}/<sequence>/000000.jpg",
    "posetrack21": "posetrack_data/{split}/*.json beside images/{split}/<sequence>/000000.jpg",
    "hieve": "annotations/{split}/<video>/000000.xml beside images/{split}/<video>/000000.jpg",
}
_ANY = (
    "annotations/{split}/*.json (PoseTrack17, 18), posetrack_data/{split}/*.json (PoseTrack21) or "
    "annotations/{split}/<video>/*.xml (HiEve), with images/ beside"
)
_PEEK = 5  # how many unreadable files are passed over in search of one that tells the data set


@dataclass(frozen=True)
class Layout:
    """One split: annotation `files` (JSON files; HiEve: folders of XML), `roots` that frames' names may start from."""

    dataset: str
    split: str
    files: tuple[Path, ...]
    roots: tuple[Path, ...]


def find_layout(root: Path, split: str, dataset: str | None = None, images: Path | None = None) -> Layout:
    """The split's files; dataset None: whichever it is. `images` overrides where the images are looked for.

    Raises InputError that says what was expected where, UsageError for a data set that is not known.
    """
    if dataset is not None and dataset not in DATASETS:
        raise UsageError(f"unknown data set '{dataset}'; choose from {', '.join(DATASETS)}")
    if not root.is_dir():
        raise InputError(f"{root} does not exist; expected a folder with {_expected(dataset, split)}")
    for place in _places(dataset):
        folder = root / place.format(split=split)
        files = _annotation_files(folder)
        if not files:
            continue
        found = _dataset_of(files)
        if dataset not in (None, found):
            raise InputError(
                f"{folder} holds {found} annotations, not {dataset}'s; expected {_expected(dataset, split)}"
            )
        return Layout(found, split, files, _image_roots(root, split, images))
    raise InputError(
        f"{root} has no annotations of a split '{split}'; expected {_expected(dataset, split)}{_hint(root)}"
    )


def find_splits(root: Path, dataset: str | None = None, images: Path | None = None) -> list[Layout]:
    """Every split under `root`; raises as find_layout does where there is none."""
    names = {
        path.relative_to(root).parts[place.split("/").index("{split}")]
        for place in _places(dataset)
        for path in root.glob(place.format(split="*"))
        if _annotation_files(path)
    }
    if root.is_dir() and not names:
        what = dataset or "data set that is known"
        raise InputError(f"{root} holds no {what}; expected {_expected(dataset, '<split>')}{_hint(root)}")
    return [find_layout(root, split, dataset, images) for split in sorted(names) or ["<split>"]]


def _places(dataset: str | None) -> list[str]:
    return list(dict.fromkeys(place for name in ([dataset] if dataset else DATASETS) for place in _PLACES[name]))


def _expected(dataset: str | None, split: str) -> str:
    return (EXPECTED[dataset] if dataset else _ANY).format(split=split)


def _hint(root: Path) -> str:
    """What else may be meant: a split that is there, or a folder further up."""
    splits = sorted(
        {path.name for place in _JSON_PLACES for path in root.glob(place.format(split="*")) if _annotation_files(path)}
    )
    if splits:
        return f"; splits that are there: {', '.join(splits)}"
    if _annotation_files(root):
        return "; these are annotations themselves: give the folder that holds them and the images"
    return ""


def _annotation_files(folder: Path) -> tuple[Path, ...]:
    """The JSON files of a folder, or its folders with XML files, by name."""
    if not folder.is_dir():
        return ()
    files = sorted(without_apple_double(folder.glob("*.json")))
    if files:
        return tuple(files)
    folders = (path for path in folder.iterdir() if path.is_dir())
    return tuple(sorted(path for path in folders if without_apple_double(path.glob("*.xml"))))


def _dataset_of(files: tuple[Path, ...]) -> str:
    """Told by the first readable file's content; raises its error where the first few cannot be read."""
    if files[0].is_dir():
        return "hieve"
    problem: InputError | None = None
    for file in files[:_PEEK]:
        try:
            return _json_dataset(load_json(file), file)
        except InputError as error:
            problem = problem or error
    raise problem or InputError(f"{files[0].parent} holds no annotations")


def _json_dataset(data: Any, file: Path) -> str:
    """PoseTrack21 adds `has_labeled_person` to images and `person_id` to annotations."""
    if not isinstance(data, dict) or not data.keys() & {"annolist", "images"}:
        raise InputError(f"{file} is not a PoseTrack file: expected 'annolist' or 'images' at its top level")
    images = data.get("images")
    marked = isinstance(images, list) and any("has_labeled_person" in row for row in images if isinstance(row, dict))
    return "posetrack21" if marked else dataset_of(data)


def _image_roots(root: Path, split: str, images: Path | None) -> tuple[Path, ...]:
    if images is not None:
        if not images.is_dir():
            raise InputError(f"{images} does not exist; expected the folder of the images in it")
        return images.parent, images, images / split
    return root, root / "images", root / "images" / split, root / split / "images", root / "posetrack_data"
