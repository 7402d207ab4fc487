# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live node under a real ROS 2, with real processes: `python benchmarks/live.py {soak,cost,restarts,cameras}`.

- soak: minutes of frames: rates, where every frame went, latency, memory over time (`--plot` draws it).
- cost: what a frame costs the node beside inference, with and without somebody who looks at the annotated image.
- restarts: camera, detector and node killed and started again under load: how long until poses flow again.
- cameras: two cameras in one node against two nodes.

The node is launched with the source tree's pose.launch.py. A process beside it publishes synthetic people that were
rendered beforehand; another one stands for a person detector, with the true boxes (`--detector person`: the node's own
instead). Where `--detector topic` is measured, every result's boxes are compared with those of the frame that its
stamp names. Exit status 1 where frames are unaccounted for, 2 without ROS 2.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/live.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.models import add_options, chosen_bundle  # noqa: E402
from benchmarks.node import cameras, cost, restarts, soak  # noqa: E402
from benchmarks.node.environment import ros_environment  # noqa: E402
from benchmarks.node.lab import Lab  # noqa: E402
from benchmarks.node.rig import Setting  # noqa: E402
from benchmarks.report import surroundings, write_json  # noqa: E402
from benchmarks.scenes import parse_size  # noqa: E402
from sdtc_ros.errors import SdtcError, UsageError  # noqa: E402
from sdtc_ros.options import PERSON, TOPIC  # noqa: E402


def run_soak(lab: Lab, args: argparse.Namespace) -> tuple[str, dict[str, Any], list[str]]:
    """The tables, the figures, and what does not add up."""
    found = soak.measure(lab, _setting(args), 60 * args.minutes)
    if args.plot:
        soak.plot(found, args.plot)
    return soak.report(found), found.figures(), found.account.complaints


def run_cost(lab: Lab, args: argparse.Namespace) -> tuple[str, dict[str, Any], list[str]]:
    """Likewise; the model is one whose inference is next to nothing, unless another one is asked for."""
    found = cost.measure(lab, _setting(args), [(args.size, args.hz)] if args.size else list(cost.SCENES), args.seconds)
    return cost.report(found), cost.figures(found), [one for scene in found for one in scene.account.complaints]


def run_restarts(lab: Lab, args: argparse.Namespace) -> tuple[str, dict[str, Any], list[str]]:
    """Likewise."""
    found = restarts.measure(lab, _setting(args), args.times)
    return restarts.report(found), found.figures(), found.complaints


def run_cameras(lab: Lab, args: argparse.Namespace) -> tuple[str, dict[str, Any], list[str]]:
    """Likewise."""
    found = cameras.measure(lab, _setting(args), args.seconds)
    return cameras.report(found), cameras.figures(found), [one for run in found for one in run.account.complaints]


RUNS: dict[str, Callable[[Lab, argparse.Namespace], tuple[str, dict[str, Any], list[str]]]] = {
    "soak": run_soak, "cost": run_cost, "restarts": run_restarts, "cameras": run_cameras,
}  # fmt: skip


def _setting(args: argparse.Namespace) -> Setting:
    return Setting(
        args.size or (640, 480), args.hz, args.people, args.bundle, args.detector, args.lookahead, args.threads
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python benchmarks/live.py", description="The live node, measured.")
    which = parser.add_subparsers(dest="which", required=True, metavar="{soak,cost,restarts,cameras}")
    long = which.add_parser("soak", help="minutes of frames")
    long.add_argument("--minutes", type=float, default=10.0, help="default: %(default)s")
    long.add_argument("--plot", type=Path, metavar="FILE", help="draw latency, rates and memory over time (PNG)")
    own = which.add_parser("cost", help="what a frame costs beside inference")
    own.add_argument("--seconds", type=float, default=20.0, help="of every row of the table (default: %(default)s)")
    again = which.add_parser("restarts", help="camera, detector and node killed and started again")
    again.add_argument("--times", type=int, default=5, help="each of them (default: %(default)s)")
    two = which.add_parser("cameras", help="two cameras in one node against two nodes")
    two.add_argument("--seconds", type=float, default=30.0, help="of every row of the table (default: %(default)s)")
    for sub, hz, lookahead in ((long, 30.0, -1), (own, 30.0, 0), (again, 30.0, -1), (two, 15.0, -1)):
        add_options(sub)
        size = None if sub is own else (640, 480)
        sub.add_argument("--size", type=parse_size, default=size, help="of the images (default: 640x480; cost: both)")
        sub.add_argument("--hz", type=float, default=hz, help="of each camera (default: %(default)s)")
        sub.add_argument("--people", type=int, default=4, help="in every image (default: %(default)s)")
        sub.add_argument("--detector", choices=(TOPIC, PERSON), default=TOPIC, help="default: %(default)s")
        sub.add_argument("--lookahead", type=int, default=lookahead, help="the node's (default: %(default)s)")
        sub.add_argument("--threads", type=int, default=0, help="the node's, of ONNX Runtime (default: its own choice)")
        sub.add_argument("--domain", type=int, help="ROS_DOMAIN_ID (default: one that no other benchmark or test has)")
        sub.add_argument("--keep", type=Path, metavar="DIR", help="keep records and logs in this folder, which is made")
        sub.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def _check(args: argparse.Namespace) -> None:
    for name, least in (("people", 1), ("threads", 0), ("times", 1)):
        if getattr(args, name, least) < least:
            raise UsageError(f"--{name} must be >= {least}, got {getattr(args, name)}")
    for name in ("hz", "minutes", "seconds"):
        if not getattr(args, name, 1.0) > 0:
            raise UsageError(f"--{name} must be > 0, got {getattr(args, name):g}")
    for name in ("json", "plot"):
        path = getattr(args, name, None)
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"--{name} {path}: no such folder: {path.parent}")
    if args.keep is not None and args.keep.exists():
        raise UsageError(f"--keep {args.keep} already exists")
    if args.detector == PERSON and args.which in ("cost", "restarts"):
        raise UsageError(f"--detector {PERSON} is for soak and cameras: {args.which} needs the detector's process")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json also write the figures."""
    args = _parser().parse_args(arguments)
    try:
        _check(args)
        environment = ros_environment()
        if args.keep:
            return _run(args, environment, args.keep.resolve())
        with tempfile.TemporaryDirectory(prefix="sdtc_ros-live-") as folder:
            return _run(args, environment, Path(folder))
    except SdtcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted; all processes stopped", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace, environment: Any, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if args.which == "cost" and not (args.model or args.network):
        bundle = cost.light_bundle(folder / "light")
    else:
        bundle = chosen_bundle(args.model, args.network)
    args.bundle, args.model_name, args.clock = bundle.folder.resolve(), bundle.name, "wall"
    ros = {name: environment.get(name, "default") for name in ("ROS_DISTRO", "RMW_IMPLEMENTATION")}
    print(surroundings(args) + f"\nROS 2 {ros['ROS_DISTRO']}, {ros['RMW_IMPLEMENTATION']}\n", flush=True)
    with Lab(folder, args.domain) as lab:
        text, figures, complaints = RUNS[args.which](lab, args)
    print(text)
    for complaint in complaints:
        print(f"\nUNACCOUNTED FOR: {complaint}", flush=True)
    load = os.getloadavg()[0]
    print(f"\nload at the end: {load:.1f}")
    if args.json:
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
        write_json(args.json, {**figures, "complaints": complaints, "options": options, "ros": ros})
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
