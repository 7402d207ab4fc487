# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a full set of parameter values asks for: model and engine, detector, settings, and a pipeline for every camera.

Knows no ROS. Heavy imports are made when they are needed: they take seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtc_ros.detection.factory import DetectorConfig, make_detector
from sdtc_ros.errors import UsageError
from sdtc_ros.node.parameters import check_all
from sdtc_ros.options import TOPIC

if TYPE_CHECKING:
    from sdtc_ros.detection.boxes import Detector
    from sdtc_ros.engine.base import Engine
    from sdtc_ros.engine.select import EngineConfig
    from sdtc_ros.models.bundle import Bundle
    from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig


@dataclass(frozen=True)
class Model:
    """A bundle and the warm engine that runs it."""

    bundle: Bundle
    engine: Engine

    @property
    def providers(self) -> list[str]:
        """What the engine runs on, in its runtime's own words."""
        return self.engine.providers


@dataclass(frozen=True)
class Loaded:
    """All that the cameras share."""

    model: Model
    detector: Detector | None  # None: boxes come with the frames
    config: PipelineConfig

    def pipeline(self, number: int = 0) -> Pipeline:
        """A pipeline for a camera; raises UsageError for a lookahead that the model does not have.

        number: of the camera; cameras that run in step ask the detector in frames of their own.
        """
        from sdtc_ros.pipeline.pipeline import Pipeline

        return Pipeline(self.model.bundle, self.model.engine, self.config, self.detector, phase=number)


def load(values: Mapping[str, Any]) -> Loaded:
    """What `values` (of all parameters, by name) ask for, warmed up.

    Raises UsageError for values that cannot be and for packages that are not installed, BundleError for a model or
    detector that cannot be used.
    """
    check_all(values)
    try:
        config, detector = pipeline_config(values), _detector(values)
        _load_tracking()
        return Loaded(load_model(values), detector, config)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "sdtc_ros":  # a defect of ours
            raise
        raise cannot_import(error) from error


def cannot_import(error: ImportError) -> UsageError:
    """Why the node cannot run in this Python: usually a terminal without ROS 2 or without the virtual environment."""
    why = (str(error).strip().splitlines() or ["an import failed"])[0]
    if (error.name or "").partition(".")[0] in ("rclpy", "vision_msgs", "sensor_msgs", "diagnostic_msgs"):
        remedy = "source ROS 2's setup.bash (/opt/ros/DISTRO/setup.bash) in this terminal"
    else:
        remedy = "activate the virtual environment that sdtc_ros's dependencies are installed in (docs/deploy.md)"
    return UsageError(
        f"the node cannot run under {sys.executable}: {why}; {remedy} and restart it. python3 -m sdtc_ros doctor "
        "says what is missing"
    )


def load_model(values: Mapping[str, Any]) -> Model:
    """The bundle that `values` name in a warm engine; raises as `load`."""
    from sdtc_ros.engine.select import open_engine
    from sdtc_ros.models.bundle import default_bundle, load_bundle

    bundle = load_bundle(Path(values["bundle"]).expanduser() if values["bundle"] else default_bundle())
    return Model(bundle, open_engine(bundle, _engine_config(values)))


def _engine_config(values: Mapping[str, Any]) -> EngineConfig:
    from sdtc_ros.engine.select import EngineConfig

    return EngineConfig(values["provider"], values["precision"], values["threads"], values["allow_cpu"])


def pipeline_config(values: Mapping[str, Any]) -> PipelineConfig:
    """The settings of every camera's pipeline."""
    from sdtc_ros.pipeline.pipeline import PipelineConfig
    from sdtc_ros.tracking.tracker import TrackingConfig

    return PipelineConfig(
        # boxes that others give all have their pose, as those of a file in a replay
        tracking=TrackingConfig(start_score=values["start_score"], keep_untracked=values["detector"] == TOPIC),
        lookahead=None if values["lookahead"] < 0 else values["lookahead"],
        crop_drift_threshold=values["crop_drift_threshold"] if values["sticky"] < 0 else values["sticky"],
        min_box_score=values["min_box_score"],
        detect_every=values["detect_every"],
        max_people=values["max_people"],
        max_gap=values["max_gap"],
    )


def _load_tracking() -> None:
    """Have the tracking library loaded before the first person comes: it takes more than a second."""
    import numpy as np

    from sdtc_ros.tracking.tracker import Tracker
    from sdtc_ros.types import Boxes

    Tracker().update(Boxes(np.array([[0, 0, 10, 20]], np.float32), np.ones(1, np.float32)), 0)


def _detector(values: Mapping[str, Any]) -> Detector | None:
    which = str(values["detector"])
    if which == TOPIC:
        return None
    config = DetectorConfig(which, values["detector_size"], values["continue_score"], values["person_class"])
    return make_detector(config, _engine_config(values))
