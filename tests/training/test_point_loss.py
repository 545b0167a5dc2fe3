"""Guards the loss of point proposals: its parts by the paper's equations, and what counts as background."""

from __future__ import annotations

import math

import pytest
import torch

from napari_cyto.models.point_detector import Proposals
from napari_cyto.training._point_loss import PointLossWeights, TileCells, hybrid_loss, matched_loss

pytestmark = pytest.mark.networks

NAN = float("nan")


def proposals(points: list[list[float]], logits: list[list[float]], side: float = 10.0) -> Proposals:
    n = len(points)
    return Proposals(torch.tensor([points]), torch.full((1, n, 2), side), torch.tensor([logits], requires_grad=True))


def cells(
    points: list[list[float]], classes: list[int], size: float = NAN, counted: list[bool] | None = None
) -> TileCells:
    return TileCells(
        torch.tensor(points).reshape(-1, 2),
        torch.full((len(points), 2), size),
        torch.tensor(classes, dtype=torch.long),
        None if counted is None else torch.tensor(counted),
    )


def plain(parts: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: part.detach().item() for name, part in parts.items()}


def test_the_parts_are_those_of_the_equations() -> None:
    result = proposals([[10.0, 13.0], [40.0, 40.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss = plain(matched_loss(result, [cells([[10.0, 10.0]], [1])], PointLossWeights(), 1))
    assert loss["classes"] == pytest.approx((10 * math.log(3) + 0.5 * math.log(3)) / 2)
    assert loss["places"] == pytest.approx(9.0)
    assert loss["loss"] == pytest.approx(10.5 * math.log(3) / 2 + 2e-3 * 9)


def test_one_to_many_counts_half_and_lets_beta_proposals_answer() -> None:
    points, even = [[10.0, 11.0], [10.0, 12.0], [50.0, 50.0]], [[0.0, 0.0]] * 3
    weights = PointLossWeights(beta=2)
    truth = [cells([[10.0, 10.0]], [0])]
    parts = plain(hybrid_loss(proposals(points, even), proposals(points, even), truth, weights))
    assert parts["places_one"] == pytest.approx(1.0)
    assert parts["places_many"] == pytest.approx((1 + 4) / 2)
    assert parts["loss"] == pytest.approx(parts["loss_one"] + 0.5 * parts["loss_many"])


def test_sizes_are_learned_only_where_a_box_is_known() -> None:
    result = proposals([[10.0, 10.0], [30.0, 30.0]], [[0.0, 0.0]] * 2, side=20.0)
    points = [[10.0, 10.0], [30.0, 30.0]]
    known = cells(points, [0, 0], size=20.0)
    unknown = cells(points, [0, 0])
    assert plain(matched_loss(result, [known], PointLossWeights(), 1))["sizes"] == pytest.approx(0.0, abs=1e-6)
    assert plain(matched_loss(result, [unknown], PointLossWeights(), 1))["sizes"] == 0.0
    mixed = TileCells(known.points_yx, torch.tensor([[20.0, 20.0], [NAN, NAN]]), known.classes)
    loss = matched_loss(result, [mixed], PointLossWeights(), 1)["loss"]
    loss.backward()
    assert result.logits.grad is not None
    assert bool(result.logits.grad.isfinite().all())


def test_background_counts_only_where_every_cell_is_annotated() -> None:
    result = proposals([[10.0, 10.0], [40.0, 40.0], [60.0, 60.0]], [[2.0, 0.0]] * 3)
    truth = cells([[10.0, 10.0]], [0], counted=[False, True, False])
    matched_loss(result, [truth], PointLossWeights(), 1)["classes"].backward()
    assert result.logits.grad is not None
    assert result.logits.grad.abs().sum(-1)[0].gt(0).tolist() == [True, True, False]


def test_sure_unlabelled_proposals_can_be_left_alone() -> None:
    result = proposals([[10.0, 10.0], [40.0, 40.0], [60.0, 60.0]], [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    matched_loss(result, [cells([[10.0, 10.0]], [0])], PointLossWeights(ignore_above=0.9), 1)["classes"].backward()
    assert result.logits.grad is not None
    assert result.logits.grad.abs().sum(-1)[0].gt(0).tolist() == [True, False, True]


def test_tiles_without_cells_teach_background_alone() -> None:
    result = proposals([[10.0, 10.0]], [[0.0, 0.0]])
    loss = plain(matched_loss(result, [cells([], [])], PointLossWeights(), 2))
    assert loss["loss"] == pytest.approx(0.5 * math.log(2))


def test_each_image_is_matched_by_itself() -> None:
    points = torch.tensor([[[10.0, 10.0], [50.0, 50.0]], [[50.0, 50.0], [10.0, 10.0]]])
    result = Proposals(points, torch.ones(2, 2, 2), torch.zeros(2, 2, 3))
    truth = [cells([[10.0, 10.0]], [0]), cells([[10.0, 12.0], [50.0, 50.0]], [1, 0])]
    assert plain(matched_loss(result, truth, PointLossWeights(), 1))["places"] == pytest.approx(4 / 3)


def test_hidden_cells_are_taken_off_the_background_where_nobody_annotated_all() -> None:
    """Kiryo et al. 2017: unlabelled proposals lose less by what the cells expected among them do; never below 0."""
    points = [[10.0, 10.0], [40.0, 40.0], [70.0, 70.0]]
    logits = [[2.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]
    truth = [cells([[10.0, 10.0]], [0], counted=[True, False, False])]

    def risk(hidden: float | None) -> float:
        weights = PointLossWeights(hidden=hidden)
        return plain(matched_loss(proposals(points, logits), truth, weights, 1))["classes"]

    ignored, all_background = risk(None), risk(0.0)
    unlike = [math.log(1 + math.exp(a)) for a, _ in logits]
    assert all_background - ignored == pytest.approx(0.5 * (unlike[1] + unlike[2]) / 3)
    assert risk(0.5) - ignored == pytest.approx(0.5 * (unlike[1] + unlike[2] - 0.5 * unlike[0]) / 3)
    assert risk(50.0) == pytest.approx(ignored)
    whole = [cells([[10.0, 10.0]], [0])]
    same = [
        plain(matched_loss(proposals(points, logits), whole, PointLossWeights(hidden=h), 1))["classes"]
        for h in (None, 9.0)
    ]
    assert same[0] == pytest.approx(same[1]), "where all is annotated nothing hides"


def test_what_looks_like_a_cell_is_not_taught_to_be_background_where_nobody_annotated_all() -> None:
    points = [[10.0, 10.0], [40.0, 40.0], [70.0, 70.0]]
    logits = [[2.0, 0.0], [1.0, 0.0], [-3.0, 0.0]]
    truth = [cells([[10.0, 10.0]], [0], counted=[True, False, False])]
    ignored, soft = (
        plain(matched_loss(proposals(points, logits), truth, PointLossWeights(unsure_below=t), 1))["classes"]
        for t in (None, 0.3)
    )
    assert soft - ignored == pytest.approx(0.5 * math.log(1 + math.exp(-3)) / 3)
