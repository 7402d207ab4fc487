# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m training.data render windows|clips`: people that nobody had to film, for training and benches."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from sdtc_ros.errors import UsageError
from training.synthetic.depth_camera import DepthCamera

SHARES = {
    "occluded": "of windows with something in front (0.35)",
    "crowded": "with others around (0.45)",
    "blurred": "with a long exposure (0.25)",
    "moving": "with a moving camera (0.4)",
    "walking": "of people who walk or run (0.5)",
    "posed": "of those who do not: in one of MakeHuman's poses (0.25)",
}
DIFFICULTIES = ("clear", "occluded", "blurred", "crossing", "small", "moving")
DEPTH_ERRORS = {  # of training.synthetic.depth_camera.DepthCamera: what each is, and what a depth camera has
    "noise": ("deviation in metres at 1 metre, growing with the distance squared", DepthCamera.noise),
    "edge": ("metres between neighbours that make a hole there", DepthCamera.edge),
    "hole": ("radius of such a hole in pixels", float(DepthCamera.hole)),
    "steps": ("steps of disparity that 1 metre has", DepthCamera.steps),
    "shift": ("metres sideways by which depth and colour are registered wrongly", DepthCamera.shift),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    windows = kinds.add_parser("windows", help="crops of one person over a few frames, in shards")
    windows.add_argument("--count", type=int, required=True, metavar="N", help="how many windows")
    windows.add_argument("--delta", type=int, default=2, help="frames on each side of a keyframe (2)")
    for share, what in SHARES.items():
        windows.add_argument(f"--{share}", type=float, metavar="SHARE", help=what)
    windows.add_argument("--furthest", type=float, metavar="M", help="metres from the camera at most (11)")
    _add_common(windows)
    clips = kinds.add_parser("clips", help="whole clips in PoseTrack18's layout, with depth, cameras and bags")
    clips.add_argument("--count", type=int, required=True, metavar="N", help="how many clips")
    clips.add_argument("--frames", type=int, default=100, metavar="N", help="frames of a clip (100)")
    clips.add_argument("--rate", type=float, default=20.0, metavar="HZ", help="frames a second (20)")
    clips.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"), help="pixels (640 480)")
    clips.add_argument("--people", type=int, nargs=2, default=(4, 6), metavar=("LEAST", "MOST"), help="(4 6)")
    clips.add_argument(
        "--difficulty", choices=DIFFICULTIES, action="append",
        help="what is hard about them; may be given several times, in turn (default: all in turn)",
    )  # fmt: skip
    clips.add_argument("--split", default="val", help="PoseTrack's folder (val)")
    clips.add_argument("--no-depth", action="store_true", help="write no depth")
    clips.add_argument("--no-bag", action="store_true", help="write no bags")
    clips.add_argument(
        "--depth-camera", action="store_true", help="bags: depth as a depth camera measures it (the images stay exact)"
    )
    for name, (words, typical) in DEPTH_ERRORS.items():
        clips.add_argument(
            f"--depth-{name}", type=float, metavar="X", help=f"bags: {words} (0; {typical} with --depth-camera)"
        )
    _add_common(clips)
    bench = kinds.add_parser("bench", help="clips to judge by, of seeds that training never sees, by difficulty")
    bench.add_argument("--count", type=int, default=2, metavar="N", help="clips of each difficulty (2)")
    bench.add_argument("--frames", type=int, default=60, metavar="N", help="frames of a clip (60, at 20 a second)")
    _add_common(bench)
    demo = kinds.add_parser("demo", help="the clip that ships with sdtc_ros")
    demo.add_argument("--frames", type=int, default=100, metavar="N", help="frames (100, at 20 a second)")
    demo.add_argument("--people", type=int, default=5, metavar="N", help="how many cross (5)")
    demo.add_argument("--quality", type=int, default=80, help="of the frames' JPEG (80)")
    _add_common(demo)


def depth_camera(args: argparse.Namespace) -> DepthCamera | None:
    """The depth camera asked for, None for exact depth; raises UsageError for a negative error."""
    given = {name: getattr(args, f"depth_{name}") for name in DEPTH_ERRORS}
    typical = {name: value if args.depth_camera else 0.0 for name, (_, value) in DEPTH_ERRORS.items()}
    wanted = {name: typical[name] if value is None else value for name, value in given.items()}
    if min(wanted.values()) < 0:
        raise UsageError(f"required: {', '.join(f'--depth-{name}' for name in DEPTH_ERRORS)} >= 0")
    if not any(wanted.values()):
        return None
    return DepthCamera(hole=round(wanted.pop("hole")), **wanted)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="folder (demo: file) to write; goes on where it was"
    )
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other people (0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (1); the result is the same for any number")
    parser.add_argument("--makehuman", type=Path, metavar="DIR", help="MakeHuman's assets: clothes, hair, poses")
    parser.add_argument("--motion", type=Path, metavar="DIR", help="motion capture, BVH files")
    parser.add_argument("--panoramas", type=Path, metavar="DIR", help="panoramas: .hdr, .exr, or @pmndrs/assets' hdri/")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="photographs without people, for backdrops")


def _window_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, by WindowSettings' names; raises UsageError."""
    given = {name: getattr(args, name) for name in (*SHARES, "furthest") if getattr(args, name) is not None}
    if args.delta < 0:
        raise UsageError("--delta must not be negative")
    if any(not 0 <= given[name] <= 1 for name in SHARES if name in given) or given.get("furthest", 2) < 2:
        raise UsageError(f"required: {', '.join(f'--{name}' for name in SHARES)} from 0 to 1, --furthest >= 2")
    return given | {"delta": args.delta}


def run(args: argparse.Namespace) -> int:
    """Render what is not there yet; raises UsageError, InputError."""
    if importlib.util.find_spec("numba") is None or importlib.util.find_spec("anny") is None:
        raise UsageError('rendering people needs the packages numba and anny: pip install "sdtc_ros[synthetic]"')
    if args.workers < 1 or ("count" in args and args.count < 1):
        raise UsageError("--count and --workers must be >= 1")
    if args.seed < 0:
        raise UsageError("--seed must not be negative")
    window = _window_settings(args) if args.kind == "windows" else {}
    from training.synthetic import output
    from training.synthetic.assets import AssetFolders

    folders = AssetFolders(args.makehuman, args.motion, args.panoramas, args.pictures)
    if args.kind == "windows":
        from training.synthetic.windows import WindowSettings

        output.write_windows(folders, WindowSettings(**window), args.seed, args.count, args.out, args.workers)
        return 0
    from training.synthetic.clips import ClipSettings

    if args.kind == "bench":
        from training.synthetic.bench import write_bench

        for difficulty, content in write_bench(folders, args.out, args.count, args.frames, args.workers).items():
            print(f"{difficulty}: fingerprint {content}")
        return 0
    if args.kind == "demo":
        wanted_clip = ClipSettings(args.frames, people=(args.people, args.people), difficulty="crossing")
        output.write_demo(folders, wanted_clip, args.seed, args.out, args.quality)
        return 0
    if args.frames < 2 or args.rate <= 0 or min(args.size) < 64 or not 0 < args.people[0] <= args.people[1]:
        raise UsageError("required: --frames >= 2, --rate > 0, --size >= 64, --people LEAST <= MOST")
    wanted = output.ClipOutput(
        args.out, args.split, depth=not args.no_depth, bag=not args.no_bag, device=depth_camera(args)
    )
    each = [
        ClipSettings(args.frames, args.rate, tuple(args.size), tuple(args.people), difficulty)
        for difficulty in args.difficulty or DIFFICULTIES
    ]
    output.write_clips(folders, each, args.seed, args.count, wanted, args.workers)
    return 0
