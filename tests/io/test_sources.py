# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Frames from bags, videos and folders: names, stamps and numbers, and what happens when some cannot be read."""

import tarfile
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag import BagWriter
from sdtc_ros.io.sources import Excerpt, open_source
from sdtc_ros.io.video import uniform_stamp, video_stamp
from sdtc_ros.types import Frame

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def grey(value: int) -> np.ndarray:
    return np.full((64, 80, 3), value, np.uint8)


def write_folder(folder: Path, count: int = 12) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / f"frame{i}.png"), grey(10 * i))
    return folder


def write_video(path: Path, count: int = 30) -> Path:
    noise = np.random.default_rng(3).integers(0, 255, (count, 64, 80, 3), np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (80, 64))
    for image in noise:
        writer.write(image)
    writer.release()
    return path


def test_folder_in_natural_order_with_stamps_of_its_rate(tmp_path):
    source = open_source(write_folder(tmp_path / "clip"), fps=10)
    numbered = list(source.frames)
    assert (source.name, source.count, source.problems) == ("clip", 12, [])
    assert [number for number, _ in numbered] == list(range(12))
    assert [int(frame.image[0, 0, 0]) for _, frame in numbered] == list(range(0, 120, 10))
    assert [frame.stamp for _, frame in numbered][:3] == [100_000_000, 200_000_000, 300_000_000]
    assert numbered[10][1].name == "clip/frame10.png"


def test_posetrack_layout_gives_the_datasets_names(tmp_path):
    folder = tmp_path / "images" / "val" / "000342_mpii_test"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "000000.jpg"), grey(9))
    source = open_source(folder)
    assert source.name == "000342_mpii_test"
    assert [frame.name for _, frame in source.frames] == ["images/val/000342_mpii_test/000000.jpg"]


def test_video_stamps_come_from_its_rate_or_from_fps(tmp_path):
    video = write_video(tmp_path / "walk.avi")
    source = open_source(video)
    numbered = list(source.frames)
    assert (source.fps, source.count, len(numbered), source.problems) == (10.0, 30, 30, [])
    assert [frame.stamp for _, frame in numbered[:2]] == [100_000_000, 200_000_000]
    assert numbered[7][1].name == "walk/000007.jpg"
    assert [frame.stamp for _, frame in open_source(video, fps=50).frames][1] == 40_000_000


def test_bag_frames_have_numbers_for_names(tmp_path):
    with BagWriter(tmp_path / "tour") as bag:
        for i in range(5):
            bag.write_image("/cam", Frame(grey(i), 10**9 + i * 40_000_000, "optical"))
    source = open_source(tmp_path / "tour")
    numbered = list(source.frames)
    assert (source.count, source.fps) == (5, pytest.approx(25))
    assert [(n, f.name, f.frame_id) for n, f in numbered][4] == (4, "tour/000004.jpg", "optical")


@pytest.mark.parametrize("kind", ["folder", "video", "bag"])
def test_excerpt_keeps_the_inputs_numbers(tmp_path, kind):
    path = write_folder(tmp_path / "clip") if kind == "folder" else write_video(tmp_path / "clip.avi")
    if kind == "bag":
        path = tmp_path / "bag"
        with BagWriter(path) as bag:
            for i in range(12):
                bag.write_image("/cam", Frame(grey(i), i + 1))
    source = open_source(path, excerpt=Excerpt(3, 4))
    assert source.count == 4
    assert [number for number, _ in source.frames] == [3, 4, 5, 6]


def test_damaged_pictures_are_left_out_and_counted(tmp_path):
    folder = write_folder(tmp_path / "clip")
    (folder / "frame3.png").write_bytes(b"")
    (folder / "frame7.png").write_bytes((folder / "frame7.png").read_bytes()[:50])
    source = open_source(folder)
    assert [number for number, _ in source.frames] == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert source.problems == ["2 of 12 frames are damaged and were left out (numbers 3, 7)"]


def test_damage_is_told_also_when_the_reader_stops_early(tmp_path):
    folder = write_folder(tmp_path / "clip")
    (folder / "frame1.png").write_bytes(b"")
    source = open_source(folder)
    next(source.frames)
    next(source.frames)
    source.frames.close()
    assert source.problems == ["1 of 3 frames is damaged and was left out (number 1)"]


def test_a_video_cut_short_gives_its_beginning(tmp_path):
    video = write_video(tmp_path / "walk.avi")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    source = open_source(video)
    count = len(list(source.frames))
    assert 10 <= count <= 16
    assert source.problems == [f"walk.avi is cut short, {count} of its 30 frames could be read"]


def test_a_video_of_no_frames(tmp_path):
    video = write_video(tmp_path / "none.avi", count=0)
    with pytest.raises(InputError, match=r"has 0 frames|neither a rosbag2 nor a video"):
        open_source(video)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nowhere", "does not exist"),
        (lambda p: _file(p / "notes.txt", b"hello"), "neither a rosbag2 nor a video"),
        (lambda p: _file(p / "frame_001.jpg", b"hello"), "is a single image"),
        (lambda p: _file(p / "old.bag", b"#ROSBAG V2.0\n"), "is a ROS 1 bag; convert it first"),
        (lambda p: p, "holds neither a rosbag2 nor images .* perhaps one of its folders is meant: inner/"),
    ],
)
def test_unusable_inputs(tmp_path, make, message):
    (tmp_path / "inner").mkdir()
    with pytest.raises(InputError, match=message):
        open_source(make(tmp_path))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_options_that_do_not_fit(tmp_path):
    folder = write_folder(tmp_path / "clip")
    with pytest.raises(UsageError, match="--topic needs a bag"):
        open_source(folder, topic="/camera")
    with pytest.raises(UsageError, match="must be > 0"):
        open_source(folder, fps=0)


def test_a_start_beyond_the_end(tmp_path):
    with pytest.raises(InputError, match="has only 12 frames, but --start asks for number 50"):
        open_source(write_folder(tmp_path / "clip"), excerpt=Excerpt(50))


def test_all_frames_damaged(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="none of its 1 frames could be read"):
        open_source(folder)


def test_the_pedestrians_are_all_there():
    video = SHARED / "video" / "pedestrians.avi"
    if not video.exists():
        pytest.skip(f"real data is absent: {video}")
    source = open_source(video, excerpt=Excerpt(0, 20))
    frames = [frame for _, frame in source.frames]
    assert len(frames) == 20
    assert frames[0].image.shape == (576, 768, 3)
    assert source.problems == []


def test_two_pictures_of_one_name_are_refused(tmp_path):
    folder = write_folder(tmp_path / "clip")
    cv2.imwrite(str(folder / "frame3.jpg"), grey(0))
    with pytest.raises(InputError, match=r"two images of the same name, frame3.* \(1 such pairs\)"):
        open_source(folder)


def test_companions_of_macos_are_no_pictures(tmp_path):
    folder = write_folder(tmp_path / "clip")
    for n in range(12):
        (folder / f"._frame{n}.png").write_bytes(b"\0\5\x16\7" + bytes(100))
    source = open_source(folder)
    assert [number for number, _ in source.frames] == list(range(12))
    assert source.problems == []


def test_pictures_of_other_formats_are_left_out_and_told(tmp_path):
    folder = write_folder(tmp_path / "clip")
    for name in ("b.HEIC", "a.gif", "._a.gif", "notes.txt"):
        (folder / name).write_bytes(b"\0\5\x16\7" + bytes(100))
    source = open_source(folder)
    assert len(list(source.frames)) == 12
    assert source.problems == ["images of formats that are not read, 2, were left out: a.gif, b.HEIC"]


def test_further_pictures_of_a_file_are_told(tmp_path):
    cv2.imwritemulti(str(tmp_path / "a.tif"), [grey(n) for n in range(3)])
    cv2.imwritemulti(str(tmp_path / "b.tif"), [grey(1), grey(2)[:4]])  # a small one to look at, as cameras add
    cv2.imwrite(str(tmp_path / "c.webp"), grey(4))
    source = open_source(tmp_path)
    assert [number for number, _ in source.frames] == [0, 1, 2]
    assert source.problems == ["of files that hold several images the first alone was read: a.tif (3)"]


def test_names_that_are_no_utf_8(tmp_path):
    name = b"caf\xe9".decode(errors="surrogateescape")
    video = open_source(write_video(tmp_path / "walk.avi").rename(tmp_path / f"{name}.avi"))
    assert (video.name, len(list(video.frames))) == ("caf\ufffd", 30)
    folder = open_source(write_folder(tmp_path / "plain").rename(tmp_path / name))
    assert [frame.name for _, frame in folder.frames][0] == "caf\ufffd/frame0.png"


def test_why_no_frame_could_be_read(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="none of its 1 frames could be read; the first: a.png of 7 bytes does not"):
        open_source(folder)


def test_a_videos_own_times_are_kept():
    stamps, last = [], 0
    times = [0.0, 40.0, 80.0, 280.0, 480.0, 480.0, 0.0, 700.0]  # variable; then one twice, and none
    for number, time in enumerate(times):
        last = video_stamp(number, 10.0, time, last)
        stamps.append(last // 10**6)
    assert stamps[:5] == [100, 140, 180, 380, 580]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == 800
    assert [video_stamp(n, 30.0, n * 1000 / 30, 0) for n in range(50)] == [uniform_stamp(n, 30.0) for n in range(50)]
    assert video_stamp(4, 25.0, None, 0) == uniform_stamp(4, 25.0) == 200_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vfr.mp4", "live10.webm"])
def test_videos_of_variable_rate(name):
    archive = SHARED / "field-cases.tar.xz"
    if not archive.exists():
        pytest.skip(f"real data is absent: {archive}")
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory() as folder:
        tar.extract(f"field-cases/11-video-times/{name}", folder, filter="data")
        source = open_source(Path(folder) / "field-cases/11-video-times" / name)
        steps = np.diff([frame.stamp for _, frame in source.frames]) // 10**6
    assert len(steps) == 23
    if name == "vfr.mp4":
        assert steps.tolist() == [40] * 12 + [200] * 11
    else:
        assert source.fps == pytest.approx(10, abs=0.1)
        assert steps.sum() == 2314
