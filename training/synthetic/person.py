# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A dressed person: one body, what it wears and carries, as a mesh with bones; and where its 15 joints are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdtc_ros.skeleton import POSETRACK
from training.synthetic.bodies import BODY_VERTICES, INFLUENCES, LEFT_EYE, RIGHT_EYE, Bodies
from training.synthetic.clothes import choose_clothes, cloth_of, hair_material, put_in_layers, with_ease
from training.synthetic.garments import Garment
from training.synthetic.materials import EYE, SKIN, Materials, Textures, draw_cloth, draw_colour, reference_shape
from training.synthetic.mesh import Mesh, ellipsoid, make_mesh
from training.synthetic.rig import Rig, make_rig
from training.synthetic.wardrobe import Wardrobe

_EYES = 144  # vertices of both
_RAISED = {"shoulder": 0.031, "hip": 0.035, "knee": 0.021}
_APART = {"shoulder": 0.0125, "hip": 0.022}
"""Where people label joints against the means of vertices, as shares of the way from the hips to the neck: how far
above them (knees: towards the hip), and how far from the middle. Fitted on photographs, through what MoveNet Thunder
answers to both (benchmarks/synthetic_people.py)."""


@dataclass(frozen=True)
class Person:
    """A mesh whose vertices are moved by bones, and the weights that give the joints from its vertices."""

    mesh: Mesh
    rig: Rig
    weights: np.ndarray  # (N, 6) float32
    weight_bones: np.ndarray  # (N, 6) int32
    joint_vertices: np.ndarray  # (S,) vertices that joints are means of
    joint_weights: np.ndarray  # (15, S) float32
    wears: tuple[str, ...]
    child: bool


@dataclass(frozen=True)
class BodyTemplate:
    """What every person's body shares: skin and eyes without helper geometry."""

    chosen: np.ndarray  # (13524,) vertices of the full topology
    faces: np.ndarray  # (F, 3) numbers within `chosen`
    face_uv: np.ndarray  # (F, 3, 2); the eyes' u tells iris from white
    is_eye: np.ndarray  # (F,) bool
    is_arm: np.ndarray  # (13380,) bool
    joint_weights: np.ndarray  # (15, 13524) float32


def body_template(bodies: Bodies) -> BodyTemplate:
    """Made once for a bank of bodies."""
    chosen = np.r_[0:BODY_VERTICES, LEFT_EYE, RIGHT_EYE]
    number = np.full(bodies.vertices.shape[1], -1)
    number[chosen] = np.arange(len(chosen))
    shown = (number[bodies.faces] >= 0).all(axis=1)
    faces, face_uv = bodies.faces[shown], bodies.face_uv[shown].copy()
    shape = reference_shape(bodies)
    for eye in (LEFT_EYE, RIGHT_EYE):  # u: 1 at the pupil, 0 in the white
        front = shape[eye][np.argmin(shape[eye][:, 1])]
        near = np.zeros(len(shape), np.float32)
        near[eye] = np.clip(1.25 - np.linalg.norm(shape[eye] - front, axis=1) / 0.0075, 0, 1)
        of_eye = (faces[:, 0] >= eye.start) & (faces[:, 0] < eye.stop)
        face_uv[of_eye] = np.repeat(near[faces[of_eye]][..., None], 2, axis=-1)
    parts = ("clavicle", "shoulder", "upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    arm_bone = np.array([name.startswith(parts) for name in bodies.bones])
    on_arm = (bodies.weights[:BODY_VERTICES] * arm_bone[bodies.weight_bones[:BODY_VERTICES]]).sum(axis=1)
    joints = np.zeros((len(POSETRACK.joints), len(chosen)), np.float32)
    for joint, name in enumerate(POSETRACK.joints):
        if name in bodies.regressors:
            weight = bodies.regressors[name][chosen]
            joints[joint] = weight / weight.sum()
    joints[POSETRACK.joints.index("head_top"), np.argmax(shape[:BODY_VERTICES, 2])] = 1
    return BodyTemplate(chosen, number[faces], face_uv, faces[:, 0] >= BODY_VERTICES, on_arm > 0.5, joints)


def draw_person(
    random: np.random.Generator, bodies: Bodies, template: BodyTemplate, wardrobe: Wardrobe, textures: Textures
) -> Person:  # fmt: skip
    """Somebody of the bank in clothes of the wardrobe."""
    identity = int(random.integers(len(bodies.vertices)))
    woman, body = bool(bodies.woman[identity]), bodies.vertices[identity]
    rig = make_rig(bodies, identity, random)
    garments = choose_clothes(random, wardrobe, woman)
    skins = np.flatnonzero(textures.skin_of_man != woman)
    skin = int(random.choice(skins))
    materials = Materials()
    materials.add(np.zeros(3), SKIN, specular=random.uniform(0.02, 0.1), gloss=random.uniform(8, 30))
    iris = np.array([[0.25, 0.15, 0.08], [0.1, 0.06, 0.04], [0.2, 0.3, 0.4], [0.2, 0.3, 0.15]])[random.integers(4)]
    materials.add(np.array([[0.75, 0.72, 0.70], iris, [0.01] * 3]), EYE, specular=0.25, gloss=60)
    palette = [draw_colour(random) for _ in range(6)]
    worn: list[tuple[Garment, np.ndarray, np.ndarray]] = []  # with its vertices and the material of its faces
    for garment in garments:
        if garment.kind == "hair":
            hair = hair_material(random, textures, materials, textures.skin_hair[skin])
            face_material = np.full(len(garment.faces), hair)
        else:
            face_material = cloth_of(random, garment, textures, materials, palette)
        worn.append((garment, with_ease(random, garment, garment.fit(body)), face_material))
    put_in_layers(random, worn)
    parts = _Parts()
    shown = ~_covered(garments, template, body, rig)[template.faces].all(axis=1)
    of_body = np.where(template.is_eye, 1, 0)
    of_body = np.where(_at_waist(worn, template, body, rig), _material_of(worn, ("bottom", "skirt")), of_body)
    parts.add(
        body[template.chosen], bodies.weights[template.chosen], bodies.weight_bones[template.chosen],
        template.faces[shown], template.face_uv[shown], of_body[shown],
    )  # fmt: skip
    for garment, vertices, face_material in worn:
        parts.add(vertices, garment.weights, garment.weight_bones, garment.faces, garment.face_uv, face_material)
    if random.random() < 0.2:
        _add_bag(random, parts, rig, body, draw_cloth(random, textures, materials, palette[2]))
    return parts.person(rig, materials, skin, template, tuple(g.name for g in garments), bool(bodies.child[identity]))


class _Parts:
    """Pieces of a person's mesh, put one after another."""

    def __init__(self) -> None:
        self.count = 0
        self.pieces: list[tuple[np.ndarray, ...]] = []

    def add(
        self, vertices: np.ndarray, weights: np.ndarray, bones: np.ndarray, faces: np.ndarray, face_uv: np.ndarray,
        face_material: np.ndarray,
    ) -> None:  # fmt: skip
        self.pieces.append((vertices, weights, bones, faces + self.count, face_uv, face_material))
        self.count += len(vertices)

    def person(
        self, rig: Rig, materials: Materials, skin: int, template: BodyTemplate, wears: tuple[str, ...], child: bool
    ) -> Person:
        """The whole, without vertices that no face and no joint uses."""
        vertices, weights, bones, faces, face_uv, face_material = (
            np.concatenate([piece[i] for piece in self.pieces]) for i in range(6)
        )
        joint_vertices = np.flatnonzero(template.joint_weights.any(axis=0))
        used = np.zeros(len(vertices), bool)
        used[faces.reshape(-1)] = True
        used[joint_vertices] = True
        number = np.cumsum(used) - 1
        mesh = make_mesh(vertices[used], number[faces], face_uv, face_material, materials, skin)
        return Person(
            mesh, rig, np.ascontiguousarray(weights[used], np.float32), np.ascontiguousarray(bones[used], np.int32),
            number[joint_vertices], template.joint_weights[:, joint_vertices], wears, child,
        )  # fmt: skip


def joints_of(person: Person, vertices: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """PoseTrack's 15 joints (15, 3) of moved vertices (N, 3) and bones (B, 3, 3), (B, 3), in the vertices' frame.

    The neck is the middle of two neck bones' beginnings; shoulders, hips and knees are moved to where people label
    them.
    """
    joints = person.joint_weights @ vertices[person.joint_vertices]
    rig, names = person.rig, POSETRACK.joints
    neck = [rig.names.index(bone) for bone in ("neck02", "neck03")]
    place = np.mean([rotation[bone] @ rig.heads[bone] + translation[bone] for bone in neck], axis=0)
    joints[names.index("head_bottom")] = place
    hips = [names.index("left_hip"), names.index("right_hip")]
    torso = place - joints[hips].mean(axis=0)
    length = float(np.linalg.norm(torso))
    for side in ("left", "right"):
        knee, hip = names.index(f"{side}_knee"), names.index(f"{side}_hip")
        thigh = joints[hip] - joints[knee]
        joints[knee] += _RAISED["knee"] * length * thigh / np.linalg.norm(thigh)
    for part, share in _APART.items():
        left, right = (names.index(f"{side}_{part}") for side in ("left", "right"))
        across = (joints[left] - joints[right]) / np.linalg.norm(joints[left] - joints[right])
        joints[[left, right]] += _RAISED[part] * torso + np.outer([1, -1], share * length * across)
    return joints


def _covered(garments: list[Garment], template: BodyTemplate, body: np.ndarray, rig: Rig) -> np.ndarray:
    """Which of the template's vertices clothes hide: tops above the waist and on the arms, bottoms below it."""
    hidden = np.zeros(len(template.chosen), bool)
    waist = rig.heads[rig.names.index("spine04"), 2] + 0.06
    for garment in garments:
        covers = garment.covers
        height, arm = body[covers, 2], template.is_arm[covers]
        if garment.kind == "top":
            covers = covers[(height > waist - 0.04) | arm]
        elif garment.kind == "bottom":
            covers = covers[(height < waist + 0.04) & ~arm]
        hidden[covers] = True
    return hidden


def _at_waist(
    worn: list[tuple[Garment, np.ndarray, np.ndarray]], template: BodyTemplate, body: np.ndarray, rig: Rig
) -> np.ndarray:
    """Which of the template's faces lie from the hips up to a little under a top's hem: they wear the bottom's cloth.

    Garments are cut for other garments; without this, skin shows between a short top and low trousers.
    """
    tops = [vertices[:, 2].min() for garment, vertices, _ in worn if garment.kind == "top"]
    if not tops or not any(garment.kind in ("bottom", "skirt") for garment, _, _ in worn):
        return np.zeros(len(template.faces), bool)
    hip = rig.heads[rig.names.index("upperleg01.L"), 2]
    height = body[template.chosen, 2]
    arm = np.r_[template.is_arm, np.zeros(_EYES, bool)]
    band = (height > hip - 0.10) & (height < max(tops[0] + 0.04, hip + 0.05)) & ~arm
    return band[template.faces].all(axis=1)


def _material_of(worn: list[tuple[Garment, np.ndarray, np.ndarray]], kinds: tuple[str, ...]) -> int:
    """The material that the first garment of these kinds has most of; 0, the skin, where there is none."""
    for garment, _, face_material in worn:
        if garment.kind in kinds:
            return int(np.bincount(face_material).argmax())
    return 0


def _add_bag(random: np.random.Generator, parts: _Parts, rig: Rig, body: np.ndarray, material: int) -> None:
    """A rucksack on the back or a bag at the hip."""
    skin = body[:BODY_VERTICES]
    spine, root = rig.names.index("spine01"), rig.names.index("root")
    size = float(np.ptp(skin[:, 2])) / 1.75
    if random.random() < 0.5:
        height = rig.heads[spine, 2] - 0.08 * size
        near = (np.abs(skin[:, 0]) < 0.05 * size) & (np.abs(skin[:, 2] - height) < 0.06 * size)
        centre = np.array([0, skin[near, 1].max() + 0.075 * size, height])
        radii, bone = np.array([0.15, 0.085, 0.21]) * size * random.uniform(0.8, 1.2, 3), spine
    else:
        hip = abs(rig.heads[rig.names.index("upperleg01.L"), 0]) * 2 + 0.055 * size
        centre = np.array([random.choice([-1, 1]) * hip, 0.02, rig.heads[root, 2] + random.uniform(-0.08, 0.12)])
        radii, bone = np.array([0.06, 0.16, 0.12]) * size * random.uniform(0.7, 1.2, 3), root
    vertices, faces, uv = ellipsoid(centre, radii, random.uniform(0.3, 0.6))
    weights = np.zeros((len(vertices), INFLUENCES), np.float32)
    weights[:, 0] = 1
    bones = np.full((len(vertices), INFLUENCES), bone, np.int32)
    parts.add(vertices.astype(np.float32), weights, bones, faces, uv, np.full(len(faces), material))
