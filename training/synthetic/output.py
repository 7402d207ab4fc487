# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Writing what is rendered: shards of windows, clips in PoseTrack18's layout; by several processes, and on from a stop.

A clip NAME under a folder DIR, split val:

- images/val/NAME/000000.jpg, ...
- annotations/val/NAME.json: PoseTrack18's, with the flags "occluded" and "blurred" of every joint, and its place
  in metres (joints_3d, camera frame)
- depth/val/NAME/000000.png: uint16 millimetres along the optical axis, 0 where unknown
- cameras/val/NAME.json: fx, fy, cx, cy, width, height, rate; joints: a row a frame of {track id: 15 joints in metres,
  camera frame}
- bags/val/NAME: /camera/image_raw/compressed, /camera/depth/image_raw (16UC1) and /camera/camera_info
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.demo.clip import Clip as DemoClip
from sdtc_ros.demo.clip import annotate, write_clip
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack_write import write_sequence
from sdtc_ros.ground_truth.sequence import Sequence, SequenceFrame
from sdtc_ros.io.bag import IMAGE_TYPE, BagWriter
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.replay.progress import Progress
from sdtc_ros.types import Frame
from training.synthetic.assets import AssetFolders, Assets, load_assets
from training.synthetic.clips import Clip, ClipFrame, ClipSettings, FrameTruth, plan_clip
from training.synthetic.depth_camera import DepthCamera, FloatArray, measured
from training.synthetic.shards import SHARD, read_shard
from training.synthetic.windows import WindowSettings, render_shard

START = 1_790_000_000_000_000_000  # a bag's first stamp, nanoseconds
FRAME_ID = "camera_optical_frame"
TOPICS = "/camera/image_raw/compressed", "/camera/depth/image_raw", "/camera/camera_info"
_INFO_TYPE = "sensor_msgs/msg/CameraInfo"

_assets: Assets | None = None  # of this process, loaded when they are first needed


@dataclass(frozen=True)
class ClipOutput:
    """Where clips go and what is written of them; device: what measured the bags' depth, None: it is exact."""

    folder: Path
    split: str = "val"
    depth: bool = True
    bag: bool = True
    device: DepthCamera | None = None


def write_windows(
    folders: AssetFolders, settings: WindowSettings, seed: int, count: int, out: Path, workers: int = 1
) -> None:
    """Render `count` windows into `out`, shards that are there left alone; raises InputError for other settings'."""
    _claim(out / "windows.json", {"seed": seed, **asdict(settings)})
    sizes = [min(SHARD, count - start) for start in range(0, count, SHARD)]
    jobs: list[Callable[[], int]] = [
        partial(_write_shard, folders, settings, seed, number, size, out / f"windows-{number:05d}.npz")
        for number, size in enumerate(sizes)
    ]
    with Progress("windows", count, unit="window") as progress:
        for done in _run(jobs, workers):
            for _ in range(done):
                progress.step()
    print(f"{count} windows in {out}")


def write_clips(
    folders: AssetFolders, settings: list[ClipSettings], seed: int, count: int, out: ClipOutput, workers: int = 1
) -> list[str]:
    """Render `count` clips, of each settings in turn, clips that are there left alone; returns their names."""
    _claim(out.folder / f"{out.split}.json", {"seed": seed, "settings": [asdict(one) for one in settings]})
    names: list[str] = []
    jobs: list[Callable[[], int]] = []
    for number in range(count):
        chosen = settings[number % len(settings)]
        names.append(f"{number:04d}_{chosen.difficulty}")
        jobs.append(partial(_write_clip, folders, chosen, [seed, number], names[-1], out))
    with Progress("clips", count, unit="clip") as progress:
        for _ in _run(jobs, workers):
            progress.step()
    print(f"{count} clips in {out.folder}")
    return names


def _claim(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings beside the results, or see that those that are there are the same."""
    text = json.dumps(settings, indent=1)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    elif json.loads(path.read_text()) != json.loads(text):
        raise InputError(f"{path.parent} contains output of other settings ({path.name}): choose another folder")


def _run(jobs: list[Callable[[], int]], workers: int) -> Iterator[int]:
    """Results in order."""
    if workers == 1:
        yield from (job() for job in jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from (future.result() for future in [pool.submit(job) for job in jobs])


def _load(folders: AssetFolders) -> Assets:
    global _assets
    if _assets is None:
        cv2.setNumThreads(1)
        _assets = load_assets(folders)
    return _assets


def _write_shard(folders: AssetFolders, settings: WindowSettings, seed: int, number: int, size: int, path: Path) -> int:
    """Render one shard unless it is there; it appears whole or not at all. Returns its windows."""
    if not path.exists() or len(read_shard(path)["interval"]) != size:
        content = render_shard(_load(folders), settings, seed, number, size)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(path)
    return size


def _write_clip(folders: AssetFolders, settings: ClipSettings, seed: list[int], name: str, out: ClipOutput) -> int:
    """Render one clip unless its annotations, which are written last, are there. Returns its frames."""
    annotations = out.folder / "annotations" / out.split / f"{name}.json"
    if annotations.exists():
        return settings.frames
    clip = plan_clip(_load(folders), settings, seed)
    images, depths = (out.folder / kind / out.split / name for kind in ("images", "depth"))
    images.mkdir(parents=True, exist_ok=True)
    frames, places = [], []
    bag = _new_bag(out.folder / "bags" / out.split / name) if out.bag else None
    rng = np.random.default_rng(seed)  # of the depth camera's noise
    for number, frame in enumerate(clip.frames()):
        cv2.imwrite(str(images / f"{number:06d}.jpg"), frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        if out.depth:
            depths.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(depths / f"{number:06d}.png"), millimetres(frame.depth))
        if bag is not None:
            depth = frame.depth if out.device is None else measured(frame.depth, out.device, clip.intrinsics[0], rng)
            _write_to_bag(bag, clip, number, frame, depth)
        frames.append(
            annotated_frame(frame.truth, f"images/{out.split}/{name}/{number:06d}.jpg", number, settings.size)
        )
        shown = np.flatnonzero(frame.truth.pixels > 0).tolist()
        places.append({str(p): frame.truth.joints_camera[p].round(4).tolist() for p in shown})
    if bag is not None:
        bag.close()
    camera = out.folder / "cameras" / out.split / f"{name}.json"
    camera.parent.mkdir(parents=True, exist_ok=True)
    camera.write_text(json.dumps(_camera(clip) | {"joints": places}))
    write_sequence(Sequence(name, frames), annotations)
    return settings.frames


def millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth in metres as a depth camera's uint16 millimetres, 0 where unknown or too far for them."""
    scaled = np.rint(depth * 1000)
    return np.where(scaled < 65536, scaled, 0).astype(np.uint16)


def annotated_frame(truth: FrameTruth, name: str, number: int, size: tuple[int, int]) -> SequenceFrame:
    """A frame's annotation, of everybody who shows a pixel, with the places of the joints inside the image."""
    people = []
    for person in np.flatnonzero(truth.pixels).tolist():
        found = annotate(
            truth.joints[person], truth.visibility[person] == 2, truth.blur[person], truth.boxes[person],
            truth.head_boxes[person], person, size,
        )  # fmt: skip
        if found is not None:
            found.joints_3d = np.where(found.annotated[:, None], truth.joints_camera[person], np.nan)
            people.append(found)
    return SequenceFrame(name, number, True, people)


def write_demo(folders: AssetFolders, settings: ClipSettings, seed: int, path: Path, quality: int) -> None:
    """Render the clip that ships with the robot's package, in its one file."""
    clip = plan_clip(_load(folders), settings, [seed, 0])
    images, truths = [], []
    with Progress("demo", settings.frames) as progress:
        for frame in clip.frames():
            images.append(np.ascontiguousarray(frame.image[..., ::-1]))
            truths.append(frame.truth)
            progress.step()
    arrays = {
        name: np.stack([getattr(truth, name) for truth in truths]).astype(np.float32)
        for name in ("joints", "blur", "boxes", "head_boxes")
    }
    inside = np.all((arrays["joints"] >= 0) & (arrays["joints"] <= np.array(settings.size) - 1), axis=-1)
    visible = np.stack([truth.visibility == 2 for truth in truths]) & inside
    corner, size = arrays["boxes"][..., :2], arrays["boxes"][..., 2:]
    present = np.all((corner + size > 0) & (corner < settings.size), axis=-1)
    whole = DemoClip(
        images, arrays["joints"], visible, arrays["blur"], arrays["boxes"], arrays["head_boxes"], present,
        np.arange(visible.shape[1]), settings.rate,
    )  # fmt: skip
    write_clip(path, whole, quality)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {visible.shape[1]} people")


def _camera(clip: Clip) -> dict[str, Any]:
    fx, fy, cx, cy = clip.intrinsics
    width, height = clip.settings.size
    return {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": width, "height": height, "rate": clip.settings.rate}


def _new_bag(path: Path) -> BagWriter:
    """A bag at `path`; what a stopped run left there is removed."""
    if path.exists():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    path.parent.mkdir(parents=True, exist_ok=True)
    return BagWriter(path)


def _write_to_bag(bag: BagWriter, clip: Clip, number: int, frame: ClipFrame, metres: FloatArray) -> None:
    """A frame's colour, depth (H x W metres) and camera_info, all of one stamp."""
    stamp = START + round(number * 1e9 / clip.settings.rate)
    bag.write_image(TOPICS[0], Frame(np.ascontiguousarray(frame.image[..., ::-1]), stamp, FRAME_ID))
    store = typestore().types
    time = store["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    header = store["std_msgs/msg/Header"](stamp=time, frame_id=FRAME_ID)
    depth = millimetres(metres)
    height, width = depth.shape
    message = store[IMAGE_TYPE](
        header=header, height=height, width=width, encoding="16UC1", is_bigendian=0, step=2 * width,
        data=depth.reshape(-1).view(np.uint8),
    )  # fmt: skip
    bag.write(TOPICS[1], IMAGE_TYPE, stamp, message)
    fx, fy, cx, cy = clip.intrinsics
    roi = store["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    info = store[_INFO_TYPE](
        header=header, height=height, width=width, distortion_model="plumb_bob", d=np.zeros(5),
        k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1.0]), r=np.eye(3).reshape(-1),
        p=np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1.0, 0]), binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip
    bag.write(TOPICS[2], _INFO_TYPE, stamp, info)
