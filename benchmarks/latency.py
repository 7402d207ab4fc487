# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How long poses take at a camera's full rate: `python benchmarks/latency.py VIDEO [--hz 10 30] [--json FILE]`.

The node's own worker and stream, in this process, without ROS: a thread offers the video's frames at the camera's rate
and stamps them, the worker answers what it can. Each rate twice: waiting for `lookahead` frames that are worked on,
however long that takes ("in frames"), and no longer than they take at the camera's rate ("in time", the default).
`ratio` is the median latency in time by that in frames, at the highest rate.

`--clock cpu` is for a machine that has other work: the camera's time then goes by the processor's time of this process,
with one thread, as if a core had nothing else to do.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/latency.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.report import machine, surroundings, table, write_json  # noqa: E402
from sdtc_ros.errors import InputError  # noqa: E402
from sdtc_ros.messages.images import frame_of_message  # noqa: E402
from sdtc_ros.node.loading import Loaded, load  # noqa: E402
from sdtc_ros.node.lookahead import AUTOMATIC  # noqa: E402
from sdtc_ros.node.parameters import PARAMETERS  # noqa: E402
from sdtc_ros.node.stream import Arrival, Stream  # noqa: E402
from sdtc_ros.node.worker import LiveWorker  # noqa: E402
from sdtc_ros.pipeline.inference import CropBuffer, infer  # noqa: E402
from sdtc_ros.pipeline.together import detect_together  # noqa: E402
from sdtc_ros.types import Boxes, Frame, FramePoses  # noqa: E402

WAYS = {"in frames": 3600.0, "in time": AUTOMATIC}
WARM = 2.0  # seconds before which nothing counts
TIMEOUT = 60.0  # seconds for the first answer that counts, on a machine that is busy with something else
HELD = 300  # frames of the video that are held, decoded


@dataclass(frozen=True)
class Result:
    """One run: rates in Hz, latencies in ms from a frame's stamp to its poses, frames waited for at the end."""

    way: str
    hz: float
    answered_hz: float
    p50: float
    p99: float
    people: float
    lookahead: int


class _Camera:
    """The stream's host: what it publishes is counted, and nothing else becomes of it."""

    max_age = max_wait = 0.0

    def __init__(self, lookahead_wait: float, clock: Callable[[], float]) -> None:
        self.lookahead_wait, self._clock = lookahead_wait, clock
        self.latencies: list[float] = []  # milliseconds
        self.people: list[int] = []

    def now(self) -> int:
        return round(self._clock() * 1e9)

    def warn(self, about: str, sentence: str) -> None:
        pass

    def read(self, arrival: Arrival) -> tuple[Frame, Boxes | None]:
        return frame_of_message(arrival.message, arrival.stamp), None

    def publish(self, result: FramePoses) -> FramePoses:
        self.latencies.append((self.now() - result.frame.stamp) / 1e6)
        self.people.append(len(result.poses))
        return result

    def published(self, result: FramePoses) -> None:
        pass


@dataclass
class CpuClock:
    """Seconds of this process's processor time, and those that it was idle in."""

    idle: float = 1000.0  # a stamp of zero would mean none

    def __call__(self) -> float:
        """The time now."""
        return self.idle + time.process_time()

    def wait_until(self, moment: float) -> None:
        """Be idle until then, where it is later than now."""
        self.idle += max(0.0, moment - self())


def measure(loaded: Loaded, frames: list[Any], hz: float, way: str, seconds: float) -> Result:
    """Offer the frames at that rate, over and over, for so many seconds."""
    camera = _Camera(WAYS[way], time.time)
    stream = Stream(loaded.pipeline(), camera)
    errors: list[Exception] = []
    worker = LiveWorker([stream], failed=errors.append)
    worker.start()
    begin = time.monotonic()
    warm = 0
    for number in range(int((WARM + seconds) * hz)):
        time.sleep(max(0.0, begin + number / hz - time.monotonic()))
        if number == int(WARM * hz):
            warm = len(camera.latencies)
        stream.offer(image_message(frames[number % len(frames)], camera.now()))
    deadline = time.monotonic() + TIMEOUT
    while len(camera.latencies) == warm and not errors and time.monotonic() < deadline:
        time.sleep(0.01)
    lookahead = stream.pipeline.lookahead
    worker.stop(None)
    if errors:
        raise errors[0]
    return _result(camera, warm, hz, way, seconds, lookahead)


def measure_cpu(loaded: Loaded, frames: list[Any], hz: float, way: str, seconds: float) -> Result:
    """The same on a core without other work: what the worker does, in this thread, on the processor's time."""
    clock, buffer = CpuClock(), CropBuffer()
    camera = _Camera(WAYS[way], clock)
    stream = Stream(loaded.pipeline(), camera, clock)
    stream.open(lambda arrival: False)
    begin, offered, warm = clock(), 0, 0
    while offered < (WARM + seconds) * hz:
        clock.wait_until(begin + offered / hz)
        stamp = begin + offered / hz
        while stamp <= clock():  # the newest is worked on
            stream.offer(None)
            offered, newest = offered + 1, stamp
            warm = len(camera.latencies) if offered <= WARM * hz else warm
            stamp = begin + offered / hz
        message = image_message(frames[(offered - 1) % len(frames)], round(newest * 1e9))
        taken = stream.frame_of(Arrival(message, camera.now()))
        assert taken is not None
        (found,) = detect_together([(stream.pipeline, *taken)])
        for result in infer(stream.take(*taken, found), buffer):
            stream.publish(result)
    return _result(camera, warm, hz, way, seconds, stream.pipeline.lookahead)


def _result(camera: _Camera, warm: int, hz: float, way: str, seconds: float, lookahead: int) -> Result:
    counted = camera.latencies[warm:]
    if not counted:
        raise InputError(f"no frame was processed in {seconds:g} s: increase --seconds")
    p50, p99 = np.quantile(counted, [0.5, 0.99]).tolist()
    return Result(way, hz, len(counted) / seconds, p50, p99, float(np.mean(camera.people[warm:])), lookahead)


def image_message(image: Any, stamp: int) -> Any:
    """What the stream reads of a sensor_msgs/Image of that stamp (nanoseconds)."""
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    height, width = image.shape[:2]
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds), frame_id="camera")
    return SimpleNamespace(
        header=header, encoding="bgr8", height=height, width=width, step=3 * width, is_bigendian=0,
        data=image.reshape(-1),
    )  # fmt: skip


def read_frames(path: Path) -> list[Any]:
    """The video's first frames, then the same backwards, so that people do not jump where it begins again."""
    video = cv2.VideoCapture(str(path))
    frames: list[Any] = []
    while len(frames) < HELD:
        read, image = video.read()
        if not read:
            break
        frames.append(image)
    if not frames:
        raise InputError(f"{path} is not a video that OpenCV can read")
    return frames + frames[-2:0:-1]


def report(results: list[Result]) -> str:
    """A Markdown table."""
    rows = [
        [
            f"{r.hz:g}",
            r.way,
            f"{r.answered_hz:.1f}",
            f"{r.p50:.0f}",
            f"{r.p99:.0f}",
            f"{r.people:.1f}",
            f"{r.lookahead}",
        ]
        for r in results
    ]
    return table(["camera, Hz", "waits", "answers, Hz", "p50, ms", "p99, ms", "people a frame", "lookahead"], rows)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/latency.py", description="Latency at a camera's full rate."
    )
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("--hz", type=float, nargs="+", default=[10.0, 30.0], help="the camera's rates (default: 10 30)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (default: %(default)s)")
    parser.add_argument("--bundle", default="", help="folder of a model bundle (default: the shipped one)")
    parser.add_argument("--detect-every", type=int, default=1, metavar="K", help="detect in every K-th frame only")
    parser.add_argument("--threads", type=int, default=0, help="of ONNX Runtime (default: its own choice)")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: one thread's processor time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    if args.clock == "cpu":
        args.threads = 1
        cv2.setNumThreads(1)
    given = {"bundle": args.bundle, "detect_every": args.detect_every, "threads": args.threads}
    loaded = load({parameter.name: parameter.default for parameter in PARAMETERS} | given)
    args.model_name = loaded.model.bundle.name
    print(surroundings(args) + "\n", flush=True)
    frames = read_frames(args.video)
    run = measure_cpu if args.clock == "cpu" else measure
    results = [run(loaded, frames, hz, way, args.seconds) for hz in sorted(args.hz) for way in WAYS]
    print(report(results))
    if args.json:
        by_way = {r.way: r.p50 for r in results[-len(WAYS) :]}
        content = {"ratio": by_way["in time"] / by_way["in frames"], "results": [asdict(r) for r in results]}
        write_json(args.json, {**content, "model": args.model_name, "threads": args.threads, **machine()})


if __name__ == "__main__":
    sys.exit(main())
