"""Guards the outline network: what it learns on, that it learns, and that the one that ships beats the watershed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from napari_cyto.errors import CytoError
from napari_cyto.inference.outline.outlines import (
    SHIPPED,
    NetworkOutlines,
    Watershed,
    dice,
    mask_of,
    outline_method,
    outlines_at,
)
from napari_cyto.models.finite_outputs import try_network
from napari_cyto.models.library import bundle_named
from napari_cyto.models.registry import build
from napari_cyto.synthesis.outlined_fields import OutlinedField, make_field
from napari_cyto.training.outline._fit import FitSettings, fit, outline_loss
from napari_cyto.training.outline._samples import OutlineSamples
from napari_cyto.training.outline.agreed_nuclei import agreed_nuclei

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def field() -> OutlinedField:
    return make_field(20_001, 1400, variety=0.5)


@pytest.fixture(scope="module")
def shipped() -> NetworkOutlines:
    return NetworkOutlines(bundle_named(SHIPPED))


def nuclei(field: OutlinedField) -> list[tuple[np.ndarray, np.ndarray, tuple[float, float]]]:
    """Return masks of nucleus and cell, and the nucleus's middle, of cells that lie free enough."""
    found = []
    for cell in field.cells:
        nucleus, body = (m.on(0, 0, *field.rgb.shape[:2]) for m in (cell.nuclei[0], cell.cell))
        if cell.overlap <= 0.3 and nucleus.sum() == cell.nuclei[0].mask.sum():
            ys, xs = np.nonzero(nucleus)
            found.append((nucleus, body | nucleus, (ys.mean() + 0.5, xs.mean() + 0.5)))
    return found


@pytest.mark.parametrize("known", [True, False])
def test_the_shipped_network_outlines_nuclei_and_cells_it_never_saw(
    field: OutlinedField, shipped: NetworkOutlines, known: bool
) -> None:
    cells = nuclei(field)
    assert len(cells) >= 8
    found = list(outlines_at(field.rgb, [c[2] for c in cells], field.mpp if known else None, shipped))
    size = field.rgb.shape[:2]
    of_nuclei = [dice(mask_of(f.nucleus_yx, size), c[0]) for f, c in zip(found, cells, strict=True)]
    of_cells = [dice(mask_of(f.cytoplasm_yx, size), c[1]) for f, c in zip(found, cells, strict=True)]
    assert np.mean(of_nuclei) > (0.95 if known else 0.9)
    assert np.mean(of_cells) > 0.85
    assert all(0 < f.score <= 1 for f in found)
    if known:
        floor = outlines_at(field.rgb, [c[2] for c in cells], field.mpp, Watershed())
        assert np.mean([dice(mask_of(f.nucleus_yx, size), c[0]) for f, c in zip(floor, cells, strict=True)]) < np.mean(
            of_nuclei
        )


def test_crops_show_the_nucleus_under_the_click_where_their_masks_say(field: OutlinedField) -> None:
    samples, rng = OutlineSamples([field], 96), np.random.default_rng(1)
    fills = []
    for _ in range(40):
        inputs, truth = samples.draw(rng, plain=True)
        assert inputs.shape == (4, 96, 96)
        assert truth.shape == (2, 96, 96)
        y, x = np.unravel_index(inputs[3].argmax(), (96, 96))
        assert truth[0, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any()
        assert (truth[1] >= truth[0]).all()
        fills.append(2 * np.sqrt(truth[0].sum() / np.pi) / 96)
    assert min(fills) < 0.3
    assert max(fills) > 0.5
    # As a process that is started anew is given them.
    assert len(pickle.loads(pickle.dumps(samples)).places) == len(samples.places)
    for _ in range(60):
        inputs, _ = samples.draw(rng)
        assert np.isfinite(inputs).all()
        assert inputs.min() >= 0
        assert inputs.max() <= 1


def test_a_few_steps_lower_the_loss(field: OutlinedField) -> None:
    samples = OutlineSamples([field], 32)
    network = build("outline-unet", {"widths": (8, 12, 16)}, 0)
    said = list(fit(network, samples.draw, FitSettings(30, 8, 5e-3), workers=0, every=10))
    assert [p.step for p in said] == [10, 20, 30]
    assert said[-1].loss < said[0].loss
    assert not network.training


def test_what_is_not_known_has_no_say_in_the_loss() -> None:
    logits, truth = torch.randn(2, 2, 8, 8), torch.rand(2, 2, 8, 8).round()
    truth[:, 1] = -1
    other = logits.clone()
    other[:, 1] += 3
    assert outline_loss(logits, truth) == pytest.approx(float(outline_loss(other, truth)), abs=1e-6)


def test_nuclei_without_masks_become_examples_where_two_clicks_agree(
    field: OutlinedField, shipped: NetworkOutlines
) -> None:
    cells = nuclei(field)[:4]
    made = agreed_nuclei(field.rgb, field.mpp, [*(c[2] for c in cells), (2.0, 2.0)], shipped)
    assert not made.knows_cells
    assert 1 <= len(made.cells) <= 4
    size = field.rgb.shape[:2]
    for example in made.cells:
        assert max(dice(example.nuclei[0].on(0, 0, *size), c[0]) for c in cells) > 0.9
    _, truth = OutlineSamples([made], 96).draw(np.random.default_rng(0))
    assert (truth[1] == -1).all()


def test_the_bundle_is_checked_like_any_other_and_others_are_no_outlines(shipped: NetworkOutlines) -> None:
    try_network(shipped.bundle.load_network(), shipped.bundle.manifest)
    assert shipped.bundle.manifest.weights_bytes < 10e6
    with pytest.raises(CytoError, match="expected a model of outlines, got an encoder"):
        outline_method("cell-encoder")
    assert outline_method("watershed")[0].name == "watershed"
