"""Names for patients within one export."""

from __future__ import annotations

import uuid


class PatientAliases:
    """Names that are good within one export: whose cells these are is nobody's business outside the project."""

    def __init__(self) -> None:
        self._export, self._names = uuid.uuid4().hex[:8], dict[str, str]()

    def of(self, patient: str) -> str:
        """Return the name of a patient, always the same; empty where nobody knows who it is."""
        if not patient:
            return ""
        return self._names.setdefault(patient, f"patient-{self._export}-{len(self._names) + 1}")
