"""Datasets out of projects and into them: crops, splits that cannot leak, audits, imports and exports."""

from napari_cyto.datasets._crops import APACC_CROP_PX, pad_centred
from napari_cyto.datasets._exchange_options import (
    APACC_TEST_SHARE,
    ApaccExportOptions,
    ImportOptions,
    LabelExportOptions,
)
from napari_cyto.datasets.audit.job import audit_job
from napari_cyto.datasets.audit.report import AuditReport, Finding, Severity
from napari_cyto.datasets.export.apacc import export_apacc
from napari_cyto.datasets.export.cells import suggested_apacc_map
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.export.job import ExportOptions, export, export_fields, export_options
from napari_cyto.datasets.export.labels import export_labels
from napari_cyto.datasets.export.preview import ExportPreview, preview, preview_job
from napari_cyto.datasets.import_.classes import FOREIGN
from napari_cyto.datasets.import_.job import import_labels, source_classes
from napari_cyto.datasets.splits.split import Split

__all__ = [
    "APACC_CROP_PX",
    "APACC_TEST_SHARE",
    "FOREIGN",
    "ApaccExportOptions",
    "AuditReport",
    "ExportOptions",
    "ExportPreview",
    "Finding",
    "ImageExportOptions",
    "ImportOptions",
    "LabelExportOptions",
    "Severity",
    "Split",
    "audit_job",
    "colour_match",
    "colour_preview",
    "crop_rule",
    "export",
    "export_apacc",
    "export_fields",
    "export_labels",
    "export_options",
    "import_labels",
    "pad_centred",
    "patches",
    "preview",
    "preview_job",
    "slide_look",
    "source_classes",
    "suggested_apacc_map",
]
