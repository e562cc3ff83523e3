"""Boxes on images, as COCO, YOLO, Pascal VOC and LabelMe write them down: one file a format."""

from ridgepoint.data.boxes.annotations import Annotations, Marked, Picture
from ridgepoint.data.boxes.finding import find_annotations

__all__ = ["Annotations", "Marked", "Picture", "find_annotations"]
