"""The models at hand: those that ship, and those that a user added; looked at without torch."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cyto.domain.resources import shipped_folder
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_folder
from napari_cyto.files.user_folders import DATA_VARIABLE, user_data_dir
from napari_cyto.models._manifest_file import MANIFEST_NAME, read_manifest
from napari_cyto.models.bundle import WEIGHTS_NAME, Bundle, described_bundle, read_bundle
from napari_cyto.models.finite_outputs import try_network
from napari_cyto.models.manifest import Kind, ModelManifest
from napari_cyto.models.onnx_network import is_onnx
from napari_cyto.models.openvino_cache import forget_exports


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the library.

    Parameters
    ----------
    name : str
        What it is asked for by: its folder's name.
    path : Path
        Its folder.
    shipped : bool
        Whether it came with the product.
    manifest : ModelManifest or None
        Read, its weights not looked at; None when it cannot be read.
    fault : str
        Why not, as a sentence.
    """

    name: str
    path: Path
    shipped: bool
    manifest: ModelManifest | None
    fault: str = ""


def user_folder() -> Path:
    """Return the folder of the models that a user added; it need not be there."""
    return user_data_dir() / "models"


def list_models() -> tuple[Entry, ...]:
    """Return every model of the library, shipped ones first, by name; a broken one says what is wrong with it."""
    found: list[Entry] = []
    for folder, shipped in ((shipped_folder(), True), (user_folder(), False)):
        found += [_entry(path, shipped) for path in _folders(folder)]
    return tuple(found)


def models_of_kind(kind: Kind) -> tuple[Entry, ...]:
    """Return the models of the library that are of a kind, without those that cannot be read."""
    return tuple(each for each in list_models() if each.manifest is not None and each.manifest.kind == kind)


def find_model(name: str) -> Entry | None:
    """Return the model of the library that is called ``name``, if there is one."""
    return next((e for e in list_models() if e.name == name), None)


def bundle_named(name_or_path: str | os.PathLike[str], *, checked: bool = True) -> Bundle:
    """Return a model by its name in the library or by its folder.

    Parameters
    ----------
    name_or_path : str or path
        A name in the library, or a folder.
    checked : bool
        Whether its weights are read and their hash compared, which takes some 40 ms; else the manifest alone.

    Raises
    ------
    CytoError
        When there is none, or it is refused (see ``read_bundle``).
    """
    text, read = os.fspath(name_or_path), read_bundle if checked else described_bundle
    known = find_model(text) if isinstance(name_or_path, str) and text == Path(text).name else None
    if known is not None:
        return read(known.path)
    if not os.path.lexists(text):
        names = ", ".join(e.name for e in list_models()) or "none"
        raise CytoError(f"There is no model {text!r}: no folder of this name, and in the library are {names}.")
    return read(Path(text))


def add_model(path: str | os.PathLike[str]) -> Entry:
    """Copy a bundle into the user's library, as a whole or not at all.

    Parameters
    ----------
    path : path
        A bundle; it is checked like any that is used.

    Raises
    ------
    CytoError
        When it is refused, or the library has a model of its id already; a foreign network is tried before.
    """
    bundle = read_bundle(path)
    refuse_taken(bundle.id, bundle.sha256)
    if is_onnx(bundle.manifest):
        _try_onnx(bundle)
    return add_checked(bundle)


def refuse_taken(model_id: str, sha256: str = "") -> None:
    """Refuse an id that a model of the library has.

    Raises
    ------
    CytoError
        Saying how its place can be had.
    """
    there = find_model(model_id)
    if there is None:
        return
    same = there.manifest is not None and there.manifest.weights_sha256 == sha256
    difference = "identical weights" if same else "other weights"
    how = (
        "it is built in and cannot be replaced; give yours another name"
        if there.shipped
        else f"to replace it, remove that one first (dock Models, or `napari-cyto models remove {there.name}`)"
    )
    raise CytoError(f"The library has a model {model_id} already, with {difference}; {how}.")


def add_checked(bundle: Bundle) -> Entry:
    """Copy a bundle that was checked and tried into the user's library, as a whole or not at all.

    Raises
    ------
    CytoError
        When it cannot be copied.
    """
    target = user_folder() / bundle.id
    try:
        with atomic_folder(target, {"kind": "model bundle", "id": bundle.id}) as temporary:
            for name in (MANIFEST_NAME, WEIGHTS_NAME):
                shutil.copyfile(bundle.path / name, temporary / name)
            read_bundle(temporary)
    except OSError as error:
        raise CytoError(
            f"{bundle.path}: the model cannot be copied to {target} ({error.strerror or error}); free space or set "
            f"{DATA_VARIABLE} to another folder."
        ) from error
    return _entry(target, shipped=False)


def remove_model(name: str) -> Entry:
    """Remove a model from the user's library, and return what it was.

    Raises
    ------
    CytoError
        When there is none of that name, it ships with the product, or its folder cannot be removed.
    """
    known = find_model(name)
    if known is None:
        raise CytoError(f"There is no model {name!r} in the library; `napari-cyto models list` lists its models.")
    if known.shipped:
        raise CytoError(f"The model {name} is built in and cannot be removed.")
    try:
        if known.path.is_symlink():
            known.path.unlink()  # what it leads to is somebody else's
        else:
            shutil.rmtree(known.path)
            forget_exports(known.path)
    except OSError as error:
        raise CytoError(f"{known.path}: the model cannot be removed ({error.strerror or error}).") from error
    return known


def verify_model(name_or_path: str | os.PathLike[str], build_network: bool = False) -> dict[str, Any]:
    """Check a model as a whole, and return what was checked.

    Parameters
    ----------
    name_or_path : str or path
        A name in the library, or a folder.
    build_network : bool
        Whether to load it with torch too, which shows that settings and weights belong together, and to let it look
        at a fixed picture, which shows that its answers are numbers.

    Raises
    ------
    CytoError
        The first thing that is wrong.
    """
    bundle = bundle_named(name_or_path)
    checked = ["manifest", "hash", "tensors", "finite"]
    if build_network and is_onnx(bundle.manifest):
        _try_onnx(bundle)
        checked += ["network", "answers"]
    elif build_network:
        try_network(bundle.load_network(), bundle.manifest)
        checked += ["network", "answers"]
    return {"id": bundle.id, "path": str(bundle.path), "sha256": bundle.sha256, "ok": True, "checked": checked}


def _try_onnx(bundle: Bundle) -> None:
    # It starts a program, so nothing of it is imported for who only lists models.
    from napari_cyto.models.onnx_trial import try_bundle

    try_bundle(bundle)


def _folders(folder: Path | None) -> list[Path]:
    try:
        inside = [] if folder is None or not folder.is_dir() else sorted(folder.iterdir())
        return [p for p in inside if p.is_dir() and not p.name.startswith(".")]
    except OSError:
        return []


def _entry(path: Path, shipped: bool) -> Entry:
    try:
        return Entry(path.name, path, shipped, read_manifest(path)[0])
    except CytoError as error:
        return Entry(path.name, path, shipped, None, str(error))
