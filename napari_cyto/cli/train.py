"""The verb ``train``: a detector or a classifier from labelled cells, an encoder from images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.cli.score_tables import ESTIMATE_HEADS, estimated, report_detection, report_few
from napari_cyto.errors import CytoError
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.manifest import Kind
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.encoder.lightly_installed import need_lightly
from napari_cyto.training.outline.outline_config import outline_recipe
from napari_cyto.training.recipes import DEFAULTS, all_recipes, recipe, with_settings
from napari_cyto.training.run_settings import RunSettings


def list_recipes(as_json: bool) -> None:
    """Print the recipes that ship."""
    recipes, of_outlines = all_recipes(), outline_recipe()
    if as_json:
        defaults = set(DEFAULTS.values())
        each = [{"default": c.name in defaults, "kind": c.model.kind, **c.model_dump(mode="json")} for c in recipes]
        print_json({"recipes": [*each, {"default": True, **of_outlines.model_dump(mode="json")}]})
        return
    rows: list[tuple[str, ...]] = [
        (f"{c.name}{' (default)' if c.name in DEFAULTS.values() else ''}", c.model.kind, c.model.backbone, c.summary)
        for c in recipes
    ]
    rows.append((f"{of_outlines.name} (default)", "outline", "its own", of_outlines.summary))
    print_table("Recipes", ("recipe", "trains", "backbone", "purpose"), rows)
    deviating = [(c.name, c.source, c.deviations) for c in recipes]
    deviating.append((of_outlines.name, of_outlines.source, of_outlines.deviations))
    for name, source, deviations in deviating:
        if deviations:
            print(f"{name} departs from its source ({source}):")
            for sentence in deviations:
                print(f"  - {sentence}")


def run(
    kind: str | None,
    sources: Sequence[str],
    out: Path | None,
    recipe_name: str | None,
    settings: Sequence[str],
    resume: bool,
    parent: Path | None,
    folds: int | None,
    as_json: bool,
) -> None:
    """Train a model and print its metrics.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    checked_kind = _kind(kind)
    if out is None or not (sources or resume):
        raise CytoError(
            "Expected annotated cells (for an encoder, images) and a folder for the model; add --data SRC and --out "
            "BUNDLE."
        )
    kept = RunSettings.of(RunFolder.of(out)) if resume else None
    config = _config(checked_kind, recipe_name, settings, kept)
    if kept is not None:
        sources, parent = sources or kept.sources, parent or kept.parent
    if checked_kind == "encoder":
        if folds is not None:
            raise CytoError(
                "An encoder is not cross-validated; `napari-cyto evaluate encoders` measures what it is good for."
            )
        need_lightly()
    start_for_networks("Training")
    from napari_cyto.training.cross_validation import cross_validate
    from napari_cyto.training.run import train

    title = f"Training {out.name}"
    if folds is None:
        result = follow(lambda token: train(config, tuple(sources), out, token, resume, parent), title)
    elif parent is not None:
        raise CytoError(
            "A fine-tuned model cannot be cross-validated, for its parent was trained on the test cells; leave out "
            "--parent or --cross-validate."
        )
    else:
        result = follow(lambda token: cross_validate(config, tuple(sources), out, folds, token), title)
    if as_json:
        print_json(result)
    else:
        _report(result)


def scale_by_nuclei(kind: str | None) -> str:
    """Return the setting that ``--scale-by-nuclei`` stands for.

    Raises
    ------
    CytoError
        When another model than an encoder is trained, whose sizes have to be measured ones.
    """
    if kind != "encoder":
        raise CytoError(
            f"Expected --scale-by-nuclei with an encoder, got it with {kind or 'nothing'}; state the µm per px after "
            "the source, as in folders:DIR@0.25 (`napari-cyto info IMAGE --scale-by-nuclei` estimates it)."
        )
    return "model.scale_by_nuclei=true"


def _config(kind: Kind, recipe_name: str | None, settings: Sequence[str], kept: RunSettings | None) -> TrainConfig:
    """Return the recipe as asked for now, else as the run that goes on was asked for."""
    if kept is not None and recipe_name is None:
        return with_settings(kept.config, settings)
    return with_settings(recipe(recipe_name, kind), settings)


def _kind(kind: str | None) -> Kind:
    if kind == "classifier":
        return "classifier"
    if kind == "detector":
        return "detector"
    if kind == "encoder":
        return "encoder"
    came = "nothing" if kind is None else repr(kind)
    raise CytoError(
        f"Expected 'detector', 'classifier', 'encoder', 'slide' or 'outline', got {came}: napari-cyto train "
        "detector|classifier|encoder|slide|outline ..."
    )


def _report(result: dict[str, Any]) -> None:
    from napari_cyto.evaluation.scores import ClassifierScores, DetectorScores

    metrics, side = result["metrics"], result["side"]
    print_facts((name, result[name]) for name in ("bundle", "id", "side", "epochs", "seconds") if name in result)
    for fold in result.get("folds", ()):
        print_facts([("fold", f"{fold['id']}, {fold['epochs']} epochs: {fold['bundle']}")])
    if encoder := metrics.get("encoder"):
        print_facts((name, round(value, 4)) for name, value in encoder.items())
        return
    is_detector = bool(metrics.get("detection"))
    found: ClassifierScores | None
    if is_detector:
        scores = DetectorScores.from_json(metrics)
        report_detection(scores.detection)
        found = scores.found_cells
    else:
        found = ClassifierScores.from_json(metrics) if metrics.get("classification") else None
    if found:
        own = found.classification.intervals
        names = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auroc", "quadratic_kappa")
        rows = [estimated(name, getattr(own, name)) for name in names]
        of = f"Of the {found.classification.n:,} cells found, " if is_detector else ""
        where = side if side == "out of fold" else f"on the {side} set"
        title = f"{of}{where}"
        print_table(title[:1].upper() + title[1:], ESTIMATE_HEADS, rows)
        report_few(rows)
