# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live node's parameters, in one table: what the node declares, the launch file offers and config/pose.yaml says.

Knows no ROS, and imports nothing but the standard library, so a launch file can read the table in any Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdtc_ros.detection.factory import START_SCORE, DetectorConfig
from sdtc_ros.errors import UsageError
from sdtc_ros.options import ONNX, PERSON, PRECISION, PROVIDER, TOPIC, detectors_about

Value = bool | int | float | str | list[str]
RAW, COMPRESSED = "raw", "compressed"
AUTO, RELIABLE, BEST_EFFORT = "auto", "reliable", "best_effort"
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list of texts"}


@dataclass(frozen=True)
class Parameter:
    """One parameter; its type is its default's.

    low, high: the range of a number, both allowed; choices: its only values; pattern: what a text, or every
    text of a list, must match, and in words; dynamic: takes effect when it is set, or as `effect` says; read_only:
    never set again after the start. All others are read when the node is configured.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | tuple[int, ...] = ()
    pattern: tuple[str, str] | None = None
    dynamic: bool = False
    read_only: bool = False
    effect: str = ""

    @property
    def when(self) -> str:
        """When a value takes effect, in words."""
        if self.effect:
            return self.effect
        return "at the start only" if self.read_only else "at once" if self.dynamic else "when configured"

    @property
    def limits(self) -> str:
        """The range of a number in words, with a blank before them; empty for what has none."""
        return "" if self.low is None or self.high is None else f" of {self.low:g} to {self.high:g}"

    def accept(self, value: object) -> Value:
        """The value in the parameter's type, a whole number being a real one too; raises UsageError for any other."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is list and not value and not isinstance(value, str):  # ROS has no type for an empty list
            value = []
        if type(value) is not kind or (isinstance(value, list) and any(type(one) is not str for one in value)):
            raise UsageError(f"parameter '{self.name}' must be {_KINDS[kind]}{self.limits}, not {value!r}")
        self.check(value)
        return value

    def check(self, value: Value) -> None:
        """Raise UsageError, with the reason, for a value that it must not have."""
        if self.choices and value not in self.choices:
            listed = ", ".join(map(str, self.choices))
            raise UsageError(f"parameter '{self.name}' must be one of {listed}, not '{value}'")
        if isinstance(value, list):
            self._check_list(value)
        elif isinstance(value, str) and self.pattern and not re.fullmatch(self.pattern[0], value):
            raise UsageError(f"parameter '{self.name}' must be {self.pattern[1]}, not '{value}'")
        if self.low is None or self.high is None or isinstance(value, (str, list)):
            return
        if not self.low <= value <= self.high:
            raise UsageError(f"parameter '{self.name}' must be between {self.low:g} and {self.high:g}, got {value}")

    def _check_list(self, values: list[str]) -> None:
        pattern, words = self.pattern or (".*", "")
        for value in values:
            if not re.fullmatch(pattern, value):
                raise UsageError(f"parameter '{self.name}' must hold {words}, not '{value}'")
            if values.count(value) > 1:
                raise UsageError(f"parameter '{self.name}' must not name '{value}' twice")


PARAMETERS = (
    Parameter(
        "bundle", "", "folder of the model bundle; empty: the default model of the package", dynamic=True,
        effect="when configured, or by the service ~/reload",
    ),
    Parameter(PROVIDER.name, PROVIDER.default, PROVIDER.about, choices=PROVIDER.words),
    Parameter(PRECISION.name, PRECISION.default, PRECISION.about, choices=PRECISION.words),
    Parameter("allow_cpu", False, "run on the CPU where the provider is not available; otherwise that ends the node"),
    Parameter("threads", 0, "threads of ONNX Runtime; 0: its own choice", 0, 1024),
    Parameter(
        "cameras", [], "names of the cameras that share the model; each NAME has the topics NAME/image, "
        "NAME/sdtc/poses and so on; empty: one unnamed camera",
        pattern=(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*", "valid ROS names (letters, digits, _)"),
    ),
    Parameter(
        "rotate", 0, "clockwise rotation in degrees that makes the images upright for detector and network; everything "
        "published refers to the camera's own image", choices=(0, 90, 180, 270),
    ),
    Parameter(
        "rotate_each", [], "NAME:DEGREES for each of several `cameras` whose rotation differs from `rotate`",
        pattern=(r"[A-Za-z][A-Za-z0-9_/]*:(0|90|180|270)", "NAME:DEGREES, with 0, 90, 180 or 270 degrees"),
    ),
    Parameter(
        "detector", PERSON, detectors_about((PERSON, ONNX, TOPIC)),
        pattern=(r"person|topic|.+\.[oO][nN][nN][xX]", "person, topic or the path of an .onnx file"),
    ),
    Parameter(
        "detector_size", DetectorConfig.size, "detector person: pixels of the longer side that images are scaled to, a "
        "multiple of 32; 608 for distant people, at twice the time", 32, 2048,
    ),
    Parameter(
        "person_class", "", "detector .onnx: name or index of the person class, several separated "
        "by commas; empty: the one that the file's metadata names",
    ),
    Parameter(
        "start_score", START_SCORE, "minimum score of a person box that starts a track; weaker ones of detector topic "
        "get an id for their frame", 0.0, 1.0,
    ),
    Parameter(
        "continue_score", DetectorConfig.min_score, "boxes that the detector scores lower are dropped; those between "
        "this and start_score only continue a track", 0.01, 1.0,
    ),
    Parameter(
        "detections_tolerance", 0.0, "detector topic: maximum difference of the stamps of image and detections "
        "in seconds; 0: they must be equal", 0.0, 10.0,
    ),
    Parameter(
        "detections_wait", 0.5, "detector topic: seconds that an image waits for its detections before it is dropped",
        0.01, 60.0,
    ),
    Parameter(
        "detections_class", "", "detector topic: class_ids of people, separated by commas; empty: all"
    ),
    Parameter(
        "detect_every", 1, "run the detector on every k-th frame only; in between, boxes are propagated by the poses",
        1, 1000, dynamic=True,
    ),
    Parameter("min_box_score", 0.2, "person boxes scored lower are dropped", 0.0, 1.0, dynamic=True),
    Parameter(
        "max_people", 64, "maximum number of people in a frame: the best scored, who has a pose first",
        1, 1000, dynamic=True,
    ),
    Parameter(
        "lookahead", -1, "later frames that a keyframe waits for, 0 to the model's delta; -1: delta; fewer where that "
        "would take longer than lookahead_wait", -1, 100,
    ),
    Parameter(
        "lookahead_wait", -1.0, "maximum seconds that a frame waits for later ones while frames arrive; -1: as long as "
        "answers come within `lookahead` + 1 frames of the camera; a large value: no limit", -1.0,
        3600.0, dynamic=True,
    ),
    Parameter(
        "crop_drift_threshold", 0.1, "drift, in box sizes, up to which a person's crop is held; 0: never", 0.0, 1.0,
        dynamic=True,
    ),
    Parameter(
        "sticky", -1.0, "the former name of crop_drift_threshold, which it overrides; -1: not set", -1.0, 1.0,
        dynamic=True,
    ),
    Parameter(
        "max_gap", 1.0, "seconds without a frame after which tracks and windows start over", 0.001, 3600.0,
        dynamic=True,
    ),
    Parameter(
        "max_wait", 0.0, "seconds without an image after which a waiting frame is processed without later "
        "ones; 0: max_gap", 0.0, 3600.0, dynamic=True,
    ),
    Parameter(
        "max_age", 0.0, "age by header stamp, in seconds, from which a frame is dropped; 0: never", 0.0, 3600.0,
        dynamic=True,
    ),
    Parameter(
        "transport", RAW, "raw: sensor_msgs/Image on `image`; compressed: CompressedImage on `image`/compressed",
        choices=(RAW, COMPRESSED),
    ),
    Parameter(
        "reliability", AUTO, "of the image subscription: reliable (lost packets are sent again), "
        "best_effort, or auto: reliable if all publishers offer it; qos_overrides take precedence",
        choices=(AUTO, RELIABLE, BEST_EFFORT),
    ),
    Parameter(
        "max_silence", 5.0, "seconds without an image after which log and diagnostics say so, and why; 0: never",
        0.0, 3600.0, dynamic=True,
    ),
    Parameter(
        "warn_latency", 0.5, "latency from stamp to poses, in seconds, above which the diagnostics warn; 0: never",
        0.0, 3600.0, dynamic=True,
    ),
    Parameter(
        "warn_drops", 0.5, "share of dropped frames above which the diagnostics warn; 0: never", 0.0, 1.0,
        dynamic=True,
    ),
    Parameter(
        "annotated_max_width", 1280, "width in pixels that wider annotated images are scaled down to; 0: never",
        0, 16384, dynamic=True,
    ),
    Parameter("jpeg_quality", 80, "JPEG quality of the compressed annotated images", 1, 100, dynamic=True),
    Parameter(
        "person_height", 1.7, "assumed height of people in metres, to place the RViz markers", 0.1, 10.0,
        dynamic=True,
    ),
    Parameter(
        "depth", "", "topic of depth images registered to the colour images (16UC1 or 32FC1; compressed where it ends "
        "in /compressedDepth): joints in metres too, on `sdtc/poses_3d`; {camera} in it stands for each camera's name"
    ),
    Parameter(
        "depth_tolerance", 0.02, "depth: maximum difference of the stamps of image and depth in seconds", 0.0, 1.0,
        dynamic=True,
    ),
    Parameter(
        "depth_wait", 0.05, "depth: seconds that a depth image may come later than the poses in the image; the next "
        "frame waits as long", 0.0, 1.0, dynamic=True,
    ),
    Parameter(
        "max_carry", 0.5, "depth: seconds for which a joint without depth is propagated, with growing covariance",
        0.0, 10.0,
    ),
    Parameter(
        "target_frame", "", "depth: the tf2 frame that the joints are transformed to, at their keyframe's stamp; "
        "empty: the camera's own"
    ),
    Parameter("hri", False, "also publish people as ROS4HRI bodies, /humans/bodies/... (needs hri_msgs)"),
    Parameter(
        "statistics_period", 10.0, "seconds between two lines of statistics in the log; 0: off", 0.0, 3600.0,
        dynamic=True,
    ),
    Parameter(
        "autostart", True, "configure and activate at once; false: wait for a lifecycle manager", read_only=True
    ),
)  # fmt: skip


def check_all(values: Mapping[str, Any]) -> None:
    """Raise UsageError for the first of the values (by parameter name) that its parameter must not have."""
    for parameter in PARAMETERS:
        if parameter.name in values:
            parameter.check(values[parameter.name])
