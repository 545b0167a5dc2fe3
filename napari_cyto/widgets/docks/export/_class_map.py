"""Which APACC class each class of a project becomes, where the project's scheme does not say it."""

from __future__ import annotations

from collections.abc import Collection

from napari_cyto.datasets import suggested_apacc_map
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.presets import preset
from napari_cyto.store import Project
from napari_cyto.widgets.docks.class_map_rows import ClassMapRows

KEPT_AS = "export.apacc.class_map"
SENTENCE = "Some classes have no counterpart in APACC. Choose a class for each; the project remembers it."


class ApaccMap(ClassMapRows):
    """Shown only where a class in use has no counterpart in APACC; what is chosen stays with the project."""

    def __init__(self) -> None:
        super().__init__(SENTENCE)
        self._project: Project | None = None
        self._targets_of_apacc = [(c.id, c.id) for c in preset("apacc").classes]
        self.changed.connect(self._keep)

    def show_project(self, project: Project | None, statuses: Collection[Status]) -> None:
        """Show what the export of ``project``'s marks of these statuses needs; None shows nothing."""
        self._project = project
        suggested = None
        if project is not None:
            used = [c for c, n in project.counts(statuses=statuses).items() if c is not None and n]
            suggested = suggested_apacc_map(project.scheme, used)
        if project is None or suggested is None:
            self.show_rows({}, self._targets_of_apacc)
            return
        kept = project.setting(KEPT_AS, {})
        known = {target for target, _ in self._targets_of_apacc}
        chosen = {c: kept[c] if kept.get(c) in known else target for c, target in suggested.items()}
        self.show_rows(chosen, self._targets_of_apacc)

    def option(self) -> dict[str, str] | None:
        """Return the class map for the export, or None where the shipped ones do."""
        return {c: target for c, target in self.values().items() if target} if self.boxes else None

    def _keep(self) -> None:
        if self._project is not None:
            kept = {**self._project.setting(KEPT_AS, {}), **self.values()}
            self._project.set_setting(KEPT_AS, kept)
