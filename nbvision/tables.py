"""Boxes and points as rows that other tools read."""

from collections.abc import Sequence
from typing import Any

from nbvision.errors import RequestError
from nbvision.geometry import Box, Point

__all__ = ["coco_annotations", "pandas", "rows_of_places"]

_EDGES = ("left", "top", "right", "bottom")
_VISIBLE = 2


def coco_annotations(boxes: Sequence[Box], points: Sequence[Point] = ()) -> list[dict[str, Any]]:
    """Return boxes and points as COCO annotations; labels become categories in order.

    A point is an annotation of one visible keypoint, whose ``bbox`` has no extent.

    Examples
    --------
    >>> coco_annotations([], [Point(3, 4, "tip")])[0]["keypoints"]
    [3, 4, 2]
    """
    shapes: list[tuple[str, dict[str, Any]]] = [
        (box.label, {"bbox": [box.left, box.top, box.width, box.height], "area": box.area})
        for box in boxes
    ]
    for point in points:
        spot = {"keypoints": [point.x, point.y, _VISIBLE], "num_keypoints": 1}
        shapes.append((point.label, {"bbox": [point.x, point.y, 0, 0], "area": 0} | spot))
    labels = list(dict.fromkeys(label for label, _ in shapes))
    return [
        {
            "id": number,
            "image_id": 1,
            "category_id": labels.index(label) + 1,
            "category": label,
            **shape,
            "iscrowd": 0,
        }
        for number, (label, shape) in enumerate(shapes, start=1)
    ]


def rows_of_places(boxes: Sequence[Box], points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return a row for each box with its edges, and for each point with its x and y.

    Where there are both, a box has the x and y of its middle too.

    Examples
    --------
    >>> rows_of_places([], [Point(3, 4, "tip")])
    [{'label': 'tip', 'x': 3, 'y': 4}]
    """
    rows: list[dict[str, Any]] = []
    for box in boxes:
        rows.append({"label": box.label, **dict(zip(_EDGES, box.xyxy, strict=True))})
        if points:
            rows[-1] |= {"x": (box.left + box.right) / 2, "y": (box.top + box.bottom) / 2}
    return rows + [{"label": point.label, "x": point.x, "y": point.y} for point in points]


def pandas() -> Any:
    """Return the package pandas.

    Raises
    ------
    RequestError
        If it is not installed.

    Examples
    --------
    >>> pandas().__name__
    'pandas'
    """
    try:
        import pandas as pd
    except ImportError:
        raise RequestError(
            "pandas is not installed", cure='pip install "nbvision[frame]"'
        ) from None
    return pd
