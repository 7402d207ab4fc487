# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.messages.depth import depth_of_message

MILLIMETRES = np.array([[0, 1000, 2500], [65535, 1, 400]], np.uint16)


def image(values, encoding, step=0, big=False):
    height, width = values.shape
    rows = [row.tobytes() + b"\xff" * (max(step - row.nbytes, 0)) for row in values]
    return SimpleNamespace(
        encoding=encoding, height=height, width=width, step=step or values[0].nbytes, is_bigendian=big,
        data=b"".join(rows),
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("step", [0, 10])
@pytest.mark.parametrize("big", [False, True])
def test_millimetres_of_any_byte_order_and_padding(encoding, step, big):
    values = MILLIMETRES.astype(">u2" if big else "<u2")
    np.testing.assert_allclose(depth_of_message(image(values, encoding, step, big)), MILLIMETRES / 1000, rtol=1e-6)


def test_metres_with_nothing_known_as_zero():
    values = np.array([[np.nan, 1.5], [np.inf, -1.0]], np.float32)
    assert depth_of_message(image(values, "32FC1")).tolist() == [[0, 1.5], [0, 0]]


def compressed(values, form, scale=0.0, shift=0.0):
    data = struct.pack("<iff", 0, scale, shift) + cv2.imencode(".png", values)[1].tobytes()
    return SimpleNamespace(format=form, data=data)


def test_compressed_millimetres():
    got = depth_of_message(compressed(MILLIMETRES, "16UC1; compressedDepth png"))
    np.testing.assert_allclose(got, MILLIMETRES / 1000, rtol=1e-6)


def test_compressed_metres_are_quantised_inverse_depth():
    depth = np.array([[0.8, 2.0], [4.0, 0.0]])
    scale, shift = 100 * (100 + 1) / 1.0, 1 - 10100 / 10.0  # as the transport makes them: quantisation 100, 10 m
    with np.errstate(divide="ignore"):
        values = np.where(depth > 0, scale / depth + shift, 0).astype(np.uint16)
    got = depth_of_message(compressed(values, "32FC1; compressedDepth png", scale, shift))
    np.testing.assert_allclose(got, depth, rtol=5e-3)
    assert got[1, 1] == 0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (image(np.zeros((2, 2, 3), np.uint8)[..., 0], "bgr8"), "bgr8"),
        (SimpleNamespace(**{**vars(image(MILLIMETRES, "16UC1")), "data": b"12"}), "2 bytes"),
        (SimpleNamespace(format="16UC1; compressedDepth png", data=b"123"), "cut short"),
        (SimpleNamespace(format="16UC1; compressedDepth png", data=bytes(40)), "does not decode"),
        (SimpleNamespace(format="16UC1; compressedDepth rvl", data=bytes(40)), "png"),
        (SimpleNamespace(format="jpeg", data=bytes(40)), "jpeg"),
    ],
)
def test_what_is_no_depth_is_said(message, words):
    with pytest.raises(InputError, match=words):
        depth_of_message(message)
