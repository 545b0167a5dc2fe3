"""Datasets out of projects and into them: crops, splits that cannot leak, audits, imports and exports."""

from napari_cyto.datasets.apacc_export import export_apacc
from napari_cyto.datasets.audit import audit, audit_job
from napari_cyto.datasets.audit_report import AuditReport, Finding, Severity
from napari_cyto.datasets.crops import APACC_CROP_PX, pad_centred
from napari_cyto.datasets.import_labels import import_labels
from napari_cyto.datasets.options import ApaccExportOptions, ImportOptions, LabelExportOptions
from napari_cyto.datasets.split import APACC_TEST_SHARE, Split, split_by_group

__all__ = [
    "APACC_CROP_PX",
    "APACC_TEST_SHARE",
    "ApaccExportOptions",
    "AuditReport",
    "Finding",
    "ImportOptions",
    "LabelExportOptions",
    "Severity",
    "Split",
    "audit",
    "audit_job",
    "export_apacc",
    "import_labels",
    "pad_centred",
    "split_by_group",
]
