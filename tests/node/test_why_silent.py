# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Why a camera is silent, asked of a graph that is counted on: a busy robot's other topics must cost nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sdtc_ros.node.health.watchdog import why_silent

IMAGE, PACKED, OTHER = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "std_msgs/msg/String"
Image = type("Image", (), {"__module__": "sensor_msgs.msg._image"})
OURS = "/sdtc/image_annotated"


class Graph:
    """A node, as far as `why_silent` knows one; `asked` has every topic whose publishers it asked for."""

    def __init__(self, topics: dict[str, str]) -> None:
        self.topics, self.asked = topics, list[str]()

    def get_name(self) -> str:
        return "sdtc_pose"

    def get_namespace(self) -> str:
        return "/"

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        return [(name, [kind]) for name, kind in self.topics.items()]

    def get_publishers_info_by_topic(self, topic: str) -> list[SimpleNamespace]:
        self.asked.append(topic)
        name = self.get_name() if topic == OURS else "driver"
        info = SimpleNamespace(node_name=name, node_namespace="/", topic_type=self.topics.get(topic))
        return [info] if topic in self.topics else []


def ask(graph: Graph, topic: str = "/camera/image") -> str:
    return why_silent(graph, SimpleNamespace(topic_name=topic, msg_type=Image))


@pytest.mark.parametrize(
    ("carried", "sentence", "asked"),
    [
        ({}, f"no topic of the type {IMAGE} is published", []),
        ({"/rear/image": IMAGE, "/front/image": IMAGE}, f"{IMAGE} is published on /front/image, /rear/image", None),
        ({OURS: IMAGE}, f"no topic of the type {IMAGE} is published", [OURS]),
        (
            {"/camera/image/compressed": PACKED, "/rear/image": IMAGE},
            "/camera/image/compressed is there: set transport to compressed",
            ["/camera/image/compressed"],
        ),
    ],
)
def test_other_topics_publishers_are_not_asked_for(carried: dict, sentence: str, asked: list | None) -> None:
    graph = Graph({f"/topic_{number}": OTHER for number in range(400)} | carried)
    assert ask(graph) == f"nobody publishes on /camera/image; {sentence}"
    assert sorted(graph.asked) == sorted(["/camera/image", *(carried if asked is None else asked)])


def test_the_raw_topic_beside_a_compressed_one_is_named() -> None:
    assert ask(Graph({"/camera/image": IMAGE}), "/camera/image/compressed") == (
        "nobody publishes on /camera/image/compressed; /camera/image is there: set transport to raw"
    )
