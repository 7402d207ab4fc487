# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What differs between the benchmarks' evaluation tools: a few flags on one core."""

from __future__ import annotations

from dataclasses import dataclass

from sdtc_ros.errors import UsageError
from sdtc_ros.skeleton import HIEVE, POSETRACK, Skeleton


@dataclass(frozen=True)
class Protocol:
    """How truth and predictions are read before they are matched.

    labelled_frames: the frames marked `is_labeled` count (PoseTrack21's toolkit), else those that list people
    (poseval). positive_joints: a joint exists where x > 0 and y > 0, and a joint that nobody has gives 0
    (PoseTrack21's toolkit), else all but (0, 0, flag 0) exist, and a joint that nobody has gives NaN where it was
    predicted (poseval).
    similarity: distances are measured by the box's area, as COCO's keypoint similarity does, not by the head box.
    """

    name: str
    skeleton: Skeleton = POSETRACK
    labelled_frames: bool = False
    positive_joints: bool = False
    similarity: bool = False


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("posetrack17"),
        Protocol("posetrack18"),
        Protocol("posetrack21", labelled_frames=True, positive_joints=True),
        Protocol("hieve", skeleton=HIEVE, similarity=True),
    )
}


def protocol_by_name(name: str) -> Protocol:
    """The protocol of that name; raises UsageError that lists the names there are."""
    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{name}'; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
