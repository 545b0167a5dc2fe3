"""Promise: no button shows what only label files say."""

from __future__ import annotations

import pytest

from napari_cyto.domain.classes import CellClass


@pytest.mark.parametrize(
    ("class_id", "name", "label"),
    [
        ("ASC-US", "Atypical squamous cells of undetermined significance (ASC-US)", "ASC-US"),
        ("rubbish", "Artefact / not evaluable", "Artefact"),
        ("bothcells", "Mixed group: healthy and unhealthy cells", "Mixed group"),
        ("koilocyte", "koilocyte", "koilocyte"),
    ],
)
def test_buttons_show_an_abbreviation_or_a_name_never_a_word_of_label_files(
    class_id: str, name: str, label: str
) -> None:
    assert CellClass(class_id, name, "#112233").label == label
