# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live node's parameters, in one table: what the node declares, the launch file offers and config/pose.yaml says.

Knows no ROS, and imports nothing but the standard library until a pipeline is made, so a launch file can read the
table in any Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtc_ros.errors import UsageError

if TYPE_CHECKING:
    from sdtc_ros.detection import Detector
    from sdtc_ros.pipeline import Pipeline

Value = bool | int | float | str
HOG = "hog"
RAW, COMPRESSED = "raw", "compressed"
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class Parameter:
    """One parameter; its type is its default's.

    low, high: the range of a number, both allowed; choices: the values of a text; dynamic: takes effect when it is
    set, where all others are read when the node is configured.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False

    def accept(self, value: object) -> Value:
        """The value in the parameter's type, a whole number being a real one too; raises UsageError for any other."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise UsageError(f"parameter '{self.name}' must be {_KINDS[kind]}{self.limits}, not {value!r}")
        self.check(value)
        return value

    @property
    def limits(self) -> str:
        """The range of a number in words, with a blank before them; empty for what has none."""
        return "" if self.low is None or self.high is None else f" of {self.low:g} to {self.high:g}"

    def check(self, value: Value) -> None:
        """Raise UsageError, with the reason, for a value that it must not have."""
        if self.choices and value not in self.choices:
            raise UsageError(f"parameter '{self.name}' must be one of {', '.join(self.choices)}, not '{value}'")
        if self.low is None or self.high is None or isinstance(value, str):
            return
        if not self.low <= value <= self.high:
            raise UsageError(f"parameter '{self.name}' must lie in {self.low:g} to {self.high:g}, not {value}")


PARAMETERS = (
    Parameter("bundle", "", "folder of the model bundle; empty: the small model shipped with the package"),
    Parameter(
        "provider", "cpu", "what ONNX Runtime runs on: cpu, cuda or tensorrt", choices=("cpu", "cuda", "tensorrt")
    ),
    Parameter("allow_cpu", False, "run on the CPU where the provider cannot be had; otherwise that ends the node"),
    Parameter("threads", 0, "threads of ONNX Runtime; 0: its own choice", 0, 1024),
    Parameter("detector", HOG, "where person boxes come from: hog (OpenCV's, upright people), or an .onnx file's path"),
    Parameter("detect_every", 1, "detect in every k-th frame only; between, people move on at constant speed", 1, 1000),
    Parameter("min_box_score", 0.2, "person boxes scored lower are dropped", 0.0, 1.0),
    Parameter("max_people", 64, "people of one frame at most, the best scored", 1, 1000),
    Parameter("lookahead", -1, "frames to wait for beyond the keyframe, 0 to the model's delta; -1: delta", -1, 100),
    Parameter("sticky", 0.1, "drift, in box sizes, up to which a person's crop is held; 0: never", 0.0, 1.0),
    Parameter("max_gap", 1.0, "seconds without a frame after which tracks and windows begin anew", 0.001, 3600.0),
    Parameter(
        "max_age", 0.0, "seconds by header stamp after which a frame is too old and dropped; 0: none is", 0.0, 3600.0,
        dynamic=True,
    ),
    Parameter(
        "transport", RAW, "raw: sensor_msgs/Image on `image`; compressed: CompressedImage on `image`/compressed",
        choices=(RAW, COMPRESSED),
    ),
    Parameter(
        "max_silence", 5.0, "seconds without an image after which the log says so, and why; 0: never", 0.0, 3600.0,
        dynamic=True,
    ),
    Parameter(
        "statistics_period", 10.0, "seconds between two lines of statistics in the log; 0: none", 0.0, 3600.0,
        dynamic=True,
    ),
    Parameter("autostart", True, "configure and activate at once; false: wait for a lifecycle manager"),
)  # fmt: skip


def check_all(values: Mapping[str, Any]) -> None:
    """Raise UsageError for the first of the values (by parameter name) that its parameter must not have."""
    for parameter in PARAMETERS:
        if parameter.name in values:
            parameter.check(values[parameter.name])


def make_pipeline(values: Mapping[str, Any]) -> Pipeline:
    """The pipeline that a full set of values asks for.

    Raises UsageError for values that cannot be, BundleError for a model or detector that cannot be used.
    """
    from sdtc_ros.bundle import default_bundle
    from sdtc_ros.pipeline import Pipeline, PipelineConfig

    check_all(values)
    config = PipelineConfig(
        lookahead=None if values["lookahead"] < 0 else values["lookahead"],
        sticky=values["sticky"],
        min_box_score=values["min_box_score"],
        detect_every=values["detect_every"],
        max_people=values["max_people"],
        max_gap=values["max_gap"],
    )
    detector = _detector(values)
    _load_tracking()
    folder = Path(values["bundle"]).expanduser() if values["bundle"] else default_bundle()
    return Pipeline.from_bundle(
        folder, config, detector=detector, provider=values["provider"], threads=values["threads"],
        allow_cpu=values["allow_cpu"],
    )  # fmt: skip


def _load_tracking() -> None:
    """Have the tracking library loaded before the first person comes: it takes more than a second."""
    import numpy as np

    from sdtc_ros.poses import Boxes
    from sdtc_ros.tracking import Tracker

    Tracker().update(Boxes(np.array([[0, 0, 10, 20]], np.float32), np.ones(1, np.float32)), 0)


def _detector(values: Mapping[str, Any]) -> Detector:
    which = str(values["detector"])
    if which == HOG:
        from sdtc_ros.detection import HogDetector

        return HogDetector()
    if not which.lower().endswith(".onnx"):
        raise UsageError(f"parameter 'detector' must be hog or the path of an .onnx file, not '{which}'")
    from sdtc_ros.onnx_detector import OnnxDetector

    return OnnxDetector(
        Path(which).expanduser(), provider=values["provider"], threads=values["threads"], allow_cpu=values["allow_cpu"]
    )
