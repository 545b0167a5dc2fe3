"""Promise: what is exported with images is read, whole and in its sets, by programs that other people train with.

Each test gets along with what the export wrote; the documentation says what a program needs besides its folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_set_samples import NAMES, make_project_to_export

from napari_cyto.datasets import ImageExportOptions, export
from napari_cyto.formats.image_sets import SPLITS
from napari_cyto.jobs.events import Done

pytestmark = pytest.mark.filterwarnings("ignore")
OPTIONS = ImageExportOptions(images="tiles", tile_px=128, empty_share=0.3)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One project in the three formats: nine slides of five patients, tiles with and without cells."""
    place = tmp_path_factory.mktemp("sets")
    project = make_project_to_export(place)
    for name in NAMES:
        *_, last = export(name, project, place / name, OPTIONS)
        assert isinstance(last, Done), last
    return {name: place / name for name in NAMES}


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "napari-cyto-export.json").read_text(encoding="utf-8"))


def expected(folder: Path) -> dict[str, tuple[int, Counter[str]]]:
    """Images, and boxes by class, of each set, as the export's own record has them."""
    said = record(folder)
    return {split: (said["images"][split], Counter(said["boxes"][split])) for split in SPLITS}


def test_the_sets_are_worth_reading(sets: dict[str, Path]) -> None:
    for folder in sets.values():
        assert all(images and boxes for images, boxes in expected(folder).values())
        assert record(folder)["counts"]["empty"]


def test_pycocotools(sets: dict[str, Path]) -> None:
    from pycocotools.coco import COCO

    for split, (images, boxes) in expected(sets["coco"]).items():
        coco = COCO(str(sets["coco"] / "annotations" / f"instances_{split}.json"))
        assert len(coco.imgs) == images
        names = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
        assert Counter(names[a["category_id"]] for a in coco.anns.values()) == boxes
        for each in coco.anns.values():
            mask = coco.annToMask(each)
            assert abs(int(mask.sum()) - each["area"]) <= 0.25 * each["area"] + 30
        for image in coco.imgs.values():
            assert (sets["coco"] / "images" / split / image["file_name"]).is_file()


def of_supervision(found: Any) -> tuple[int, Counter[str]]:
    boxes = Counter(found.classes[n] for _, _, cells in found for n in cells.class_id)
    assert all(image.shape == (128, 128, 3) for _, image, _ in found)
    return len(found), boxes


def test_supervision(sets: dict[str, Path]) -> None:
    from supervision import DetectionDataset

    for split, expected_boxes in expected(sets["coco"]).items():
        coco, yolo, voc = sets["coco"], sets["yolo"], sets["voc"]
        labels = coco / "annotations" / f"instances_{split}.json"
        assert of_supervision(DetectionDataset.from_coco(str(coco / "images" / split), str(labels))) == expected_boxes
        places = (yolo / "images" / split, yolo / "labels" / split, yolo / "data.yaml")
        assert of_supervision(DetectionDataset.from_yolo(*map(str, places))) == expected_boxes
        # It knows nothing of VOC's lists, and takes them together.
    found = DetectionDataset.from_pascal_voc(str(voc / "JPEGImages"), str(voc / "Annotations"))
    every = list(expected(voc).values())
    assert of_supervision(found) == (sum(n for n, _ in every), sum((boxes for _, boxes in every), Counter()))


def of_globox(found: Any) -> tuple[int, Counter[str]]:
    return len(found), Counter(box.label for image in found for box in image.boxes)


def test_globox(sets: dict[str, Path]) -> None:
    from globox import AnnotationSet

    for split, expected_boxes in expected(sets["coco"]).items():
        coco = AnnotationSet.from_coco(sets["coco"] / "annotations" / f"instances_{split}.json")
        assert of_globox(coco) == expected_boxes
        yolo = sets["yolo"]
        numbers = AnnotationSet.from_yolo_v5(
            yolo / "labels" / split, image_folder=yolo / "images" / split, image_extension=".png"
        )
        names = {str(n): name for n, name in enumerate(classes_of(yolo))}
        images, boxes = of_globox(numbers)
        assert (images, Counter({names[n]: count for n, count in boxes.items()})) == expected_boxes
        for image in numbers:
            same = sorted(box.ltrb for box in coco[image.image_id].boxes)
            assert np.allclose(sorted(box.ltrb for box in image.boxes), same, atol=1e-3)
    voc = of_globox(AnnotationSet.from_pascal_voc(sets["voc"] / "Annotations"))
    every = list(expected(sets["voc"]).values())
    assert voc == (sum(n for n, _ in every), sum((boxes for _, boxes in every), Counter()))


def classes_of(folder: Path) -> list[str]:
    import yaml

    return list(yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))["names"].values())


@pytest.mark.parametrize(("name", "called"), [("coco", "coco_instances"), ("yolo", "yolo"), ("voc", "voc_detection")])
def test_datumaro(sets: dict[str, Path], name: str, called: str) -> None:
    from datumaro import Dataset

    found = Dataset.import_from(str(sets[name]), format=called)
    names = [label.name for label in next(iter(found.categories().values()))]
    counted = {split: (0, Counter[str]()) for split in SPLITS}
    for item in found:
        assert item.media.data.shape[:2] == (128, 128)
        images, boxes = counted[item.subset]
        # It reads a cell with an outline as that, and a box otherwise.
        boxes.update(names[each.label] for each in cells_of(item))
        counted[item.subset] = (images + 1, boxes)
    assert counted == expected(sets[name])


def cells_of(item: Any) -> Iterator[Any]:
    """The annotations of an item, each cell once: some are there both as a box and as an outline."""
    groups = {}
    for each in item.annotations:
        groups[each.group or ("alone", each.id, id(each))] = each
    yield from groups.values()
