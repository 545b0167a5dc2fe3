"""The model card: what every model says of itself, and how it is shown."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from napari_cyto.domain.counts import counted
from napari_cyto.domain.prediction_sets import FEWEST_GROUPS_OF_SCANNER, CalibratedScanner, PredictionSets
from napari_cyto.models.manifest import Card, Kind, ModelManifest

Section = tuple[str, list[tuple[str, str]]]

ATTRIBUTIONS = {
    "cric": (
        "CC BY 4.0",
        "CRIC Cervix: Rezende et al., Scientific Data 8, 151 (2021), doi 10.1038/s41597-021-00933-8.",
    ),
    "apacc": (
        "CC BY 4.0",
        "APACC: Kupas et al., Scientific Data 11, 743 (2024), doi 10.1038/s41597-024-03596-3.",
    ),
}
"""Licence of a kind of source, and how its authors ask to be named; Source: the data papers."""

_OWN_DATA = "that of the training data, to be stated by its owner"
_LITE = "Initial weights: EfficientNet-lite trained on ImageNet, TensorFlow's authors, Apache-2.0."

_INTENDED = {
    "classifier": ("Predicts a class for each cell of a cervical smear; a cytopathologist reviews every prediction."),
    "detector": "Predicts cells on cervical smears; a cytopathologist reviews every prediction.",
    "encoder": (
        "Gives each cell a vector, by which cells that look alike are found, and classes are taught by a few examples; "
        "it names no cell by itself."
    ),
    "slide": (
        "Scores a slide as a whole from the vectors of its cells or patches, and shows what it looked at; a "
        "cytopathologist reads every slide."
    ),
    "outline": (
        "Draws the outline of the nucleus under a click, and of its cell where that can be seen; a cytologist looks at "
        "each outline that is measured."
    ),
}
TOKEN_WORDS = {
    "pooled": "what the network ends in",
    "cls": "the class token",
    "patches": "the mean of the patches' tokens",
    "both": "the class token and the mean of the patches' tokens",
}
_LIMITS = (
    "For research use only; not a medical device, and not for diagnosis without review. Trained on the slides named "
    "here: results may be worse with other stains, scanners, preparations and populations, so evaluate it on your "
    "own slides first. Classes with few training cells are the least reliable."
)


_FOREIGN_LIMITS = (
    "For research use only; not a medical device, and not for diagnosis without review. This network was made "
    "elsewhere: what it was trained on and how well it does is not known here, and its scores may not be calibrated. "
    "Evaluate it on your own slides first."
)


def card_defaults(
    kind: Kind, source_kinds: Iterable[str], first_weights: str = "none", parents: Iterable[ModelManifest] = ()
) -> dict[str, str]:
    """Return the parts of a card that follow from how a model was made.

    Parameters
    ----------
    kind : str
        ``classifier``, ``detector`` or ``encoder``.
    source_kinds : iterable of str
        Kinds of the sources it was trained on: ``cric``, ``apacc``, ``folders``, ``project``.
    first_weights : str
        What the config's field ``weights`` said.
    parents : iterable of ModelManifest
        The models it continues from; their licence and attribution are carried on.

    Returns
    -------
    dict of str to str
        ``licence``, ``attribution``, ``intended_use`` and ``limits``, for ``Card``.
    """
    licences: dict[str, None] = {}
    named: dict[str, None] = {}
    for source in sorted(set(source_kinds)):
        licence, attribution = ATTRIBUTIONS.get(source, (_OWN_DATA, ""))
        licences[licence] = None
        named[attribution] = None
    for parent in parents:
        licences.update(dict.fromkeys(parent.card.licence.split("; ")))
        named.update(dict.fromkeys(parent.card.attribution.split("\n")))
    if first_weights.startswith("package:efficientnet-lite"):
        named[_LITE] = None
    elif first_weights.startswith(("timm", "file:", "package:")):
        named[f"First weights: {first_weights}; their licence applies too."] = None
    return {
        "licence": "; ".join(x for x in licences if x) or "not stated",
        "attribution": "\n".join(x for x in named if x),
        "intended_use": _INTENDED[kind],
        "limits": _LIMITS,
    }


def foreign_card(kind: Kind, file_name: str, sha256: str, summary: str, licence: str, remarks: Iterable[str]) -> Card:
    """Return the card of a network that its owner brought as a file.

    Parameters
    ----------
    kind : str
        ``detector``, ``classifier`` or ``encoder``.
    file_name, sha256 : str
        The file, and its hash.
    summary, licence : str
        As its owner says; empty where nothing was said.
    remarks : iterable of str
        What was found out or taken by default when it was added.
    """
    return Card(
        summary=summary or f"A {kind} that was added from {file_name}.",
        licence=licence or "that of the network, to be stated by its owner",
        intended_use=_INTENDED[kind],
        limits=_FOREIGN_LIMITS,
        data={"file": file_name, "file_sha256": sha256, "found_when_added": list(remarks)},
    )


def card_sections(manifest: ModelManifest) -> list[Section]:
    """Return the card as titled lists of names and values; empty ones are left out."""
    card = manifest.card
    about = [
        ("id", manifest.id),
        ("kind", manifest.kind),
        ("architecture", manifest.architecture),
        ("summary", card.summary),
        ("intended use", card.intended_use),
        ("limits", card.limits),
        ("licence", card.licence),
        ("attribution", card.attribution),
        ("made", f"{manifest.created_utc} by {manifest.made_by}"),
        ("SHA-256 of the weights", manifest.weights_sha256),
    ]
    sections: list[Section] = [("About", about), ("Input", _input(manifest))]
    if manifest.kind == "encoder":
        sections.append(("Vector", vector_rows(manifest)))
    elif manifest.classes:
        sections.append(("Decision", _decision(manifest)))
    if manifest.prediction_sets is not None:
        sections.append(("Prediction sets", sets_rows(manifest.prediction_sets)))
    classes = [(c.id, c.name + ("" if c.parent in (None, c.id) else f", in {c.parent}")) for c in manifest.classes]
    sections.append((f"Classes ({manifest.scheme})", classes))
    sections.append(("Parents", [(p.id, f"{p.added or 'not stated'} (SHA-256 {p.sha256})") for p in manifest.parents]))
    sections += [
        (title, _flat(values))
        for title, values in (
            ("Metrics", card.metrics),
            ("File" if manifest.architecture.startswith("onnx-") else "Training data", card.data),
            ("Split", card.split),
            ("Recipe", card.recipe),
        )
    ]
    kept = [(title, [(name, value) for name, value in rows if value]) for title, rows in sections]
    return [(title, rows) for title, rows in kept if rows]


def vector_rows(manifest: ModelManifest) -> list[tuple[str, str]]:
    """Return what an encoder's vector is made of, as names and words: which tokens, how many numbers."""
    tokens = str(manifest.settings.get("tokens", "pooled"))
    made_of = TOKEN_WORDS.get(tokens, tokens)
    if manifest.settings.get("projected"):
        made_of += ", projected by a linear layer"
    length = manifest.vector_length
    return [("made of", made_of), ("numbers", "" if not length else f"{length:,}")]


def sets_rows(sets: PredictionSets) -> list[tuple[str, str]]:
    """Return what thresholds of prediction sets promise and rest on, as names and words."""
    rule = sets.high_grade
    rows = [
        ("missed cells of a class, at most", f"{100 * sets.alpha:g} % in the mean of new {sets.unit}"),
        ("calibrated on", f"{counted(sets.cells, 'cell')} of {sets.groups:,} {sets.unit}, {sets.created_utc[:10]}"),
        ("calibrated scanners", "; ".join(_scanner_words(each, sets.unit) for each in sets.scanners)),
        ("fingerprint of the data", sets.data_fingerprint),
    ]
    rows += [
        (f"in the set from, {c.id}", f"{c.threshold:.3g} ({c.cells:,} cells of {c.groups:,} {sets.unit})")
        for c in sets.classes
    ]
    if rule is not None:
        rows.append(
            (
                f"{' or '.join(rule.must_find)} without any high-grade class, at most",
                f"{100 * rule.alpha:g} %: {', '.join(rule.classes)} together from {rule.threshold:.3g}",
            )
        )
    return rows


def _scanner_words(scanner: CalibratedScanner, unit: str) -> str:
    few = "" if scanner.groups >= FEWEST_GROUPS_OF_SCANNER else f", too few: {FEWEST_GROUPS_OF_SCANNER} are needed"
    return f"{scanner.scanner or 'not named in the files'} ({scanner.groups:,} {unit}{few})"


def card_text(manifest: ModelManifest) -> str:
    """Return the card as Markdown."""
    lines = [f"# {manifest.id}"]
    for title, rows in card_sections(manifest):
        lines += ["", f"## {title}", ""]
        lines += [f"- **{name}**: {value}" for name, value in ((n, " ".join(v.split())) for n, v in rows)]
    return "\n".join(lines) + "\n"


def card_html(manifest: ModelManifest) -> str:
    """Return the card as a piece of HTML with tables; everything in it is escaped."""
    parts = [f"<h2>{html.escape(manifest.id)}</h2>"]
    for title, rows in card_sections(manifest):
        cells = "".join(f"<tr><th>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in rows)
        parts.append(f"<h3>{html.escape(title)}</h3><table>{cells}</table>")
    return "\n".join(parts)


def _input(manifest: ModelManifest) -> list[tuple[str, str]]:
    rule, colour = manifest.crop_rule, manifest.colour
    rows = [
        ("stain", manifest.stain),
        ("side, px", str(manifest.input_px)),
        ("µm per px", "" if manifest.mpp is None else f"{manifest.mpp:.4g}"),
    ]
    known = manifest.normalisation
    rows.append(
        ("normalisation", f"mean {_numbers(known.mean)}, standard deviation {_numbers(known.std)} of values 0 to 1")
    )
    if rule is not None:
        windows = " and ".join(f"{w:g}" for w in rule.windows)
        unit = "µm" if rule.unit == "um" else "px"
        rows.append(("crop", f"{windows} {unit} around the cell{', ICC colours' if rule.icc else ''}"))
    if colour is not None:
        rows.append(("colours", f"matched to {colour.picture} (Reinhard)"))
    if manifest.kind != "encoder":
        rows.append(("averaged views", str(manifest.decision.views)))
    return rows


def _numbers(values: Iterable[float]) -> str:
    """Return three numbers as words, one where all are the same."""
    words = [f"{v:.4g}" for v in values]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def _decision(manifest: ModelManifest) -> list[tuple[str, str]]:
    """Return how raw outputs become probabilities, and probabilities a called class."""
    decision = manifest.decision
    if manifest.kind == "detector":
        return [("detections from a score of", f"{decision.score_threshold:.3g}")]
    offsets = _each(manifest, decision.logit_offsets, "+.2f") or "none"
    costs = _each(manifest, decision.miss_costs, ".3g") or "the same for all"
    return [
        ("probabilities", f"softmax of the outputs over {decision.temperature:.3g}; offsets: {offsets}"),
        ("class decision", f"the largest probability times the cost of missing the class; costs: {costs}"),
    ]


def _each(manifest: ModelManifest, values: tuple[float, ...], form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in zip(manifest.class_ids, values, strict=False))


def _flat(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Return nested values as rows whose names are joined by dots; lists and what is nested deep stay JSON."""
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value and depth < 3:
            rows += _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            rows.append((f"{prefix}{name}", _shown(value)))
    return rows


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(v, float | int) for v in value):
        return "[" + ", ".join(f"{v:.4g}" for v in value) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)
