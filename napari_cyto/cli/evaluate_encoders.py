"""What ``evaluate encoders`` runs and prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.cli.score_tables import shown, span
from napari_cyto.domain.statistics import FEW_GROUPS

if TYPE_CHECKING:
    from napari_cyto.domain.statistics.bootstrap import Estimate
    from napari_cyto.evaluation.encoders.encoder_table_config import EncoderTableConfig
    from napari_cyto.evaluation.encoders.table import EncoderTable


def run(encoders: Sequence[str], sources: Sequence[str], config: EncoderTableConfig, as_json: bool) -> None:
    """Compare encoders and print their table.

    Parameters
    ----------
    encoders : sequence of str
        Folders, or names in the library.
    sources : sequence of str
        Where the annotated cells are.
    config : EncoderTableConfig
        How they are compared.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    start_for_networks("Comparing encoders")
    from napari_cyto.evaluation.encoders.job import compare_encoders

    found: EncoderTable = follow(lambda token: compare_encoders(encoders, sources, config, token), "Comparing encoders")
    if as_json:
        print_json(found.to_json())
        return
    heads = ("encoder", "numbers", "MB", "crops/s", "runtime", "licence")
    print_table(
        "Encoders",
        heads,
        [
            (e.name, f"{e.length:,}", f"{e.megabytes:.1f}", f"{e.crops_per_s:,.0f}", e.runtime, e.licence)
            for e in found.encoders
        ],
    )
    for place, data in enumerate(found.data):
        rows = [
            (
                found.encoders[row.encoder].name,
                *(
                    _with_span(estimate)
                    for estimate in (
                        row.scores.linear,
                        row.scores.linear_balanced,
                        row.scores.neighbours,
                        row.scores.neighbours_balanced,
                        row.scores.few,
                        row.scores.few_balanced,
                    )
                ),
            )
            for row in found.rows
            if row.data == place
        ]
        few = f"{config.shots} a class"
        columns = ("encoder", "linear", "balanced", "neighbours", "balanced", few, "balanced")
        print_table(f"{data.source}, {data.view}", columns, rows)
        flag = " (few: one of them moves the figures)" if data.groups < FEW_GROUPS else ""
        print(f"{sum(data.cells.values()):,} cells of {data.images:,} images in {data.groups:,} groups{flag}.")
        _print_images(found, place)
    for sentence in found.remarks:
        print(sentence)


def _print_images(found: EncoderTable, place: int) -> None:
    """Print how well images of one data set are distinguished as a whole, where they could be."""
    rows = [(found.encoders[row.encoder].name, row.bags) for row in found.rows if row.data == place and row.bags]
    if not rows:
        return
    first = rows[0][1]
    print_table(
        f"{found.data[place].source}, images as a whole ({first.label})",
        ("encoder", "AUROC", "balanced", "accuracy"),
        [
            (
                name,
                f"{bags.auroc:.3f} ± {bags.auroc_sd:.3f}",
                f"{bags.balanced:.3f} ± {bags.balanced_sd:.3f}",
                f"{bags.accuracy:.3f} ± {bags.accuracy_sd:.3f}",
            )
            for name, bags in rows
        ],
    )
    print(
        f"Attention over the cells of an image: mean ± standard deviation over {first.splits:,} splits; "
        f"{first.positive:,} of {first.bags:,} images are positive."
    )


def _with_span(estimate: Estimate) -> str:
    return f"{shown(estimate.value)} ({span(estimate)})"
