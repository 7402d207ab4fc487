# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A replay's bag as Foxglove and Lichtblick read it: by the mcap library, with the schemas that the file holds."""

import json
from pathlib import Path

import numpy as np
import pytest

from sdtc_ros.io.bag import ANNOTATED_TOPIC, read_poses
from sdtc_ros.messages.foxglove import ANNOTATIONS_TOPIC, LINE_LIST, POINTS
from sdtc_ros.messages.markers import MIN_SCORE
from sdtc_ros.messages.poses import POSES_TOPIC
from sdtc_ros.messages.poses3d import POSES_3D_TOPIC
from tests.replay.test_replay_depth import boxes, make_bag, model, replay  # noqa: F401

LAYOUT = Path(__file__).parents[2] / "config" / "foxglove.json"


@pytest.fixture
def messages(tmp_path, model, boxes):  # noqa: F811
    """Every message of a replay's file by topic, decoded by the schema beside it, and where the bag is."""
    reader = pytest.importorskip("mcap.reader", reason="mcap-ros2-support is not installed here")
    decoder = pytest.importorskip("mcap_ros2.decoder").DecoderFactory()
    out = tmp_path / "out"
    assert replay(make_bag(tmp_path / "tour"), out, model, boxes, "--depth", "--bag-images") == 0
    (path,) = (out / "poses_bag").glob("*.mcap")
    found = {}
    with path.open("rb") as file:
        for schema, channel, record, message in reader.make_reader(
            file, decoder_factories=[decoder]
        ).iter_decoded_messages():
            assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
            found.setdefault(channel.topic, []).append((record.log_time, message))
    return out / "poses_bag", found


def test_every_message_is_read_by_the_schema_in_the_file(messages):
    bag, found = messages
    poses = list(read_poses(bag))
    assert set(found) == {POSES_TOPIC, POSES_3D_TOPIC, ANNOTATIONS_TOPIC, ANNOTATED_TOPIC}
    for topic, records in found.items():
        assert [time for time, _ in records] == [one.stamp for one in poses], topic
    for (_, image), one in zip(found[ANNOTATED_TOPIC], poses, strict=True):
        assert image.header.stamp.sec * 10**9 + image.header.stamp.nanosec == one.stamp
        assert bytes(image.data[:2]) == b"\xff\xd8"  # JPEG


def test_annotations_are_the_poses(messages):
    bag, found = messages
    for (_, message), one in zip(found[ANNOTATIONS_TOPIC], read_poses(bag), strict=True):
        assert len(message.points) == 2 * len(one.track_ids)
        assert [text.text for text in message.texts] == [str(number) for number in one.track_ids]
        for person, (lines, dots) in enumerate(zip(message.points[::2], message.points[1::2], strict=True)):
            seen = one.keypoints[person][one.keypoints[person, :, 2] >= MIN_SCORE]
            assert (lines.type, dots.type) == (LINE_LIST, POINTS)
            assert len(lines.points) == 2 * len(lines.outline_colors)
            np.testing.assert_allclose([(dot.x, dot.y) for dot in dots.points], seen[:, :2] + 0.5, atol=1e-4)


def test_the_layout_shows_topics_that_are_sent():
    layout = json.loads(LAYOUT.read_text(encoding="utf-8"))
    panels = layout["configById"]
    image = panels["Image!poses"]["imageMode"]
    assert image["imageTopic"] == ANNOTATED_TOPIC
    assert list(image["annotations"]) == [ANNOTATIONS_TOPIC]
    assert panels["RawMessages!joints"]["topicPath"] == POSES_3D_TOPIC
    used = json.dumps(layout["layout"])
    assert all(panel in used for panel in panels)
