# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which category of a COCO-like file are people, whatever its place in the list and however a tool numbers it."""

from __future__ import annotations

from typing import Any

from sdtc_ros.errors import InputError

_PEOPLE = ("person", "people", "pedestrian", "human")


def listed_categories(data: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """The file's categories ([] where it has none); raises InputError where they are no list of objects."""
    categories = data.get("categories") or []
    if not isinstance(categories, list) or not all(isinstance(category, dict) for category in categories):
        raise InputError(f"{where}: 'categories' must be a list of objects")
    for category in categories:
        if not isinstance(category.get("id"), (int, float, str, type(None))):
            raise InputError(f"{where}: a category's 'id' must be a number or a text, not {category['id']!r:.40}")
    return categories


def category_of(row: dict[str, Any]) -> int | float | str | None:
    """The category id of an annotation or a box; None where it has none, or nothing that could be one."""
    identity = row.get("category_id")
    return identity if isinstance(identity, (int, float, str)) else None


def is_people(category: dict[str, Any]) -> bool:
    """Whether its name is one for people."""
    return str(category.get("name", "")).strip().lower() in _PEOPLE


def people_among(ids: set[int], where: str) -> int:
    """Which of the category ids of a list of boxes without names stands for people: COCO's 1, else YOLO's 0.

    Raises InputError where that would be guessed.
    """
    if 1 in ids and 0 not in ids:
        return 1
    if 0 in ids and 1 not in ids:
        return 0
    shown = ", ".join(str(i) for i in sorted(ids)[:6])
    raise InputError(
        f"{where}: which boxes are people? The 'category_id's are {shown}; people are 1 (COCO) or "
        "0 (YOLO): keep only their boxes, or remove 'category_id'"
    )
