"""Reports as one self-contained page: no script, nothing fetched, prints on A4."""

from __future__ import annotations

from napari_cyto.evaluation.report.content import Example, ReportCurves
from napari_cyto.evaluation.report.page import check_report_place, report_page, write_report

__all__ = [
    "Example",
    "ReportCurves",
    "check_report_place",
    "content",
    "markup",
    "page",
    "parts",
    "report_page",
    "tables",
    "write_report",
]
