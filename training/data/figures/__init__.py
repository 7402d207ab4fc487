# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Plain figures of sticks and cloth-coloured hulls: frames with boxes and joints without end, for tests and timings.

NumPy and OpenCV only, a few milliseconds a frame, the same bytes for the same seed. People that look like people, to
learn from and to judge by, are training/synthetic's. `render_clip` makes a clip, `write_posetrack18` a data set.
"""

from training.data.figures.dataset import posetrack18_truth, write_posetrack18
from training.data.figures.scene import Clip, SceneConfig, iterate_clip, render_clip

__all__ = ["Clip", "SceneConfig", "iterate_clip", "posetrack18_truth", "render_clip", "write_posetrack18"]
