# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What validation's AP is measured against: annotated sequences, and where its samples lie in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame


@dataclass(frozen=True)
class ValidationTruth:
    """The annotated sequences of a validation set and where its N samples lie in them.

    protocol: evaluate's. sequence, frame N int64: positions in `sequences` and in their frames; score N float: the
    person's box's, which a joint's score is multiplied by. Nobody has a track id: AP does not ask for it.
    """

    protocol: str
    sequences: list[Sequence]
    sequence: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    score: npt.NDArray[np.floating[Any]]

    def predictions(self, samples: npt.NDArray[Any], keypoints: npt.NDArray[Any]) -> list[Sequence]:
        """Samples M and their keypoints M x K x 3 (x, y in image pixels, score) as sequences of predictions."""
        answer = []
        for sequence in self.sequences:
            frames = [SequenceFrame(f.name, f.id, f.labelled) for f in sequence.frames]
            answer.append(Sequence(sequence.name, frames, sequence.skeleton))
        for sample, points in zip(samples.tolist(), keypoints.astype(float), strict=True):
            score = float(self.score[sample])
            xyv = np.concatenate([points[:, :2], np.ones((len(points), 1))], axis=1)
            person = Person(xyv, score=score, joint_scores=score * points[:, 2])
            answer[self.sequence[sample]].frames[self.frame[sample]].people.append(person)
        return answer
