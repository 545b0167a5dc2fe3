"""One small smear with every class, laid out once for all tests here."""

from __future__ import annotations

import pytest

from napari_cyto.synthesis import Smear, SmearSpec, lay_out

CROWDED = {"NILM": 220.0, "ASC-US": 40.0, "LSIL": 40.0, "ASC-H": 40.0, "HSIL": 60.0, "SCC": 40.0}


@pytest.fixture(scope="session")
def smear() -> Smear:
    return lay_out(SmearSpec((3000, 2800), seed=7, cells_mm2=CROWDED))
