"""A training run of outlines as a job: made-up fields and accepted outlines in, a bundle of kind ``outline`` out."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Measured, Noted, Token
from napari_cyto.jobs.outcome import ending_once, failed, stop_if_cancelled
from napari_cyto.jobs.run_folder import FolderToken, RunFolder
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.card import card_defaults
from napari_cyto.models.library import bundle_named
from napari_cyto.models.manifest import Card
from napari_cyto.synthesis.outlined_fields import OutlinedField, make_field
from napari_cyto.training.outline._accepted_outlines import AcceptedOutline, AcceptedOutlines, accepted_outlines
from napari_cyto.training.outline._figures import HeldOut, OutlineFigures, on_card, outline_figures
from napari_cyto.training.outline.outline_config import HELD_OUT_SEED, OutlineTrainConfig

if TYPE_CHECKING:
    import torch

NOT_MEASURED = "not-measured-yet"
MADE_UP, OF_PROJECT = "made-up fields, held out", "outlines of the data, held out"
ANEW = "A run of outlines keeps no state on its way, so it begins anew, with the same settings and seed."
HELD_OUT_VARIETY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class MoreFields:
    """Fields with masks from elsewhere, which take the place of a project's outlines, and what the card says of them.

    Parameters
    ----------
    fields : tuple of OutlinedField
        To learn on.
    facts : dict
        For the card, JSON-able.
    """

    fields: tuple[OutlinedField, ...]
    facts: dict[str, Any] = field(default_factory=dict)


def train_outlines(
    config: OutlineTrainConfig,
    sources: tuple[str, ...],
    out: Path,
    token: Token | None = None,
    resume: bool = False,
    parent: Path | None = None,
    more: MoreFields | None = None,
) -> Events:
    """Train a model of outlines; a job. Everything it says is also in the folder ``OUT.run`` (see ``RunFolder``).

    Parameters
    ----------
    config : OutlineTrainConfig
        The recipe.
    sources : tuple of str
        Project folders whose accepted outlines are learned from, too; none for made-up fields alone.
    out : Path
        The bundle to write; nothing is there before it was measured.
    token : Token, optional
        Asks the run to stop; so does a wish in its folder.
    resume : bool
        Whether ``out`` may be that of an interrupted run; it begins anew, and says so.
    parent : Path, optional
        A bundle of outlines whose weights come first; its network's size replaces the recipe's.
    more : MoreFields, optional
        Fields that are learned from beside those of ``sources``.

    Yields
    ------
    Event
        ``Measured`` after each epoch. The last one is ``Done`` with ``bundle``, ``id``, ``kind``, ``metrics`` and
        ``seconds``; or ``Cancelled`` or ``Failed``.
    """
    folder = RunFolder.of(out)
    with ExitStack() as stack:
        try:
            if out.exists():
                raise CytoError(f"{out} is there already; choose another name, or remove it first.")
            stack.enter_context(folder.alone())
            kept = None if parent is None else str(parent)
            started_with = {"config": config.model_dump(mode="json"), "sources": list(sources), "parent": kept}
            folder.begin(started_with, resume)
        except (CytoError, OSError) as error:
            yield failed(error)
            return
        run = _Run(config, sources, out, FolderToken(folder, token), folder, parent, more)
        stack.callback(shutil.rmtree, folder.path / NOT_MEASURED, ignore_errors=True)
        for event in ending_once(run.steps(resume)):
            folder.append(event)
            yield event


@dataclass
class _Run:
    config: OutlineTrainConfig
    sources: tuple[str, ...]
    out: Path
    token: FolderToken
    folder: RunFolder
    parent: Path | None
    more: MoreFields | None

    def steps(self, resumed: bool) -> Iterator[Event]:
        """Yield what happens, until the bundle is there."""
        began = time.monotonic()
        if resumed:
            yield Noted(ANEW)
        before = None if self.parent is None else _outlines_bundle(self.parent)
        if before is not None:
            settings = before.manifest.settings
            size = {"widths": tuple(settings["widths"]), "side_px": before.manifest.input_px}
            self.config = self.config.model_copy(update=size)
        accepted = AcceptedOutlines()
        if self.sources:
            yield Advanced(0, 0, "Reading accepted outlines")
            config = self.config
            accepted = accepted_outlines(self.sources, config.most_outlines, config.seed, self.pulse)
            yield from (Noted(sentence) for sentence in accepted.sentences())
        learned, held_out = accepted.held_out(self.config.held_out_share, self.config.seed)
        if accepted.cells:
            yield Noted(_held_out_words(learned, held_out))
        fields = yield from self._made_up()
        network = yield from self._fitted(fields, [each.field for each in learned], before)
        facts = self._facts(fields, accepted, learned)
        unmeasured = self._written(self.folder.path / NOT_MEASURED, network, facts, {}, before)
        figures = yield from self._measured_on(unmeasured, held_out)
        self.pulse()
        bundle = self._written(self.out, network, facts, on_card(figures), before)
        yield Done(
            {
                "bundle": str(bundle.path),
                "id": bundle.id,
                "kind": "outline",
                "metrics": {name: each.to_json() for name, each in figures.items()},
                "data": facts,
                "seconds": round(time.monotonic() - began, 1),
            }
        )

    def pulse(self) -> None:
        """Wait while the run is paused; leave it when that is asked for."""
        while self.token.paused():
            time.sleep(0.1)
        stop_if_cancelled(self.token)

    def _made_up(self) -> Generator[Event, None, list[OutlinedField]]:
        fields = []
        for number in range(self.config.fields):
            self.pulse()
            yield Advanced(number, self.config.fields, "Making up fields")
            seed, mpp, variety = self.config.field_kind(number)
            fields.append(make_field(seed, self.config.field_px, mpp, variety))
        return fields

    def _fitted(
        self, fields: Sequence[OutlinedField], learned: Sequence[OutlinedField], before: Bundle | None
    ) -> Generator[Event, None, torch.nn.Module]:
        import torch

        from napari_cyto.models.registry import build
        from napari_cyto.training.outline._fit import FitSettings, fit
        from napari_cyto.training.outline._samples import OutlineSamples

        config = self.config
        made_up = OutlineSamples(fields, config.side_px)
        if not made_up.places:
            raise CytoError(
                "The made-up fields hold no nucleus to learn on; make them more or larger (fields, field_px)."
            )
        others = [*learned, *(self.more.fields if self.more else ())]
        real = OutlineSamples(others, config.side_px) if others else None

        def draw(rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
            # Without others no number is drawn, so that made-up fields alone give the crops that they always gave.
            chosen = made_up if real is None or rng.random() >= config.share else real
            return chosen.draw(rng)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network: torch.nn.Module = build("outline-unet", {"widths": config.widths}, 0)
        if before is not None:
            network.load_state_dict(before.state_dict())
        total = config.epochs * config.steps
        settings = FitSettings(total, config.batch, config.rate, config.decay, config.keep, config.seed)
        began = time.monotonic()
        yield Advanced(0, config.epochs, "Training")
        for progress in fit(network, draw, settings, workers=0, every=config.steps, pulse=self.pulse):
            done = progress.step // config.steps
            yield Advanced(done, config.epochs, "Training")
            left = (time.monotonic() - began) / done * (config.epochs - done)
            yield _measured(config, done, progress.loss, left)
        return network.eval()

    def _measured_on(
        self, bundle: Bundle, held_out: Sequence[AcceptedOutline]
    ) -> Generator[Event, None, dict[str, OutlineFigures]]:
        from napari_cyto.inference.outline.outlines import NetworkOutlines

        config, made_up = self.config, []
        for number in range(config.held_out_fields):
            self.pulse()
            yield Advanced(number, config.held_out_fields, "Making up held-out fields")
            seed = config.field_seed + HELD_OUT_SEED + number
            made = make_field(seed, config.held_out_px, config.mpps[0], HELD_OUT_VARIETY)
            made_up.append(HeldOut(made, made.mpp, str(number)))
        yield Advanced(0, 0, "Measuring on what it has not seen")
        method = NetworkOutlines(bundle)
        sets = {MADE_UP: made_up, OF_PROJECT: [HeldOut(each.field, each.mpp, each.group) for each in held_out]}
        found = {name: outline_figures(method, fields, self.pulse) for name, fields in sets.items()}
        if found[MADE_UP] is None:
            yield Noted("The held-out made-up fields hold no whole nucleus, so there are no figures on them.")
        return {name: each for name, each in found.items() if each is not None}

    def _facts(
        self, fields: Sequence[OutlinedField], accepted: AcceptedOutlines, learned: Sequence[AcceptedOutline]
    ) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "sources": "made-up smears (napari_cyto.synthesis)",
            "made-up fields": len(fields),
            "made-up nuclei": sum(len(cell.nuclei) for each in fields for cell in each.cells),
        }
        if accepted.cells:
            facts["sources"] += " and accepted outlines of projects"
            facts["accepted outlines"] = {
                "learned from": len(learned),
                "held out": len(accepted.cells) - len(learned),
                "with cytoplasm": sum(each.field.knows_cells for each in accepted.cells),
                "outlines not accepted, left out": accepted.not_accepted,
                "outlines of unknown kind, left out": accepted.plain,
            }
        return facts | (self.more.facts if self.more else {})

    def _written(
        self,
        place: Path,
        network: torch.nn.Module,
        facts: dict[str, Any],
        metrics: dict[str, Any],
        before: Bundle | None,
    ) -> Bundle:
        config = self.config
        parents = () if before is None else (before.as_parent(f"Trained on with {facts['sources']}."),)
        of_data = ("project",) if self.sources else ()
        terms: dict[str, Any] = dict(
            card_defaults("outline", of_data, "none", () if before is None else (before.manifest,))
        )
        terms |= {name: str(getattr(config, name)) for name in terms if getattr(config, name)}
        card = Card(summary=config.summary, data=facts, recipe=config.model_dump(mode="json"), metrics=metrics, **terms)
        fields = {
            "kind": "outline",
            "architecture": "outline-unet",
            "settings": {"widths": list(config.widths)},
            "classes": (),
            "mpp": None,
            "input_px": config.side_px,
            "parents": parents,
            "card": card,
        }
        write_bundle(place, fields, network.state_dict(), config.weights_dtype)
        return read_bundle(place)


def _outlines_bundle(place: Path) -> Bundle:
    # A bare name is one in the model library.
    bundle = bundle_named(str(place))
    manifest = bundle.manifest
    if manifest.kind != "outline" or manifest.architecture != "outline-unet":
        raise CytoError(f"{place}: expected a model of outlines to go on from, got {manifest.kind_words}.")
    return bundle


def _held_out_words(learned: Sequence[AcceptedOutline], held_out: Sequence[AcceptedOutline]) -> str:
    if not held_out:
        return (
            "No accepted outline is held out, for one patient or slide has most of them; figures are of made-up fields."
        )
    groups = counted(len({each.group for each in held_out}), "patient, smear or slide", "patients, smears or slides")
    return f"{len(held_out):,} of {len(learned) + len(held_out):,} accepted outlines are held out, those of {groups}."


def _measured(config: OutlineTrainConfig, epoch: int, loss: float, left_s: float) -> Measured:
    return Measured(
        {
            "epoch": epoch,
            "epochs": config.epochs,
            "phase": 1,
            "lr": config.rate,
            "train_loss": loss if math.isfinite(loss) else None,
            "val_loss": None,
            "score": None,
            "score_name": "",
            "best_epoch": epoch,
            "metrics": {},
            "per_class_recall": {},
            "eta_s": round(left_s, 1),
            "worst": [],
        }
    )
