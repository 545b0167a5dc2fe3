"""Which column of a table of points says what: tables name the same things in many ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from napari_cyto.domain.image_names import image_suffix
from napari_cyto.formats.tables import picked

X = ("x", "x_center", "x_centre", "x_px", "center_x", "centre_x", "centroid_x", "cx", "nucleus_x")
Y = ("y", "y_center", "y_centre", "y_px", "center_y", "centre_y", "centroid_y", "cy", "nucleus_y")
X_CORNER = ("bx", "x_min", "xmin", "x_left", "left", "x0", "bbox_x", "x_topleft", "x_top_left", "topleft_x")
Y_CORNER = ("by", "y_min", "ymin", "y_top", "top", "y0", "bbox_y", "y_topleft", "y_top_left", "topleft_y")
X_FAR = ("xmax", "x_max", "x1", "x_right", "right")
Y_FAR = ("ymax", "y_max", "y1", "y_bottom", "bottom")
WIDTH = ("width", "w", "box_width", "bbox_width", "bbox_w", "cell_width")
HEIGHT = ("height", "h", "box_height", "bbox_height", "bbox_h", "cell_height")
IMAGE_WIDTH = ("image_width", "img_width", "imagewidth", "im_width", "width_image", "slide_width", "original_width")
IMAGE_HEIGHT = (
    "image_height", "img_height", "imageheight", "im_height", "height_image", "slide_height", "original_height"
)  # fmt: skip
CLASS = (
    "class_name", "classname", "class_label", "label_name", "category_name", "bethesda_system", "bethesda", "label",
    "class", "category", "diagnosis", "class_id", "category_id",
)  # fmt: skip
IMAGE = (
    "image", "slide", "file", "filename", "file_name", "image_filename", "image_name", "imagename", "image_file",
    "image_path", "filepath", "file_path", "slide_name",
)  # fmt: skip
OWN = frozenset(
    {"x", "y", "label", "image", "width", "height", "score", "status", "author", "note", "id", "image_fingerprint"}
)
"""The columns that this program writes, for which x, y is the middle of a box of width and height."""

_IMAGEJ = frozenset({"xm", "ym", "mean", "intden", "%area", "rawintden", "counter", "count", "slice", "frame"})
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?")


@dataclass(frozen=True)
class Columns:
    """The columns of one table, by what they say; an empty name where there is none.

    Parameters
    ----------
    x, y : str
        The position, level-0 px.
    is_corner : bool
        Whether by their names the position is the top-left corner of a box.
    x_far, y_far : str
        The opposite corner, which a box then ends at; the size is that of the image.
    width, height : str
        The size that goes with it.
    image_width, image_height : str
        The size of the image, by their names.
    class_name : str
        The class.
    image : str
        The image or slide.
    is_own : bool
        Whether this program wrote the table.
    is_imagej : bool
        Whether it is a table of ImageJ's results, which has no classes; what it calls Label names the image.
    unused_classes : tuple of str
        Further columns that might have named the class.
    """

    x: str
    y: str
    is_corner: bool = False
    x_far: str = ""
    y_far: str = ""
    width: str = ""
    height: str = ""
    image_width: str = ""
    image_height: str = ""
    class_name: str = ""
    image: str = ""
    is_own: bool = False
    is_imagej: bool = False
    unused_classes: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold positions and sizes."""
        sizes = (self.width, self.height, self.image_width, self.image_height)
        return tuple(name for name in (self.x, self.y, self.x_far, self.y_far, *sizes) if name)


@dataclass
class ColumnValues:
    """What the columns hold that might name the class or the image, collected row by row."""

    numeric: dict[str, bool] = field(default_factory=dict)
    images: dict[str, bool] = field(default_factory=dict)

    def add(self, row: Mapping[str, str]) -> None:
        """Take a row into account."""
        for name in CLASS:
            value = row.get(name, "").strip()
            if value:
                self.numeric[name] = self.numeric.get(name, True) and _NUMBER.fullmatch(value) is not None
                self.images[name] = self.images.get(name, True) and _is_image(value)


def _is_image(value: str) -> bool:
    # ImageJ appends stack position and point to the file's name: a.tif:0001-0234.
    return bool(image_suffix(value.partition(":")[0]))


def find_columns(header: Iterable[str], values: ColumnValues) -> Columns:
    """Return what the columns of a table mean.

    Of several columns that name a class, names go before numbers, else in the order of ``CLASS``.

    Parameters
    ----------
    header : iterable of str
        The columns' names in lower case.
    values : ColumnValues
        What they hold.
    """
    there = list(header)
    is_imagej = len(_IMAGEJ.intersection(there)) >= 2
    size, image_size = (
        (_first(there, WIDTH), _first(there, HEIGHT)),
        (_first(there, IMAGE_WIDTH), _first(there, IMAGE_HEIGHT)),
    )
    corner, far = (_first(there, X_CORNER), _first(there, Y_CORNER)), (_first(there, X_FAR), _first(there, Y_FAR))
    middle = (_first(there, X), _first(there, Y))
    from_corners = all(corner) and all(far)
    # ImageJ's X, Y is the centroid, which is not the middle of its bounding box.
    is_corner = from_corners or (all(corner) and all(size) and (is_imagej or not all(middle)))
    if from_corners:
        size, image_size = ("", ""), image_size if all(image_size) else size
    filled = [name for name in CLASS if name in values.numeric and not values.images[name]]
    classes = sorted(filled, key=lambda name: values.numeric[name])
    image = _first(there, IMAGE) or next((name for name in CLASS if values.images.get(name)), "")
    return Columns(
        x=corner[0] if is_corner else middle[0],
        y=corner[1] if is_corner else middle[1],
        is_corner=is_corner,
        x_far=far[0] if from_corners else "",
        y_far=far[1] if from_corners else "",
        width=size[0],
        height=size[1],
        image_width=image_size[0],
        image_height=image_size[1],
        class_name=next(iter(classes), ""),
        image=image,
        is_own={"status", "author", "id"} <= set(there) <= OWN,
        is_imagej=is_imagej,
        unused_classes=tuple(classes[1:]),
    )


def _first(there: Sequence[str], names: Sequence[str]) -> str:
    return next((name for name in names if name in there), "")


def class_of(row: Mapping[str, str], columns: Columns) -> str:
    """Return the text that names a row's class, empty where there is none."""
    return picked(row, (columns.class_name,)) if columns.class_name else ""
