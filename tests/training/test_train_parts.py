"""Guards the parts of a run that need torch: augmentation, losses, averaging, checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.inference.network_input import as_input, view_of
from napari_cyto.models.manifest import Normalisation
from napari_cyto.training import _checkpoint as checkpoint
from napari_cyto.training._augmentation import BatchAugment, mixed
from napari_cyto.training._losses import classifier_loss, cost_table
from napari_cyto.training._run_progress import Progress
from napari_cyto.training._weight_average import Average
from napari_cyto.training.config import AugmentConfig, ClassifierConfig, TrainConfig
from napari_cyto.training.run_settings import CheckpointSettings

pytestmark = pytest.mark.networks

PLAIN = Normalisation(mean=(0.5, 0.4, 0.3), std=(0.5, 0.2, 0.3))
STILL = {
    "rotation": "none",
    "flips": False,
    "zoom": (1.0, 1.0),
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "hue": 0,
    "blur": 0,
    "noise": 0,
}


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cells(n: int = 4, windows: int = 2, px: int = 24) -> torch.Tensor:
    return torch.randint(0, 256, (n, windows, px, px, 3), dtype=torch.uint8, generator=chance(9))


def changed(crops: torch.Tensor, seed: int = 0, **values: object) -> torch.Tensor:
    return BatchAugment(AugmentConfig(**(STILL | values)), PLAIN)(crops, chance(seed))  # type: ignore[arg-type]


def back(pixels: torch.Tensor) -> torch.Tensor:
    """0..1 of normalised pixels."""
    shape = (1, 1, 3, 1, 1)
    return pixels * torch.tensor(PLAIN.std).reshape(shape) + torch.tensor(PLAIN.mean).reshape(shape)


def test_without_changes_the_input_is_that_of_inference() -> None:
    crops = cells()
    torch.testing.assert_close(changed(crops), as_input(crops.numpy(), PLAIN), atol=1e-5, rtol=0)


def test_the_same_chance_gives_the_same_bytes() -> None:
    crops, strong = cells(), AugmentConfig(blur=1, noise=1)
    augment = BatchAugment(strong, PLAIN)
    assert torch.equal(augment(crops, chance(3)), augment(crops, chance(3)))
    assert not torch.equal(augment(crops, chance(3)), augment(crops, chance(4)))


def test_quarter_turns_and_flips_move_pixels_and_make_none() -> None:
    crops = cells(24, 1)
    moved = back(changed(crops, rotation="quarter", flips=True))
    seen = set()
    for image, original in zip(moved[:, 0], crops[:, 0], strict=True):
        views = [torch.from_numpy(view_of(original.numpy(), v).copy()).permute(2, 0, 1) / 255 for v in range(8)]
        match = [v for v, view in enumerate(views) if torch.allclose(view, image, atol=1e-3)]
        assert len(match) == 1
        seen.add(match[0])
    assert len(seen) >= 6


def test_a_turn_is_no_larger_than_the_recipe_says() -> None:
    """Of a picture with one dark px, how far that px went round the centre."""
    crops = torch.full((200, 1, 65, 65, 3), 255, dtype=torch.uint8)
    crops[:, :, 32, 56:60] = 0
    dark = 1 - back(changed(crops, rotation="any", rotation_deg=15))[:, 0, 0]
    rows, columns = torch.meshgrid(torch.arange(65) - 32.0, torch.arange(65) - 32.0, indexing="ij")
    total = dark.sum((1, 2))
    angles = torch.rad2deg(torch.atan2((dark * rows).sum((1, 2)) / total, (dark * columns).sum((1, 2)) / total))
    assert 12 < float(angles.abs().max()) <= 15.5
    assert float(angles.min()) < -8 < 8 < float(angles.max())


def test_only_the_last_layers_of_a_backbone_are_trained() -> None:
    from torch import nn

    from napari_cyto.training.classifier_task import keep_top_layers

    body = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)) for _ in range(4)))
    keep_top_layers(body, 2)
    assert {name.split(".")[0] for name, p in body.named_parameters() if p.requires_grad} == {"2", "3"}
    keep_top_layers(body, 99)
    assert all(p.requires_grad for p in body.parameters())


def test_all_windows_of_a_cell_change_alike() -> None:
    one = cells(3, 1)
    moved = changed(one.repeat(1, 2, 1, 1, 1), rotation="any", flips=True, zoom=(0.9, 1.1), hue=0.2, brightness=0.3)
    torch.testing.assert_close(moved[:, 0], moved[:, 1])


def test_zoom_keeps_the_shape_of_cells() -> None:
    disc = np.full((1, 1, 65, 65, 3), 255, np.uint8)
    y, x = np.mgrid[:65, :65] - 32
    disc[0, 0][np.hypot(y, x) < 16] = 0
    for seed in range(5):
        dark = back(changed(torch.from_numpy(disc), seed, zoom=(0.8, 1.25), rotation="any"))[0, 0, 0] < 0.5
        height, width = (int(dark.any(axis).sum()) for axis in (1, 0))
        assert abs(height - width) <= 1
        assert 32 * 0.78 <= height <= 32 * 1.28


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours_change_as_torchvision_changes_them(name: str) -> None:
    crops = cells(1, 1) // 4 + 96  # nothing is clipped
    new = back(changed(crops, 5, **{name: 0.4}))[0, 0]
    old = crops[0, 0].permute(2, 0, 1).float() / 255
    adjust = getattr(v2.functional, f"adjust_{name}")
    errors = [float((adjust(old, f) - new).abs().max()) for f in np.linspace(0.6, 1.4, 801)]
    # torchvision rounds the weights of grey to four digits.
    assert min(errors) < 2e-3


def test_hue_turns_colours_and_leaves_grey() -> None:
    grey = torch.full((1, 1, 8, 8, 3), 100, dtype=torch.uint8)
    torch.testing.assert_close(changed(grey, hue=0.5), changed(grey), atol=2e-3, rtol=0)
    red = grey.clone()
    red[..., 0] = 180
    assert not torch.allclose(changed(red, hue=0.5), changed(red), atol=0.1)


def test_blur_and_noise_touch_their_share() -> None:
    crops = cells(60, 1)
    for values in ({"blur": 0.5}, {"noise": 0.5}):
        touched = (changed(crops, **values) - changed(crops)).flatten(1).abs().amax(1) > 1e-4
        assert 18 <= int(touched.sum()) <= 42
    assert back(changed(crops, noise=1.0)).min() >= -1e-5


def test_mixup_blends_images_and_targets_alike() -> None:
    images, targets = torch.eye(3).reshape(3, 1, 3, 1, 1), torch.eye(3)
    new, shares = mixed(images, targets, 1.0, chance())
    torch.testing.assert_close(new.reshape(3, 3), shares)
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    assert mixed(images, targets, 0.0, chance())[0] is images


BETHESDA = [c for c in preset("bethesda").classes if c.severity is not None]
COUNTS = np.array([10, 5, 5, 2, 3, 1])


def one_hot(*classes: int) -> torch.Tensor:
    return torch.eye(6)[list(classes)]


def test_the_loss_is_cross_entropy_with_smoothing_and_weights() -> None:
    logits = torch.randn(5, 6, generator=chance())
    truth = [0, 1, 3, 5, 0]
    loss = classifier_loss(ClassifierConfig(label_smoothing=0.1), BETHESDA, COUNTS)
    target = torch.nn.functional.cross_entropy(logits, torch.tensor(truth), label_smoothing=0.1)
    torch.testing.assert_close(loss(logits, one_hot(*truth)), target)
    weighted = classifier_loss(ClassifierConfig(class_weights="inverse"), BETHESDA, COUNTS)
    summed = torch.nn.functional.cross_entropy(logits, torch.tensor(truth), weight=weighted.weights, reduction="sum")
    torch.testing.assert_close(weighted(logits, one_hot(*truth)), summed / 5)


def test_confusing_hsil_with_nilm_costs_more_than_with_asc_h() -> None:
    ids = [c.id for c in BETHESDA]
    loss = classifier_loss(ClassifierConfig(ordinal_weight=1.0), BETHESDA, COUNTS)
    truth = one_hot(ids.index("HSIL"))
    costs = {name: float(loss(6 * one_hot(ids.index(name)), truth)) for name in ("NILM", "ASC-H", "HSIL")}
    assert costs["NILM"] > costs["ASC-H"] > costs["HSIL"]


def test_the_cost_matrix_is_the_users() -> None:
    rows = tuple(tuple(float(i != j) * (1 + i) for j in range(6)) for i in range(6))
    table = cost_table(ClassifierConfig(ordinal_weight=1, cost_matrix=rows), BETHESDA)
    np.testing.assert_allclose(table * 6, rows)
    for wrong in (rows[:5], (*rows[:5], (-1.0,) * 6), (*rows[:5], (float("nan"),) * 6)):
        with pytest.raises(CytoError, match="cost"):
            cost_table(ClassifierConfig(ordinal_weight=1, cost_matrix=wrong), BETHESDA)


def test_coarse_views_see_no_difference_within_them() -> None:
    loss = classifier_loss(ClassifierConfig(auxiliary_weight=1.0), BETHESDA, COUNTS)
    plain = classifier_loss(ClassifierConfig(), BETHESDA, COUNTS)
    ids = [c.id for c in BETHESDA]
    truth = one_hot(ids.index("HSIL"))
    near, far = (8 * one_hot(ids.index(name)) for name in ("SCC", "NILM"))
    assert float(loss(near, truth) - plain(near, truth)) < 0.1
    assert float(loss(far, truth) - plain(far, truth)) > 5


def test_the_average_forgets_how_it_began_and_survives_being_kept() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    average = Average(network, 0.9)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    for _ in range(200):
        average.update(network)
    torch.testing.assert_close(average.network[0].weight, torch.ones(2, 2), atol=1e-4, rtol=0)
    other = Average(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), 0.9)
    other.restore(average.state())
    for one, two in zip(average.state().values(), other.state().values(), strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))


def test_the_average_forgets_the_first_weights_and_follows_statistics_and_counts() -> None:
    network = torch.nn.BatchNorm1d(1)
    average, expected = Average(network, 0.6), 1.0
    for n in range(1, 25):
        with torch.no_grad():
            network.weight.fill_(float(n))
            network.running_var.fill_(float(n))
            network.num_batches_tracked.fill_(n)
        average.update(network)
        share = min(0.6, n / (9 + n))
        expected = share * expected + (1 - share) * n
        assert average.network.weight.item() == pytest.approx(expected, rel=1e-5)
        assert average.network.running_var.item() == pytest.approx(expected, rel=1e-5)
        assert average.network.num_batches_tracked.item() == n
    # As run folders hold it.
    assert {*average.state()} == {*network.state_dict(), "steps of the average"}
    assert int(average.state()["steps of the average"]) == 24
    assert not any(p.requires_grad for p in average.network.parameters())


def test_checkpoints_come_back_and_damage_is_said(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    state = optimiser.state_dict()["state"]
    kept = checkpoint.Checkpoint(
        Progress(epoch=4), dict(network.state_dict()), state, {}, CheckpointSettings(TrainConfig(), "x")
    )
    checkpoint.save(tmp_path, kept)
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found.progress == kept.progress
    assert found.request == kept.request
    assert torch.equal(found.network["weight"], network.weight)
    assert torch.equal(found.optimiser[0]["exp_avg"], state[0]["exp_avg"])
    path = tmp_path / checkpoint.TENSORS
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CytoError, match="damaged"):
        checkpoint.load(tmp_path)
    checkpoint.forget(tmp_path)
    assert checkpoint.load(tmp_path) is None
