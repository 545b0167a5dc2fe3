"""Model bundles: a folder with ``model.json`` and ``model.safetensors``, hash-checked; nothing in it is ever run."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from napari_cyto import __version__
from napari_cyto.domain.prediction_sets import PredictionSets
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_folder, write_text
from napari_cyto.files.safe_names import safe_name
from napari_cyto.formats.text import read_json
from napari_cyto.models._manifest_file import MANIFEST_NAME, Digests, jsonable, parse_manifest, read_manifest
from napari_cyto.models._state_dicts import mismatch, shapes
from napari_cyto.models._tensor_file import TensorFile, file_as_tensor, looks_pickled, opened_tensors
from napari_cyto.models.manifest import FORMAT, ModelManifest, Parent, first_fault
from napari_cyto.models.registry import architecture, build, planned_shapes

WEIGHTS_NAME = "model.safetensors"
# What the weights mean is written into their own file, so that their hash vouches for it.
_NOTES = ("napari_cyto.meaning", "napari_cyto.calling")
"""Names under which the weights' file vouches for its manifest's digests; older bundles have the first alone."""
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")


@dataclass(frozen=True)
class Bundle:
    """A model on disk whose manifest was read and whose weights have the hash that it tells.

    Parameters
    ----------
    path : Path
        Its folder.
    manifest : ModelManifest
        All that is known of it besides the weights.
    """

    path: Path
    manifest: ModelManifest

    @property
    def id(self) -> str:
        """What people and annotations call it."""
        return self.manifest.id

    @property
    def sha256(self) -> str:
        """The hash of its weights; with the id it names the model for ever."""
        return self.manifest.weights_sha256

    def as_parent(self, added: str = "") -> Parent:
        """Return what a model that continues from this one records; ``added`` says what was new, in words."""
        return Parent(id=self.id, sha256=self.sha256, added=added)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights by name, on the CPU, as stored; they are read, and their hash checked, anew.

        Raises
        ------
        CytoError
            When the file is gone or is no longer the one whose hash was checked, or safetensors is not installed.
        """
        try:
            from safetensors.torch import load
        except ImportError as error:
            raise CytoError(
                "Networks need torch and safetensors; install napari-cyto with the extra `models`: pip install "
                '"napari-cyto[models]".'
            ) from error
        return dict(load(_weights_in_memory(self.path, self.manifest)))

    def weights_bytes(self) -> bytes:
        """Return the weights' file as it is, read and its hash checked anew.

        Raises
        ------
        CytoError
            When the file is gone or is no longer the one whose hash was checked.
        """
        return _weights_in_memory(self.path, self.manifest)

    def load_network(self, device: str = "cpu") -> Any:
        """Return the network with its weights, float32, in evaluation mode, on ``device``.

        Raises
        ------
        CytoError
            When the architecture is unknown, or its settings do not fit the weights; then neither the network nor a
            byte of the weights is in memory.
        """
        known = self.manifest
        planned = planned_shapes(known.architecture, known.settings, len(known.classes))
        if planned is not None:
            self._check_shapes(planned, _described_weights(self.path, known).shapes())
        network = build(known.architecture, known.settings, len(known.classes))
        state = self.state_dict()
        self._check_shapes(shapes(network.state_dict()), shapes(state))
        network.load_state_dict(state, strict=True)
        return network.to(device).eval()

    def _check_shapes(self, expected: Mapping[str, tuple[int, ...]], came: Mapping[str, tuple[int, ...]]) -> None:
        fault = mismatch(expected, came)
        if fault:
            raise CytoError(f"{self.path}: the weights do not fit the settings in {MANIFEST_NAME}: {fault}.")


def described_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle's manifest alone, for who asks what a model is; whoever uses its weights calls ``read_bundle``.

    Raises
    ------
    CytoError
        When it is no bundle, or the manifest is not understood.
    """
    folder = Path(path)
    _check_folder(folder)
    return Bundle(folder, read_manifest(folder)[0])


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle's manifest and check its weights' hash, without torch.

    Parameters
    ----------
    path : path
        The bundle's folder.

    Raises
    ------
    CytoError
        When it is no bundle, a file of it is missing or a link, the manifest is not understood, the architecture
        is unknown, a pickle is in it, the hash is wrong, or the weights are damaged or not finite.
    """
    folder = Path(path)
    _check_folder(folder)
    manifest, digests = read_manifest(folder)
    _check_kind(manifest, folder)
    notes = _checked_weights(folder, manifest).notes
    for name, digest in zip(_NOTES, digests, strict=True):
        if notes.get(name) not in (None, digest):
            raise CytoError(
                f"{folder / MANIFEST_NAME}: its classes, input, settings, calibration or costs were changed after "
                "the weights were written, so predictions could be wrong unnoticed; copy the model again."
            )
    return Bundle(folder, manifest)


def write_bundle(
    folder: str | os.PathLike[str],
    manifest_fields: Mapping[str, Any],
    state_dict: Mapping[str, Any],
    dtype: Literal["fp32", "fp16"] = "fp32",
) -> Bundle:
    """Write a bundle as a whole or not at all.

    Parameters
    ----------
    folder : path
        Where; an earlier bundle there is replaced.
    manifest_fields : mapping
        Fields of ``ModelManifest``; those of the weights, the time and the maker are filled in here, and so is the
        id, from the folder's name, where none is given.
    state_dict : mapping of str to Tensor
        The network's weights, on any device.
    dtype : str
        ``fp16`` halves the file: only tensors of two and more dimensions are rounded, so norms keep all digits.

    Returns
    -------
    Bundle
        As it was read back, with its hash checked.

    Raises
    ------
    CytoError
        When a weight is NaN or infinite (in fp16: over 65,504), the fields are wrong, something else is in the
        folder's place, or the disk is full.
    """
    path = Path(folder)
    manifest, digests = _manifest(path, {**manifest_fields, "weights_dtype": dtype})
    notes = {"format": "pt", **dict(zip(_NOTES, digests, strict=True))}
    return _stored(path, manifest, _serialised(state_dict, dtype, notes))


def write_file_bundle(
    folder: str | os.PathLike[str], manifest_fields: Mapping[str, Any], name: str, file: bytes
) -> Bundle:
    """Write a bundle whose weights are the bytes of one file, as a whole or not at all; without torch.

    Parameters
    ----------
    folder, manifest_fields
        As of ``write_bundle``.
    name : str
        What the tensor of uint8 that holds the file is called.
    file : bytes
        Its content.

    Raises
    ------
    CytoError
        As ``write_bundle``.
    """
    path = Path(folder)
    manifest, digests = _manifest(path, manifest_fields)
    return _stored(path, manifest, file_as_tensor(name, file, dict(zip(_NOTES, digests, strict=True))))


def _stored(path: Path, manifest: ModelManifest, content: bytes) -> Bundle:
    """Write manifest and weights, and return the bundle as it was read back."""
    manifest = manifest.model_copy(
        update={"weights_sha256": hashlib.sha256(content).hexdigest(), "weights_bytes": len(content)}
    )
    # Versions before prediction sets refuse a field that they do not know, even an empty one.
    without = {"prediction_sets"} if manifest.prediction_sets is None else None
    text = manifest.model_dump_json(indent=1, exclude=without)
    with atomic_folder(path, {"kind": "model bundle", "id": manifest.id}) as temporary:
        (temporary / WEIGHTS_NAME).write_bytes(content)
        (temporary / MANIFEST_NAME).write_bytes((text + "\n").encode("utf-8", "replace"))
        read_bundle(temporary)
    return Bundle(path, manifest)


def with_figures(bundle: Bundle, metrics: Mapping[str, Any]) -> Bundle:
    """Write other figures into a bundle's card: those of a cross-validation, when the model saw all of the data.

    Parameters
    ----------
    bundle : Bundle
        Its weights, its hash and what its outputs mean stay as they are.
    metrics : mapping
        JSON-able.

    Raises
    ------
    CytoError
        When the place cannot be written, or the figures cannot be kept; the bundle is then as it was.
    """
    card = bundle.manifest.card.model_copy(update={"metrics": jsonable(dict(metrics))})
    return _rewritten(bundle, {"card": json.loads(card.model_dump_json())})


def with_prediction_sets(bundle: Bundle, sets: PredictionSets) -> Bundle:
    """Write thresholds of prediction sets into a bundle, in the place of earlier ones.

    Parameters
    ----------
    bundle : Bundle
        Its weights, its hash and what its outputs mean stay as they are.
    sets : PredictionSets
        Calibrated for these weights, in the order of the bundle's classes.

    Raises
    ------
    CytoError
        When they are of another model, or the place cannot be written; the bundle is then as it was.
    """
    return _rewritten(bundle, {"prediction_sets": sets.model_dump(mode="json")})


def _rewritten(bundle: Bundle, fields: Mapping[str, Any]) -> Bundle:
    """Write some fields of a manifest anew; all others stay to the letter, since the weights vouch for them."""
    place = bundle.path / MANIFEST_NAME
    text = json.dumps(read_json(place) | fields, indent=1, ensure_ascii=False)
    manifest, _ = parse_manifest(text, place)
    write_text(place, text + "\n")
    return Bundle(bundle.path, manifest)


def _manifest(path: Path, fields: Mapping[str, Any]) -> tuple[ModelManifest, Digests]:
    """Return the manifest of a bundle that is being written, read back from JSON; its weights are not known yet."""
    made = {
        **{name: jsonable(value) for name, value in fields.items()},
        "format": FORMAT,
        "id": fields.get("id") or id_from_name(path.name),
        "weights_sha256": "0" * 64,
        "weights_bytes": 1,
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"napari-cyto {__version__}",
    }
    try:
        manifest = ModelManifest.model_validate(made)
        _check_kind(manifest, path)
        return parse_manifest(manifest.model_dump_json(), path / MANIFEST_NAME)
    except (ValidationError, ValueError) as error:
        said = first_fault(error) if isinstance(error, ValidationError) else str(error)[:200]
        raise CytoError(f"{path}: the model's manifest is invalid ({said}), so nothing was written.") from error


def _check_kind(manifest: ModelManifest, folder: Path) -> None:
    if architecture(manifest.architecture).kind != manifest.kind:
        raise CytoError(f"{folder}: it claims to be a {manifest.kind}, which {manifest.architecture} is not.")


def id_from_name(name: str) -> str:
    """Return a model id made of any name: letters, digits, dots, hyphens and underscores."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:80]
    if not plain or not plain[0].isalnum():
        return "model"
    return plain if safe_name(plain) == plain else f"model-{plain}"[:80].rstrip("-._")


def _serialised(state_dict: Mapping[str, Any], dtype: str, notes: dict[str, str]) -> bytes:
    import torch
    from safetensors.torch import save

    kept: dict[str, Any] = {}
    for name, tensor in state_dict.items():
        plain = tensor.detach().to("cpu")
        if plain.is_floating_point():
            plain = plain.to(torch.float16 if dtype == "fp16" and plain.ndim >= 2 else torch.float32)
            if not bool(torch.isfinite(plain).all()):
                raise CytoError(
                    f"The weights {name!r} hold NaN or infinity{' in fp16' if dtype == 'fp16' else ''}, so no "
                    "bundle was written; lower the learning rate, or save as fp32."
                )
        # A copy of its own for each: tied weights share memory, which the format does not know.
        kept[name] = plain.clone(memory_format=torch.contiguous_format)
    return bytes(save(kept, metadata=notes))


def _check_folder(folder: Path) -> None:
    try:
        if folder.is_file():
            with folder.open("rb") as stream:
                pickled = (looks_pickled(stream.read(8)) or folder.suffix in _PICKLES) and folder.suffix != ".zip"
            raise CytoError(
                f"{folder}: this is a pickle; opening it could run foreign code, so it is refused. A bundle is "
                f"a folder with {MANIFEST_NAME} and {WEIGHTS_NAME}."
                if pickled
                else f"{folder}: a bundle is a folder with {MANIFEST_NAME} and {WEIGHTS_NAME}, but this is a file."
            )
        if not folder.is_dir():
            raise CytoError(f"{folder}: there is no such model; `napari-cyto models list` shows the available ones.")
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _PICKLES)
    except (OSError, ValueError) as error:
        raise CytoError(
            f"{folder}: this bundle cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from error
    if pickles:
        raise CytoError(
            f"{folder / pickles[0]}: a bundle may contain safetensors only; this kind of file can run foreign code "
            "when opened, so the bundle is refused."
        )


def _described_weights(folder: Path, manifest: ModelManifest) -> TensorFile:
    """Return what the weights' header says, whose file is as long as the manifest says; no tensor is read."""
    path = folder / WEIGHTS_NAME
    try:
        if path.is_symlink():
            raise CytoError(
                f"{path}: the weights are a link to a file elsewhere, which a bundle must not contain; "
                "copy the file itself."
            )
        if not path.is_file():
            raise CytoError(f"{path}: the weights are missing; copy the whole bundle again.")
        size = path.stat().st_size
        if size != manifest.weights_bytes:
            with path.open("rb") as stream:
                pickled = looks_pickled(stream.read(8))
            if not pickled:
                raise CytoError(
                    f"{path}: {manifest.weights_bytes:,} bytes are expected, but it has {size:,}; the copy is "
                    "incomplete, or the weights are of another model."
                )
        return opened_tensors(path)
    except OSError as error:
        raise CytoError(f"{path}: the weights cannot be read ({error.strerror or error}).") from error


def _checked_weights(folder: Path, manifest: ModelManifest) -> TensorFile:
    """Return what is known of the weights, whose hash is the manifest's and all of whose numbers are finite."""
    described = _described_weights(folder, manifest)
    try:
        found, unfit = described.looked_through()
    except OSError as error:
        raise CytoError(f"{described.path}: the weights cannot be read ({error.strerror or error}).") from error
    _check_hash(described.path, found, manifest)
    if unfit is not None:
        raise CytoError(f"{described.path}: the weights {unfit[:80]!r} contain NaN or infinity; train the model again.")
    return described


def _weights_in_memory(folder: Path, manifest: ModelManifest) -> bytes:
    """Return the bytes of the weights, whose hash is the manifest's."""
    path = _described_weights(folder, manifest).path
    try:
        with path.open("rb") as stream:
            content = stream.read(manifest.weights_bytes + 1)
    except OSError as error:
        raise CytoError(f"{path}: the weights cannot be read ({error.strerror or error}).") from error
    _check_hash(path, hashlib.sha256(content).hexdigest(), manifest)
    return content


def _check_hash(path: Path, found: str, manifest: ModelManifest) -> None:
    if found != manifest.weights_sha256:
        raise CytoError(
            f"{path}: the weights are not those that {MANIFEST_NAME} tells of (SHA-256 {found[:12]}..., expected "
            f"{manifest.weights_sha256[:12]}...); the file is damaged or was replaced, so the model is refused."
        )
