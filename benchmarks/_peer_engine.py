"""A bundle's network under TIAToolbox: its tiling, its joining of tiles, its picking of peaks; our weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from tiatoolbox import logger
from tiatoolbox.models.architecture.utils import peak_detection_map_overlap
from tiatoolbox.models.engine.io_config import IOSegmentorConfig
from tiatoolbox.models.engine.nucleus_detector import NucleusDetector
from tiatoolbox.models.models_abc import ModelABC

from napari_cyto.inference.network_input import as_input
from napari_cyto.models.bundle import Bundle

FLOOR = 0.02
logger.setLevel(logging.ERROR)


class PeerModel(ModelABC):
    """The network as TIAToolbox asks for it: tiles in, a map of probabilities out, and what picks peaks of it.

    Each cell that the network tells of is one px of the map, so that the peaks of it are the peer's to choose.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        manifest = bundle.manifest
        self.network = bundle.load_network()
        self.halo, self.normalisation = int(self.network.halo), manifest.normalisation
        self.min_distance = max(1, round(manifest.decision.merge_um / (manifest.mpp or 1.0)))
        self.threshold_abs, self.tile_shape = manifest.decision.score_threshold, (2048, 2048)

    def forward(self, images: torch.Tensor) -> Any:
        return self.network(images)

    def map_of(self, pixels: np.ndarray) -> np.ndarray:
        """Return the map (h, w, 1), float32, of pixels (h, w, 3), uint8 RGB."""
        painted = np.zeros((*pixels.shape[:2], 1), np.float32)
        with torch.inference_mode():
            cells = self.network.decode(self(as_input(pixels[None, None], self.normalisation)[0]), FLOOR)[0]
        rows, columns = cells.points_yx.floor().long().numpy().T
        inside = (rows >= 0) & (columns >= 0) & (rows < painted.shape[0]) & (columns < painted.shape[1])
        np.maximum.at(painted[..., 0], (rows[inside], columns[inside]), cells.scores.float().numpy()[inside])
        return painted

    @staticmethod
    def infer_batch(model: PeerModel, batch_data: torch.Tensor, *, device: str) -> np.ndarray:
        """Return the maps of tiles (n, h, w, 3), their halos cut off."""
        del device
        halo = model.halo
        pixels = batch_data.numpy().astype(np.uint8)
        return np.stack([model.map_of(one)[halo:-halo, halo:-halo] for one in pixels])

    def postproc(
        self,
        block: np.ndarray,
        min_distance: int | None = None,
        threshold_abs: float | None = None,
        threshold_rel: float | None = None,
        block_info: dict[Any, Any] | None = None,
        depth_h: int = 0,
        depth_w: int = 0,
    ) -> np.ndarray:
        """Return a block with the peaks' probabilities, all else 0: the peer's own."""
        return peak_detection_map_overlap(
            block,
            min_distance=min_distance or self.min_distance,
            threshold_abs=self.threshold_abs if threshold_abs is None else threshold_abs,
            threshold_rel=threshold_rel,
            block_info=block_info,
            depth_h=depth_h,
            depth_w=depth_w,
            return_probability=True,
        )

    def peaks(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return points (n, 2), px, and probabilities (n,) of a picture, all that the network tells of."""
        found = self.postproc(self.map_of(pixels), threshold_abs=FLOOR)[..., 0]
        points = np.argwhere(found > 0)
        return points + 0.5, found[points[:, 0], points[:, 1]]


def run_engine(model: PeerModel, mpp: float, slide: Path, out: Path, tile_px: int, workers: int) -> int:
    """Have the peer find a slide's cells into a file, and return how many they are."""
    inner = tile_px - 2 * model.halo
    resolution = [{"units": "mpp", "resolution": mpp}]
    shapes = IOSegmentorConfig(
        input_resolutions=resolution,
        output_resolutions=resolution,
        patch_input_shape=(tile_px, tile_px),
        patch_output_shape=(inner, inner),
        stride_shape=(inner, inner),
        save_resolution={"units": "mpp", "resolution": mpp},
    )
    engine = NucleusDetector(model=model, batch_size=1, num_workers=workers, device="cpu", verbose=False)
    written = engine.run(
        images=[slide],
        patch_mode=False,
        ioconfig=shapes,
        save_dir=out,
        overwrite=True,
        # Its own database wants an SQLite with extensions, which not every Python has.
        output_type="zarr",
        auto_get_mask=False,
        class_dict={0: "nucleus"},
        memory_threshold=95,
    )
    (path,) = written.values() if isinstance(written, dict) else written
    group = zarr.open(str(path), mode="r")
    return int(group["x"].shape[0])
