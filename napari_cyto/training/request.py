"""What the Train dock asks for, as one value, and the run that is started from it; nothing here imports torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_cyto.datasets.training.scheme import USUAL, scheme_name_of
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.files.safe_names import free_place
from napari_cyto.files.user_folders import user_data_dir
from napari_cyto.jobs.detached_process import start_detached
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.torch_installed import need_torch
from napari_cyto.store import Project
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run_settings import RunSettings
from napari_cyto.training.run_watch import LOG_NAME, RunWatch, runs_in
from napari_cyto.training.slide.slide_config import SlideTrainConfig

PROJECT_RUNS = "models"
# Not "models", which is the library.
OWN_RUNS = "runs"
RECIPE_NAME = "recipe.yaml"
EVENTS_NAME = "events.jsonl"
SEEN = "train.seen"
TRAINING = "Training"


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """One training run as the dock's controls say.

    Parameters
    ----------
    config : TrainConfig
        The recipe with the user's settings; it also says whether a detector or a classifier is trained.
    sources : tuple of str
        As ``--data`` takes them.
    out : Path
        The bundle to write.
    parent : Path, optional
        The bundle to continue from.
    """

    config: TrainConfig
    sources: tuple[str, ...]
    out: Path
    parent: Path | None = None

    def words(self, resume: bool = False) -> list[str]:
        """Return the command line of the run, after the program's name."""
        words = ["train", self.config.model.kind, "--out", str(self.out)]
        for source in self.sources:
            words += ["--data", source]
        words += ["--recipe", str(RunFolder.of(self.out).path / RECIPE_NAME)]
        if self.parent is not None:
            words += ["--parent", str(self.parent)]
        return [*words, "--resume"] if resume else words


@dataclass(frozen=True, slots=True)
class SlideTrainRequest:
    """One run on whole slides: the recipe, the projects whose slides are learnt from, and the bundle to write."""

    config: SlideTrainConfig
    sources: tuple[str, ...]
    out: Path

    def words(self, resume: bool = False) -> list[str]:
        """Return the command line of the run, after the program's name."""
        words = ["train", "slide", "--out", str(self.out)]
        for source in self.sources:
            words += ["--data", source]
        words += ["--recipe", str(RunFolder.of(self.out).path / RECIPE_NAME)]
        return [*words, "--resume"] if resume else words


def start(request: TrainRequest | SlideTrainRequest, resume: bool = False) -> RunWatch:
    """Start a run as a process of its own and return what follows it.

    Raises
    ------
    CytoError
        When torch is not installed, there are no sources, or the run's folder cannot be written.
    """
    need_torch(TRAINING)
    if not request.sources:
        raise CytoError("Choose at least one source of cells to train on.")
    folder = RunFolder.of(request.out).path
    folder.mkdir(parents=True, exist_ok=True)
    # JSON is YAML too.
    write_text(folder / RECIPE_NAME, request.config.model_dump_json(indent=1) + "\n")
    if not resume:
        # An earlier run of this name that came to nothing.
        (folder / EVENTS_NAME).unlink(missing_ok=True)
    log = folder / LOG_NAME
    log.write_bytes(b"")
    return RunWatch(request.out, start_detached(request.words(resume), log))


def runs_folder(project: Project | None) -> Path:
    """Return where runs of a project, or of none, write their models."""
    return project.folder / PROJECT_RUNS if project is not None else user_data_dir() / OWN_RUNS


def free_name(folder: Path, recipe: str) -> str:
    """Return a name for a model that is not taken in ``folder``: recipe and date."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{recipe}-{datetime.now(UTC):%Y-%m-%d}").strip("-.")
    return free_place(folder, stem, taken=lambda place: place.exists() or RunFolder.of(place).path.exists()).name


def latest_unseen(project: Project | None) -> Path | None:
    """Return the run that a window just opened should show: one at work, else one that nobody has left yet."""
    found = runs_in([runs_folder(project)])
    working = next((out for out in found if RunFolder.of(out).is_running()), None)
    if working is not None or project is None or not found:
        return working
    return found[0] if project.setting(SEEN, "") != found[0].name else None


def note_as_seen(project: Project | None, out: Path) -> None:
    """Keep with the project that its user has left the run of ``out``."""
    if project is not None:
        project.remember(SEEN, out.name)


def scheme_of(project: Project | None) -> str:
    """Return the scheme that a model for a project is trained in: the project's own; empty, to go by the sources."""
    return "" if project is None else scheme_name_of(project)


def class_colours(project: Project | None) -> dict[str, str]:
    """Return the colour of each class that a run may speak of, by id."""
    own = () if project is None else project.scheme.classes
    return {c.id: c.colour for c in (*preset(USUAL).classes, *own)}


def request_of(out: Path) -> TrainRequest | None:
    """Return what the run that writes ``out`` was asked for, as far as its folder still says so."""
    known = RunSettings.of(RunFolder.of(out))
    return None if known is None else TrainRequest(known.config, known.sources, out, known.parent)


def resume(out: Path) -> RunWatch:
    """Go on with a run that ended early, from its last state.

    Raises
    ------
    CytoError
        When its folder does not say any more what it was asked for.
    """
    request = request_of(out) or _slide_request_of(out)
    if request is None:
        raise CytoError(f"{RunFolder.of(out).path} does not record what was trained there; start a new run instead.")
    return start(request, resume=True)


def _slide_request_of(out: Path) -> SlideTrainRequest | None:
    kept = RunFolder.of(out).config()
    config = kept.get("config")
    if not isinstance(config, dict) or config.get("kind") != "slide":
        return None
    try:
        return SlideTrainRequest(SlideTrainConfig.model_validate(config), tuple(map(str, kept["sources"])), out)
    except (KeyError, ValueError):
        return None
