# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From frames to poses. `Pipeline` and `PipelineConfig` are here too, imported when they are first asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig

__all__ = ["Pipeline", "PipelineConfig"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sdtc_ros.pipeline' has no attribute '{name}'")
    from sdtc_ros.pipeline import pipeline  # not before: rotation alone needs no engine

    return getattr(pipeline, name)
