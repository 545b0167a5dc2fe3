"""What every dock is: a scrollable column that listens to a session and lets go of it when it closes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from psygnal import SignalInstance
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.deferred import Soon, later
from napari_cyto.widgets.docks import parts

MIN_WIDTH_PX = 236
REST_MS = 400


class _Body(QWidget):
    """A column as high as its wrapped texts need at the width it has, not at the narrowest."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """The width of its controls; the height comes from ``heightForWidth``."""
        return QSize(self.layout().minimumSize().width(), 0)


class Dock(QWidget):
    """A column of controls on one session.

    Parameters
    ----------
    session : Session
        Whose values it shows and whose commands it calls.
    parent : QWidget, optional
        As in Qt.
    """

    title = ""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._heard: list[tuple[SignalInstance, Callable[..., Any]]] = []
        self._waiting: list[Soon | QTimer] = []
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        body = _Body()
        self.body = QVBoxLayout(body)
        self.body.setContentsMargins(6, 4, 6, 6)
        self.body.setSpacing(parts.GAP)
        self._scroll.setWidget(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self._scroll, 1)
        # What must never scroll out of sight.
        self.footer = QVBoxLayout()
        self.footer.setContentsMargins(6, 0, 6, 0)
        self.footer.setSpacing(parts.GAP)
        outer.addLayout(self.footer)
        self.setMinimumWidth(MIN_WIDTH_PX)
        self.setWindowTitle(self.title)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Fit the theme of the window, whenever that changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            style.dress(self)

    def listen(self, signal: SignalInstance, slot: Callable[..., Any]) -> None:
        """Call ``slot`` whenever the session's ``signal`` speaks, until this dock is let go.

        What it cannot read of a damaged project is told, and whoever else listens hears the signal all the same.
        """

        @wraps(slot)
        def refresh_shown(*values: Any) -> None:
            self.do(slot, *values)

        signal.connect(refresh_shown)
        self._heard.append((signal, refresh_shown))

    def do(self, command: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Run a command of the session; what the user can mend becomes a message."""
        with self.session.telling():
            command(*args, **kwargs)

    def later(self, refresh: Callable[[], object], *, at_rest: bool = False) -> Callable[..., None]:
        """Return a slot that has ``refresh`` called once before the window is next painted, however often it is called.

        A dock that lies behind another waits until the hand rests: nobody sees it meanwhile. What nobody watches while
        the hand moves can wait ``at_rest``, too, and leaves the time to what they do watch.
        """
        refresh_shown = partial(self.do, refresh)
        soon, rested = Soon(self, refresh_shown), later(self, refresh_shown, REST_MS)
        self._waiting += [soon, rested]

        def ask(*_values: object) -> None:
            if self.isVisible() and (at_rest or not parts.is_in_sight(self)):
                rested.start()
            else:
                soon.ask()

        return ask

    def ensure_seen(self, widget: QWidget) -> None:
        """Scroll to a control of this dock."""
        self._scroll.ensureWidgetVisible(widget)

    def may_close(self) -> bool:
        """Whether the window may close; a dock with work that could outlive it asks its user."""
        return True

    def cancel_jobs(self) -> None:
        """Ask what this dock still runs to stop, without waiting for it; most docks run nothing."""

    def let_go(self) -> None:
        """Stop listening and stop what still runs; the window calls this before it goes."""
        for signal, slot in self._heard:
            signal.disconnect(slot, missing_ok=True)
        self._heard.clear()
        for each in self._waiting:
            each.stop()
