# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Real-time video human pose for ROS 2: what runs on the robot (NumPy, OpenCV and an inference runtime, no torch).

What most programs need is here by name, imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdtc_ros.version import __version__

if TYPE_CHECKING:
    from sdtc_ros.engine.select import EngineConfig
    from sdtc_ros.models.bundle import default_bundle, load_bundle
    from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
    from sdtc_ros.types import Boxes, Frame, Pose

_MODULES = {
    "Boxes": "types",
    "EngineConfig": "engine.select",
    "Frame": "types",
    "Pipeline": "pipeline.pipeline",
    "PipelineConfig": "pipeline.pipeline",
    "Pose": "types",
    "default_bundle": "models.bundle",
    "load_bundle": "models.bundle",
}

__all__ = [
    "Boxes",
    "EngineConfig",
    "Frame",
    "Pipeline",
    "PipelineConfig",
    "Pose",
    "__version__",
    "default_bundle",
    "load_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'sdtc_ros' has no attribute '{name}'")
    return getattr(import_module(f"sdtc_ros.{_MODULES[name]}"), name)
