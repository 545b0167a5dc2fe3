"""What an audit found, as values that read well as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from napari_cyto.domain.counts import counted

Row = Mapping[str, Any]


class Severity(StrEnum):
    """How bad a finding is; only errors make an audit fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an audit found.

    Parameters
    ----------
    kind : str
        A short name that stays the same: ``same_smear``, ``near_duplicate`` ...
    severity : Severity
        ``error`` for leaks and broken labels.
    detail : str
        One sentence.
    rows : tuple of mapping
        What it is about, one JSON-able row each; all of them, however many.
    leak : bool
        Whether train and test share something.
    """

    kind: str
    severity: Severity
    detail: str
    rows: tuple[Row, ...] = ()
    leak: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON-able values."""
        return {
            "kind": self.kind,
            "severity": str(self.severity),
            "leak": self.leak,
            "detail": self.detail,
            "rows": [dict(row) for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All findings on one dataset, the worst first."""

    source: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is neither a leak nor another error."""
        return not any(f.severity is Severity.ERROR for f in self.findings)

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that say that train and test share something."""
        return tuple(f for f in self.findings if f.leak)

    @property
    def summary(self) -> str:
        """One sentence for people."""
        if self.leaks:
            return "Training and test set share data: " + " ".join(f.detail for f in self.leaks)
        errors = sum(f.severity is Severity.ERROR for f in self.findings)
        if errors:
            return f"No leak was found, but {counted(errors, 'kind')} of error."
        warnings = sum(f.severity is Severity.WARNING for f in self.findings)
        return "No leak and no error was found" + (
            f", but {counted(warnings, 'kind')} of warning." if warnings else "."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values: ``ok``, ``source``, ``verdict`` (the summary), ``findings``."""
        findings = [f.to_json() for f in self.findings]
        return {"ok": self.ok, "source": self.source, "verdict": self.summary, "findings": findings}


def report(source: str, findings: list[Finding]) -> AuditReport:
    """Return the report of ``findings``, errors first, otherwise in their order."""
    order = list(Severity)
    return AuditReport(source, tuple(sorted(findings, key=lambda f: order.index(f.severity))))
