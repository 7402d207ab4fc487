# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Evaluation written out in plain loops from the description of poseval's rules: a reference for the fast one."""

from __future__ import annotations

import math

from scipy.optimize import linear_sum_assignment

from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame

Point = tuple[float, float]


def joints_of(person: Person, frame: SequenceFrame) -> dict[int, Point]:
    """The person's joints by index, without those inside an ignore polygon."""
    found = {}
    for k, (x, y, flag) in enumerate(person.keypoints.tolist()):
        if (x, y, flag) != (0, 0, 0) and not any(point_inside((x, y), polygon.tolist()) for polygon in frame.ignore):
            found[k] = (x, y)
    return found


def point_inside(point: Point, polygon: list[list[float]]) -> bool:
    """Winding by summed angles, which has nothing in common with counting crossings."""
    total = 0.0
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        a = math.atan2(ay - point[1], ax - point[0])
        b = math.atan2(by - point[1], bx - point[0])
        total += (b - a + math.pi) % (2 * math.pi) - math.pi
    return abs(total) > math.pi


def frames_of(truth: Sequence, guess: Sequence) -> list[tuple[list, list]]:
    """Frames that count: truth people as (track, head size, joints), predictions as (track, scores, joints)."""
    out = []
    for frame, answer in zip(truth.frames, guess.frames, strict=True):
        if not frame.people:
            continue
        true = [(p.track_id, 0.6 * math.hypot(p.head_box[2], p.head_box[3]), joints_of(p, frame)) for p in frame.people]
        made = [(p.track_id, p.joint_scores, joints_of(p, frame)) for p in answer.people]
        if frame.ignore:
            true, made = [t for t in true if t[2]], [m for m in made if m[2]]
        out.append((true, made))
    return out


def distance(true: tuple, made: tuple, k: int) -> float:
    """Distance of joint k in head sizes, or infinity where either lacks it."""
    if k not in true[2] or k not in made[2]:
        return math.inf
    return math.dist(true[2][k], made[2][k]) / true[1]


def owners(true: list, made: list) -> dict[int, int]:
    """Prediction -> truth, greedily."""
    pck = [
        [sum(distance(t, m, k) <= 0.5 for k in t[2]) / len(t[2]) if t[2] else 0.0 for t in true] for m in made
    ]  # fmt: skip
    best = [row.index(max(row)) if row else -1 for row in pck]
    taken = {}
    for g in range(len(true)):
        value, winner = 0.0, -1
        for p, row in enumerate(pck):
            if best[p] == g and row[g] > value:
                value, winner = row[g], p
        if winner >= 0:
            taken[winner] = g
    return taken


def average_precision(pairs: list[tuple[Sequence, Sequence]], k: int) -> tuple[float, float, float]:
    """(ap, precision, recall) of joint k in percent; scores must not be tied."""
    detections, positives = [], 0
    for truth, guess in pairs:
        for true, made in frames_of(truth, guess):
            positives += sum(k in t[2] for t in true)
            owner = owners(true, made)
            for p, m in enumerate(made):
                if k in m[2]:
                    hit = p in owner and distance(true[owner[p]], m, k) <= 0.5
                    detections.append((m[1][k], hit))
    detections.sort(key=lambda d: -d[0])
    points, found = [], 0
    for n, (_, hit) in enumerate(detections, 1):
        found += hit
        points.append((found / positives, found / n))
    area, reached = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        if recall > reached:
            area += (recall - reached) * max(precision for _, precision in points[i:])
            reached = recall
    return 100 * area, 100 * points[-1][1], 100 * points[-1][0]


def mota_motp(pairs: list[tuple[Sequence, Sequence]], k: int) -> tuple[float, float]:
    """MOTA and poseval's MOTP of joint k in percent."""
    objects = misses = false_positives = switches = matches = 0
    distances = 0.0
    for truth, guess in pairs:
        last_h: dict = {}
        last_o: dict = {}
        seen_o: set = set()
        seen_h: set = set()
        for true, made in frames_of(truth, guess)[:-1]:
            if not true or not made:
                objects, misses, false_positives = objects + 1, misses + 1, false_positives + 1
                continue
            true, made = [t for t in true if k in t[2]], [m for m in made if k in m[2]]
            near = {
                (t[0], m[0]): distance(t, m, k) for t in true for m in made if distance(t, m, k) <= 0.5
            }  # fmt: skip
            distances += sum(near.values())
            pairs_now = []
            for t in true:
                h = last_h.get(t[0])
                if (t[0], h) in near and h not in [b for _, b in pairs_now]:
                    pairs_now.append((t[0], h))
            for o, h in pairs_now:
                seen_o.add(o)
                seen_h.add(h)
            free_o = [t[0] for t in true if t[0] not in [a for a, _ in pairs_now]]
            free_h = [m[0] for m in made if m[0] not in [b for _, b in pairs_now]]
            distances += sum(near[pair] for pair in pairs_now)
            matched = len(pairs_now)
            for i, j in zip(
                *linear_sum_assignment([[near.get((o, h), 1000.0) for h in free_h] for o in free_o])
                if free_o and free_h
                else ([], []),
                strict=True,
            ):
                o, h = free_o[i], free_h[j]
                if (o, h) not in near:
                    continue
                matched += 1
                changed = o in last_h and last_h[o] != h
                switches += changed
                times = 1 + (changed and h not in seen_h)
                if h in last_o and last_o[h] != o:
                    times += 1 + (o not in seen_o)
                distances += times * near[o, h]
                last_h[o], last_o[h] = h, o
                seen_o.add(o)
                seen_h.add(h)
            matches += matched
            objects += len(true)
            misses += len(true) - matched
            false_positives += len(made) - matched
    return 100 * (1 - (misses + switches + false_positives) / objects), 100 * (1 - distances / matches)
