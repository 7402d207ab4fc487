# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The inputs that are damaged: small sound ones of every kind, and the command that each goes through.

A subject makes its sound input once, then a damaged copy for every seed; `expected` frames must be written where the
command ends with status 0.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from sdtc_ros.io.bag import COMPRESSED_TYPE, IMAGE_TYPE, BagWriter, bag_message_types
from sdtc_ros.messages.encodings import ENCODINGS
from sdtc_ros.messages.poses import to_header
from sdtc_ros.messages.typestore import typestore
from tests.fake_bundle import make_bundle
from tests.fuzz.mutate import Random, damage, damage_values
from tests.io.split_bags import YAML_FILE, write_split

FRAMES = 8
BOX = [8.0, 6.0, 24.0, 30.0]
JOINTS = 17
START = 1_763_700_000_000_000_000


@dataclass
class Subject:
    """A kind of input. `home` holds the sound ones and the model; words: the command line for a damaged copy."""

    home: Path
    model: Path = field(init=False)
    expected: int | None = None
    frames = FRAMES

    def __post_init__(self) -> None:
        """Make the sound input."""
        self.home.mkdir(parents=True)
        self.model = make_bundle(self.home / "model").folder
        self.boxes = self.home / "boxes.json"
        self.boxes.write_text(json.dumps(boxes(self.frames)))
        self.make()

    def make(self) -> None:
        """Write the sound input under `home`."""

    def sound(self) -> list[str]:
        """The command line that reads the sound input, without --out."""
        raise NotImplementedError

    def damaged(self, target: Path, random: Random) -> list[str]:
        """Write a damaged copy to `target` and return the command line that reads it, without --out."""
        raise NotImplementedError

    def replay(self, source: Path, detector: Path | None = None) -> list[str]:
        """The words of a replay."""
        words = ["replay", str(source), "--model", str(self.model), "--boxes", str(detector or self.boxes)]
        return [*words, "--no-video", "--quiet", "--threads", "1"]

    def mostly_without_bag(self, words: list[str], random: Random) -> list[str]:
        """The words, three times in four with --no-bag: writing one takes as long as all else."""
        return [*words, "--no-bag"] if random.random() < 0.75 else words


class Bags(Subject):
    """Bags of one storage in parts, plain and compressed; metadata.yaml is damaged too, and parts are lost."""

    storage = "mcap"
    packings = ("", "file")

    def make(self) -> None:
        """Two parts of four frames each."""
        self.expected = FRAMES
        for packed in self.packings:
            write_split(self.home / f"bag{packed}", self.storage, parts=2, packed=packed)

    def sound(self) -> list[str]:
        """The plain bag."""
        return self.replay(self.home / "bag")

    def damaged(self, target: Path, random: Random) -> list[str]:
        """Damage one or two files, or take one away."""
        packed = self.packings[int(random.integers(len(self.packings)))]
        shutil.copytree(self.home / f"bag{packed}", target)
        files = sorted(target.iterdir())
        for _ in range(int(random.integers(1, 3))):
            file = files[int(random.integers(len(files)))]
            if random.random() < 0.1:
                file.unlink(missing_ok=True)
            elif file.is_file():
                file.write_bytes(damage(file.read_bytes(), random))
        if random.random() < 0.2:
            (target / YAML_FILE).unlink(missing_ok=True)
        return self.mostly_without_bag(self.replay(target), random)


class SqliteBags(Bags):
    """The same in SQLite files, which may be compressed message by message too."""

    storage = "sqlite3"
    packings = ("", "file", "message")


class Images(Subject):
    """A bag of three messages, the middle one an image of some encoding that is damaged, or contradicts itself."""

    frames = 3

    def make(self) -> None:
        """All three are expected."""
        self.expected = self.frames

    def sound(self) -> list[str]:
        """Three PNGs."""
        write_messages(self.home / "bag", _PICTURE)
        return [*self.replay(self.home / "bag"), "--topic", "/camera"]

    def damaged(self, target: Path, random: Random) -> list[str]:
        """Raw images of every encoding, and compressed ones of every codec."""
        raw = write_messages(target, random.integers(0, 255, (48, 64, 3), np.uint8), random)
        words = [*self.replay(target), "--topic", "/raw" if raw else "/camera"]
        return self.mostly_without_bag(words, random)


_PICTURE = np.zeros((48, 64, 3), np.uint8)


def write_messages(target: Path, picture: np.ndarray, random: Random | None = None) -> bool:
    """A bag of three images, with `random` the middle one damaged; whether that is a raw one."""
    types, store = bag_message_types(), typestore().types
    sound = cv2.imencode(".png", picture)[1].reshape(-1)
    raw = False
    with BagWriter(target) as bag:
        for number in range(Images.frames):
            header = to_header(START + number * 40_000_000, "", types)
            message, kind = store[COMPRESSED_TYPE](header=header, format="png", data=sound), COMPRESSED_TYPE
            if number == 1 and random is not None:
                raw = bool(random.random() < 0.5)
                message = _raw(header, random) if raw else _compressed(header, picture, random)
                kind = IMAGE_TYPE if raw else COMPRESSED_TYPE
            bag.write("/raw" if kind == IMAGE_TYPE else "/camera", kind, START + number, message)
    return raw


def _raw(header: object, random: Random) -> object:
    odds = [0.05, 0.05, 0.1, 0.2, 0.25, 0.15, 0.15, 0.025, 0.025]
    sizes = [0, 1, 2, 47, 48, 63, 64, 2**16, 2**31]
    height, width = (int(random.choice(sizes, p=odds)) for _ in range(2))
    encoding = str(random.choice([*ENCODINGS, "32FC1", "16UC1", "", "rgb", "bayer"]))
    length = int(random.choice([0, 1, 48 * 64, 48 * 64 * 2, 48 * 64 * 3, 48 * 64 * 8]))
    return typestore().types[IMAGE_TYPE](
        header=header, height=height, width=width, encoding=encoding, is_bigendian=int(random.integers(2)),
        step=int(random.choice([0, 1, 64, 128, 192, 256, 512, 2**31])), data=random.integers(0, 255, length, np.uint8),
    )  # fmt: skip


def _compressed(header: object, picture: np.ndarray, random: Random) -> object:
    ending, form = [(".jpg", "jpeg"), (".png", "png"), (".tiff", "tiff"), (".jpg", "rgb8; jpeg compressed bgr8"),
                    (".bmp", "png"), (".jpg", "bayer_rggb8; jpeg compressed "), (".webp", "jpeg")][
        int(random.integers(7))]  # fmt: skip
    data = cv2.imencode(ending, picture)[1].tobytes()
    data = damage(data, random)
    return typestore().types[COMPRESSED_TYPE](header=header, format=form, data=np.frombuffer(data, np.uint8))


class Bundles(Subject):
    """Model folders: bytes of every file, and values of model.json."""

    def make(self) -> None:
        """A folder of pictures to replay with them."""
        write_pictures(self.home / "clip")

    def sound(self) -> list[str]:
        """The model as it is."""
        return self.replay(self.home / "clip")

    def damaged(self, target: Path, random: Random) -> list[str]:
        """Damage a file."""
        shutil.copytree(self.model, target)
        file = sorted(target.iterdir())[int(random.integers(len(list(target.iterdir()))))]
        if file.suffix == ".json" or random.random() < 0.5:
            file = target / "model.json"
            file.write_text(damage_values(file.read_text(), random), encoding="utf-8", errors="surrogatepass")
        else:
            file.write_bytes(damage(file.read_bytes(), random))
        words = self.replay(self.home / "clip")
        words[words.index("--model") + 1] = str(target)
        return words


class Annotations(Subject):
    """Truth for `evaluate`: its bytes or its values; the predictions are sound."""

    def make(self) -> None:
        """Annotations of eight frames, and predictions that are the same."""
        for side in ("truth", "predictions"):
            (self.home / side).mkdir()
            (self.home / side / "x.json").write_text(json.dumps(annotations()))

    def sound(self) -> list[str]:
        """Truth as it is."""
        return ["evaluate", "--truth", str(self.home / "truth"), "--predictions", str(self.home / "predictions")]

    def damaged(self, target: Path, random: Random) -> list[str]:
        """Damage the truth."""
        target.mkdir()
        text = (self.home / "truth" / "x.json").read_text()
        write_json(target / "x.json", text, random)
        return ["evaluate", "--truth", str(target), "--predictions", str(self.home / "predictions")]


class BoxesFiles(Subject):
    """Boxes for a replay of a folder."""

    def make(self) -> None:
        """Eight pictures."""
        write_pictures(self.home / "clip")

    def sound(self) -> list[str]:
        """The list of boxes as it is."""
        return self.replay(self.home / "clip")

    def damaged(self, target: Path, random: Random) -> list[str]:
        """A list of boxes, or an annotation file, damaged."""
        target.mkdir()
        text = self.boxes.read_text() if random.random() < 0.6 else json.dumps(annotations())
        write_json(target / "boxes.json", text, random)
        return self.replay(self.home / "clip", target / "boxes.json")


class Videos(Subject):
    """Video files of two containers."""

    def make(self) -> None:
        """Eight frames of noise, or of flat colours."""
        self.kinds = []
        for name, code in (("a.avi", "MJPG"), ("b.mp4", "mp4v")):
            writer = cv2.VideoWriter(str(self.home / name), cv2.VideoWriter.fourcc(*code), 25.0, (80, 64))
            if writer.isOpened():
                for n in range(FRAMES):
                    writer.write(np.random.default_rng(n).integers(0, 255, (64, 80, 3), np.uint8))
                self.kinds.append(name)
            writer.release()

    def sound(self) -> list[str]:
        """The first video as it is."""
        return self.replay(self.home / self.kinds[0])

    def damaged(self, target: Path, random: Random) -> list[str]:
        """Damage one."""
        name = self.kinds[int(random.integers(len(self.kinds)))]
        target.mkdir()
        (target / name).write_bytes(damage((self.home / name).read_bytes(), random))
        return self.replay(target / name)


def write_json(path: Path, text: str, random: Random) -> None:
    """JSON text with damaged values or bytes, now and then with a byte order mark."""
    if random.random() < 0.75:
        text = damage_values(text, random)
        data = text.encode("utf-8-sig" if random.random() < 0.1 else "utf-8", errors="surrogatepass")
    else:
        data = damage(text.encode(), random)
    path.write_bytes(data)


def write_pictures(folder: Path) -> None:
    """FRAMES pictures in a folder."""
    folder.mkdir()
    for n in range(FRAMES):
        cv2.imwrite(str(folder / f"{n:06d}.png"), np.full((64, 80, 3), 20 * n, np.uint8))


def boxes(frames: int) -> list[dict[str, object]]:
    """A boxes file of one person a frame."""
    return [{"frame": n, "bbox": BOX, "score": 0.9, "track_id": 3} for n in range(frames)]


def annotations() -> dict[str, object]:
    """A PoseTrack18 file of two people in eight frames."""
    from sdtc_ros.ground_truth.posetrack import POSETRACK_SLOTS

    images = [{"id": n, "file_name": f"{n:06d}.jpg", "is_labeled": True} for n in range(FRAMES)]
    people = []
    for n in range(FRAMES):
        for track in (1, 2):
            points = [[10.0 * k + track * 5, 7.0 * k + n, 1] for k in range(JOINTS)]
            people.append({
                "id": 2 * n + track, "image_id": n, "category_id": 1, "track_id": track, "bbox": BOX, "score": 0.9,
                "bbox_head": [4, 4, 20, 20], "keypoints": [v for p in points for v in p], "scores": [0.5] * JOINTS,
            })  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(POSETRACK_SLOTS)}
    return {"images": images, "annotations": people, "categories": [category]}


SUBJECTS: dict[str, type[Subject]] = {
    "bags-mcap": Bags,
    "bags-sqlite3": SqliteBags,
    "images": Images,
    "bundles": Bundles,
    "annotations": Annotations,
    "boxes": BoxesFiles,
    "videos": Videos,
}
