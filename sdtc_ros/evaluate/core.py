# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""evaluate(): predictions against truth under one benchmark's protocol."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.matching import Matches, match_sequence
from sdtc_ros.evaluate.poses import pose_precision
from sdtc_ros.evaluate.precision import Ties, joint_precision
from sdtc_ros.evaluate.protocols import Protocol, protocol_by_name
from sdtc_ros.evaluate.result import Result, Subset, by_joint, mean
from sdtc_ros.evaluate.tracking import track_counts, without_ids
from sdtc_ros.ground_truth.sequence import Sequence


def evaluate(
    truth: list[Sequence],
    predictions: list[Sequence],
    protocol: Protocol | str = "posetrack18",
    ties: Literal["stable", "poseval"] = "stable",
) -> Result:
    """Compare predictions with the truth of the same name, sequence by sequence.

    ties: how joints of equal score are ordered (see precision.py). "stable" goes through the sequences by name;
    "poseval" through the truth as it is given, and repeats the official program's order on the same machine.

    Raises InputError where a sequence has no predictions (it is named), where a frame that counts is not among the
    predictions' images, where a track id stands twice in a frame, where a truth person has joints but no head box,
    where the joints are not the protocol's, or where no frame counts at all; UsageError for an unknown protocol.
    """
    protocol = protocol_by_name(protocol) if isinstance(protocol, str) else protocol
    by_name = {sequence.name: sequence for sequence in predictions}
    matches, people, frames = [], 0, 0
    for sequence in sorted(truth, key=lambda s: s.name) if ties == "stable" else truth:
        if sequence.name not in by_name:
            raise InputError(
                f"sequence {sequence.name} has no predictions; expected a file of that name beside the other "
                f"{len(by_name)}"
            )
        for side in (sequence, by_name[sequence.name]):
            if side.skeleton is not protocol.skeleton:
                raise InputError(
                    f"sequence {side.name} has the joints of {side.skeleton.name}; the protocol {protocol.name} "
                    f"compares those of {protocol.skeleton.name}"
                )
        matches.append(match_sequence(sequence, by_name[sequence.name], protocol))
        frames += len(matches[-1].hit)
        people += int(matches[-1].truth.present.sum())
    if not frames:
        raise InputError(
            f"the truth has no frame to evaluate in its {len(truth)} sequences: none "
            + ("is marked is_labeled" if protocol.labelled_frames else "lists a person")
        )
    counts = {"sequences": len(matches), "frames": frames, "people": people}
    counts["predicted_people"] = sum(int(m.predictions.present.sum()) for m in matches)
    return _result(matches, protocol, counts, ties)


def _result(matches: list[Matches], protocol: Protocol, counts: dict[str, int], ties: Ties) -> Result:
    joints, floor = protocol.skeleton.joints, protocol.positive_joints
    ap, precision, recall = joint_precision(matches, floor, ties)
    low, high = (mean(list(joint_precision(matches, floor, bound)[0])) for bound in ("worst", "best"))
    tracks = track_counts(matches)
    mot = {name: by_joint(values, joints) for name, values in tracks.scores().items()} if tracks else {}
    return Result(
        protocol,
        by_joint(ap, joints),
        by_joint(precision, joints),
        by_joint(recall, joints),
        mot.get("mota"),
        mot.get("motp"),
        mot.get("clear_motp"),
        subset_accuracy(matches),
        pose_precision(matches) if protocol.similarity else {},
        counts,
        (low, high),
        _warnings(matches, low, high),
    )


def _warnings(matches: list[Matches], low: float, high: float) -> list[str]:
    unscored = sum(
        person.joint_scores is None and at is not None
        for m in matches
        for at, person in m.predictions.rows.items()
        if m.predictions.present[at]
    )
    found = []
    for side, count in zip(("annotated", "predicted"), without_ids(matches), strict=True):
        if count:
            found.append(f"{count} {side} people have no track id and are left out of MOTA")
    if unscored:
        found.append(f"{unscored} predicted people have no joint scores; they are ranked last, in file order")
    if high - low > 0.05:
        found.append(
            f"many joints have equal scores: by their order alone the total AP lies between {low:.2f} and {high:.2f}"
        )
    return found


def subset_accuracy(matches: list[Matches]) -> dict[str, Subset]:
    """Accuracy on flagged joints and on the others, for every flag the truth's people carry (Person.flags).

    A truth joint is found where the prediction that was matched to its person hits it (0.3 x the head box's
    diagonal). People without the flag's mask are left out of that flag's figures.
    """
    rows: dict[str, list[tuple[bool, bool]]] = {}
    for m in matches:
        owners = {(f, int(g)): p for f, row in enumerate(m.owner) for p, g in enumerate(row) if g >= 0}
        for at, person in m.truth.rows.items():
            if not person.flags or not m.truth.present[at]:
                continue
            matched = at in owners
            found = m.hit[at[0], owners[at]] if matched else np.zeros(m.hit.shape[-1], bool)
            for name, flagged in person.flags.items():
                for joint in np.flatnonzero(m.truth.exists[at]):
                    kind = name if flagged[joint] else f"not {name}"
                    rows.setdefault(kind, []).append((bool(found[joint]), matched))
    return {kind: _subset(np.array(rows[kind])) for kind in sorted(rows, key=lambda k: (k.removeprefix("not "), k))}


def _subset(found_matched: np.ndarray) -> Subset:
    found, matched = found_matched.T
    pck = 100 * found[matched].mean() if matched.any() else float("nan")
    return Subset(len(found), float(100 * found.mean()), float(pck))
