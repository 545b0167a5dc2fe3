"""Promise: the process beside the window outlines what lies under clicks, and drops a click for a newer one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_cyto.inference.orders import Answer, Order
from napari_cyto.inference.outline.clicks import ClickedCell, ClickRequest, ClicksAnswered
from napari_cyto.inference.server import Child
from napari_cyto.jobs.events import Cancelled, Done, Failed, Measured
from napari_cyto.slides import fingerprint


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    y, x = np.mgrid[:400, :400]
    cells = np.full((400, 400, 3), 235.0)
    for cy, cx in ((120, 130), (280, 260)):
        away = np.hypot(y - cy, x - cx)
        cells[away < 70] = (190, 205, 215)
        cells[away < 18] = (70, 60, 110)
    place = tmp_path_factory.mktemp("smear") / "smear.png"
    Image.fromarray(ndimage.gaussian_filter(cells, (1, 1, 0)).astype(np.uint8)).save(place)
    return place


def ask(slide: Path, *clicks, generation: int = 1, **more) -> Order:
    values = {"slide": slide, "clicks_yx": clicks, "mpp": 0.25, "model": "watershed", "generation": generation}
    return Order("outline", clicks=ClickRequest(**(values | more)))


def answers_to(*orders: Order) -> list[Answer]:
    """What the process says to orders, which it has all got before it obeys the first."""
    said: list[Answer] = []
    is_done = threading.Event()

    def lines() -> Iterator[bytes]:
        yield from (json.dumps(o.to_json()).encode() + b"\n" for o in orders)
        assert is_done.wait(60)

    def say(answer: Answer) -> None:
        heard = Answer.from_json(json.loads(json.dumps(answer.to_json())))
        said.append(heard)
        if heard.generation == orders[-1].clicks.generation and isinstance(heard.event, Done | Failed):
            is_done.set()

    Child(lines(), say).serve()
    return said


def test_each_click_is_answered_by_its_rings_and_the_method_is_named(smear: Path) -> None:
    *cells, last = answers_to(ask(smear, (120, 130), (280, 260), fingerprint=fingerprint(smear)))
    assert isinstance(last.event, Done)
    assert ClicksAnswered(**last.event.result) == ClicksAnswered("watershed")
    assert all(isinstance(a.event, Measured) and a.generation == 1 for a in cells)
    for number, answer in enumerate(cells):
        values = answer.event.values
        assert values["number"] == number
        assert np.ptp(np.array(values["nucleus_yx"]), axis=0) == pytest.approx((36, 36), abs=5)
        assert np.ptp(np.array(values["cytoplasm_yx"]), axis=0) == pytest.approx((140, 140), abs=12)
        assert values["score"] > 0.5
        assert not values["is_damaged"]
        assert ClickedCell(**values).number == number


def test_an_older_click_gives_way_and_no_click_only_loads(smear: Path) -> None:
    said = answers_to(ask(smear, (120, 130), generation=1), ask(smear, (280, 260), generation=2))
    assert [a.generation for a in said if isinstance(a.event, Measured)] == [2]
    assert [a.generation for a in said if isinstance(a.event, Cancelled)] == [1]
    assert [type(a.event) for a in answers_to(ask(smear))] == [Done]


def test_what_cannot_be_outlined_is_a_sentence(smear: Path) -> None:
    for order, words in (
        (ask(smear, (500, 10)), "points on the image"),
        (ask(smear.with_name("gone.png"), (1, 1)), "gone.png"),
        (ask(smear, (120, 130), fingerprint="0" * 32 + "-" + "0" * 32), "not the slide that was annotated"),
        (ask(smear, (120, 130), model="none such"), "none such"),
    ):
        (answer,) = answers_to(order)
        assert isinstance(answer.event, Failed)
        assert words in answer.event.message
