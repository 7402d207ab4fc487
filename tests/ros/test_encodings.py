# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Our conversion of images against cv_bridge's, pixel for pixel, for every encoding name that ROS has.

cv_bridge is the oracle here and no dependency of the package; where this installation has none, the test is skipped.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from sdtc_ros.messages.encodings import ENCODINGS

COMPARE = '''
import json, re, sys
import cv2
import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image
from sdtc_ros.errors import InputError
from sdtc_ros.messages.images import frame_of_message

HEIGHT, WIDTH = 24, 36
bridge, rng = CvBridge(), np.random.default_rng(3)

def outcome(theirs, ours):
    """'equal', how many samples differ, or which side refuses, with its reason."""
    answers, reasons = [], []
    for convert, refusal in ((theirs, (CvBridgeError, RuntimeError, cv2.error, TypeError)), (ours, InputError)):
        try:
            answers.append(convert())
            reasons.append("")
        except refusal as error:
            answers.append(None)
            reasons.append(str(error))
    if answers[0] is not None and answers[1] is not None:
        wrong = answers[0].shape != answers[1].shape or int((answers[0] != answers[1]).sum())
        return "equal" if wrong == 0 else f"{wrong} samples differ"
    sides = [name for name, answer in zip(("cv_bridge", "ours"), answers) if answer is None]
    return f"refused by {' and '.join(sides)}: {reasons[1] or reasons[0]}"

def raw(encoding, padding, big):
    bits = int((re.search("(8|16|32|64)", encoding.replace("422", "").replace("yuy2", "")) or [8])[0])
    numbers = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "yuv422": 2, "yuv422_yuy2": 2, "uyvy": 2, "yuyv": 2}
    channels = numbers.get(encoding.removesuffix("16").removesuffix("8"), 1)
    if plain := re.fullmatch(r"\\d+[USF]C(\\d+)", encoding):
        channels = int(plain[1])
    sample = bits // 8
    step = (WIDTH + padding) * channels * sample  # cv_bridge's Python takes whole pixels of padding only
    planes = 3 if encoding.startswith("nv") else 1
    data = rng.integers(0, 256, step * HEIGHT * planes, np.uint8).reshape(-1, sample)
    messages = [Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step) for _ in range(2)]
    messages[0].data = data.tobytes()
    # the same samples in the byte order asked for; cv_bridge gets them in ours: its own swap fails under NumPy 2
    messages[1].data, messages[1].is_bigendian = (data[:, ::-1] if big else data).tobytes(), int(big)
    return messages

told = {}
for encoding in json.loads(sys.argv[1]):
    for padding in (0, 5):
        for big in (False, True):
            theirs, ours = raw(encoding, padding, big)
            told.setdefault(encoding, []).append(outcome(
                lambda: bridge.imgmsg_to_cv2(theirs, "bgr8"), lambda: frame_of_message(ours, 0).image
            ))

picture = cv2.resize(rng.integers(0, 256, (6, 9, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
compressed = {}
for fmt in json.loads(sys.argv[2]):
    message = CompressedImage(format=fmt)
    pixels = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if fmt.startswith("mono8") else picture
    message.data = cv2.imencode(".png" if "png" in fmt else ".jpg", pixels)[1].tobytes()
    grey = (lambda image: image) if pixels.ndim == 3 else (lambda image: cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    theirs = lambda: grey(bridge.compressed_imgmsg_to_cv2(message, "passthrough"))
    compressed[fmt] = outcome(theirs, lambda: frame_of_message(message, 0).image)
print(json.dumps([told, compressed]))
'''
# of the colour encodings, the ones that Jazzy's cv_bridge has no conversion for
UNKNOWN_TO_CV_BRIDGE = {"uyvy", "yuyv", "nv21", "nv24"}
TAKEN_AS_COLOURS = {"8UC1", "8UC3", "8UC4"}  # cv_bridge finds no colour meaning in them; drivers do
FORMATS = [
    "jpeg", "jpg", "png", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8", "rgba8; jpeg compressed bgr8",
    "yuv422_yuy2; jpeg compressed bgr8", "bayer_rggb8; jpeg compressed bgr8", "mono8; jpeg compressed mono8",
    "mono8; jpeg compressed ", "bgr8; png compressed bgr8", "rgb8; png compressed bgr8", "mono8; png compressed ",
]  # fmt: skip


def encodings_of_ros(environment: dict[str, str]) -> list[str]:
    """Every encoding name of this installation's sensor_msgs/image_encodings.hpp."""
    for prefix in environment["AMENT_PREFIX_PATH"].split(":"):
        for header in Path(prefix, "include").rglob("image_encodings.hpp"):
            return re.findall(r'^const char \w+\[\] = "(\w+)";', header.read_text(), re.MULTILINE)
    pytest.skip("sensor_msgs/image_encodings.hpp is not installed")


def test_every_encoding_is_what_cv_bridge_makes_of_it(ros) -> None:
    if ros.run(sys.executable, "-c", "import cv_bridge.boost.cv_bridge_boost").returncode:
        pytest.skip("cv_bridge is not installed, or not for this NumPy")
    names = encodings_of_ros(ros.env)
    done = ros.run(sys.executable, "-c", COMPARE, json.dumps(names), json.dumps(FORMATS))
    assert done.returncode == 0, done.stdout
    raw, compressed = json.loads(done.stdout.splitlines()[-1])
    assert set(ENCODINGS) <= {*names, "nv12"}
    plain = {name for name in names if re.fullmatch(r"\d+[USF]C\d", name)} - TAKEN_AS_COLOURS
    for name in names:
        if name in plain:
            assert all("refused by cv_bridge and ours" in told for told in raw[name]), (name, raw[name])
            assert all("holds plain numbers" in told for told in raw[name])
        elif name in UNKNOWN_TO_CV_BRIDGE | TAKEN_AS_COLOURS:
            assert not any("ours" in told or "differ" in told for told in raw[name]), (name, raw[name])
        else:
            assert raw[name] == ["equal"] * 4, name
    assert compressed == dict.fromkeys(FORMATS, "equal")
