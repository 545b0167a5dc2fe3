"""A list of the categories of the report on a slide, to choose one from, and the one of the slide on screen."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.interpretation import CATEGORIES, Interpretation
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice

SEVERAL = "Multiple values"
TIP = "The category of the report on this slide as a whole (Bethesda 2014); where it names two, the more severe one."


class InterpretationChoice(Choice):
    """Lets a category be chosen; ``category`` is its id, empty for none, None while several are kept as they are."""

    def __init__(self, held: Collection[str] = ("",)) -> None:
        super().__init__()
        self.setToolTip(TIP)
        self.setAccessibleName("interpretation")
        if len(set(held)) > 1:
            self.addItem(SEVERAL, None)
        self.addItem("Not specified", "")
        for category in CATEGORIES:
            same = category.name == category.id
            self.addItem(category.name if same else f"{category.id}: {category.name}", category.id)
            self.setItemData(self.count() - 1, category.name, Qt.ItemDataRole.ToolTipRole)
        if len(set(held)) == 1:
            self.show_category(next(iter(held)))

    @property
    def category(self) -> str | None:
        """What is chosen."""
        chosen: str | None = self.currentData()
        return chosen

    def show_category(self, category: str) -> None:
        """Show a category as the chosen one."""
        self.setCurrentIndex(self.findData(category))


class SlideInterpretation(QWidget):
    """Shows the interpretation of the slide on screen, and keeps another one that is chosen."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.choice = InterpretationChoice()
        self.choice.activated.connect(lambda _index: self._keep())
        self.given = parts.text(colour=style.QUIET)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(parts.text("Interpretation of the slide", bold=True))
        layout.addWidget(self.choice)
        layout.addWidget(self.given)

    def show_slide(self) -> None:
        """Show what holds of the slide that is on screen now."""
        project, slide = self._session.project, self._session.slide
        self.setVisible(project is not None and slide is not None)
        if project is None or slide is None:
            return
        said = project.slide(slide.id).interpretation
        self.choice.show_category(said.category if said else "")
        self.given.setText(", ".join(part for part in (said.by, said.at[:10]) if part) if said else "")
        self.given.setVisible(bool(self.given.text()))
        history = [entry.words for entry in project.interpretation_history(slide.id)]
        self.choice.setToolTip("\n".join([TIP, *history[-8:]]))

    def _keep(self) -> None:
        slide, category = self._session.slide, self.choice.category
        if slide is None or category is None:
            return
        with self._session.telling():
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            said = Interpretation(category, self._session.author, now) if category else None
            self._session.facts.interpret({slide.id: said})
        self.show_slide()
