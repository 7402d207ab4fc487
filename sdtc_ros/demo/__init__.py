# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The clip of synthetic people that ships with the package: for `demo`, for checks of a model, and for tests.

`people.npz` is five seconds of five people who cross before a camera, 640 x 480 at 20 frames a second, rendered by
`python -m training.data render demo`. It is free for any use; docs/data.md says what it is made of.
"""

from sdtc_ros.demo.clip import Clip, clip_sequence, demo_clip

__all__ = ["Clip", "clip_sequence", "demo_clip"]
