"""Our keys on a window: taken from Qt before napari or a menu sees them, and only where the eye expects it.

While a project is open the slide obeys the keys table and nothing else: a key of napari's that is not in it, whoever
bound it, does nothing to the layers. Letters mean commands only while the slide itself has the focus; typed anywhere
else they are what somebody writes beside a field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from qtpy import sip
from qtpy.QtCore import QChildEvent, QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_cyto.widgets.key_commands import pressed_combination
from napari_cyto.widgets.keys import KEYS, Key

AnyEvent = TypeVar("AnyEvent", bound=QEvent)

# What Qt calls the keys that the table calls by other names.
_QT_NAMES = {
    "PageDown": ("PgDown",),
    "PageUp": ("PgUp",),
    "Escape": ("Esc",),
    "Delete": ("Del",),
    "Enter": ("Enter", "Return"),
}
# The focus moves with these, and a modifier alone asks for nothing.
_LEFT_TO_QT = (
    Qt.Key.Key_Tab,
    Qt.Key.Key_Backtab,
    Qt.Key.Key_Shift,
    Qt.Key.Key_Control,
    Qt.Key.Key_Alt,
    Qt.Key.Key_AltGr,
    Qt.Key.Key_Meta,
)
# Held down, these go on; whatever changes an annotation must not.
_REPEATED = ("pan.", "zoom.", "lamp.", "turn.step.", "focus.")


class SlideKeys(QObject):
    """Hears every key of a window first, and passes those of the keys table on.

    Parameters
    ----------
    canvas : QWidget
        The widget with the slide.
    qt_window : QMainWindow
        The main window. What no widget with the focus wanted comes to it, to one of its docks or to napari's viewer,
        each of which would hand it to napari's layers.
    run : callable
        What gets the command of the key that was pressed.
    holds : mapping of Qt.Key to callable
        By key that means something while it is held: hears when it goes down (True) and up (False) on the slide.
    refuse : callable
        Hears of a combination, as Qt writes it, that is none of ours and has Ctrl or Alt in it: one of napari's, maybe.
    """

    def __init__(
        self,
        canvas: QWidget,
        qt_window: QWidget,
        run: Callable[[str], None],
        holds: Mapping[Qt.Key, Callable[[bool], None]],
        refuse: Callable[[str], None],
    ) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._run, self._holds, self._refuse = run, holds, refuse
        self._of_slide = combinations(KEYS)
        self._of_all = combinations(key for key in KEYS if key.anywhere)
        self.is_on = False
        for watched in (canvas, qt_window, *_between(canvas), *qt_window.findChildren(QDockWidget)):
            watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Qt's hook: what returns True here reaches neither napari nor a menu."""
        kind = event.type()
        if kind == QEvent.Type.FocusOut and watched is self._canvas:
            # The release of a key that is held will not be seen.
            for hold in self._holds.values():
                hold(False)
        if kind == QEvent.Type.ChildAdded:
            child = _as(event, QChildEvent).child()
            if isinstance(child, QDockWidget):
                child.installEventFilter(self)
        if not self.is_on:
            return False
        answer = {
            QEvent.Type.ShortcutOverride: self._claims,
            QEvent.Type.KeyPress: self._pressed,
            QEvent.Type.KeyRelease: self._released,
        }.get(kind)
        return answer is not None and answer(watched, _as(event, QKeyEvent))

    def _is_on_slide(self, watched: QObject) -> bool:
        """Whether a key is meant for the slide: it came to the canvas, and not from a button that lies on it."""
        focused = self._canvas.window().focusWidget()
        is_on_it = focused is not None and focused is not self._canvas and self._canvas.isAncestorOf(focused)
        return watched is self._canvas and not is_on_it

    def _table(self, watched: QObject) -> dict[str, str]:
        return self._of_slide if self._is_on_slide(watched) else self._of_all

    def _claims(self, watched: QObject, event: Any) -> bool:
        """Take a key from the menus; it comes back as a key press."""
        ours = _command(self._table(watched), event) is not None
        if ours:
            event.accept()
        return ours

    def _pressed(self, watched: QObject, event: Any) -> bool:
        if event.key() in _LEFT_TO_QT:
            return False
        event.accept()
        on_slide = self._is_on_slide(watched)
        command = _command(self._table(watched), event)
        hold = self._holds.get(event.key())
        if on_slide and hold is not None and not event.isAutoRepeat() and not _has_ctrl_or_alt(event):
            hold(True)
        elif command is not None:
            if not event.isAutoRepeat() or command.startswith(_REPEATED):
                self._run(command)
        elif not on_slide and event.key() == Qt.Key.Key_Escape:
            self._canvas.setFocus()
        elif _has_ctrl_or_alt(event) and not event.isAutoRepeat():
            self._refuse(pressed_combination(event))
        return True

    def _released(self, watched: QObject, event: Any) -> bool:
        hold = self._holds.get(event.key())
        if watched is self._canvas and hold is not None and not event.isAutoRepeat():
            hold(False)
        return event.key() not in _LEFT_TO_QT


def _between(canvas: QWidget) -> Iterator[QWidget]:
    """Give all widgets round the canvas."""
    holder = canvas.parentWidget()
    while holder is not None:
        yield holder
        holder = holder.parentWidget()


def _as(event: QEvent, kind: type[AnyEvent]) -> AnyEvent:
    """Return an event that says to be of a kind as what it is.

    Qt makes events on its stack, and sip takes one for the last that lay at the same address while anybody still holds
    on to that; vispy holds on to events of the mouse.
    """
    if isinstance(event, kind):
        return event
    made: AnyEvent = sip.wrapinstance(sip.unwrapinstance(event), kind)
    return made


def combinations(keys: Iterable[Key]) -> dict[str, str]:
    """Return the commands of some keys by their combinations as Qt writes them."""
    return {name: key.command for key in keys for written in key.keys for name in as_qt_writes(written)}


def as_qt_writes(combination: str) -> tuple[str, ...]:
    """Return what Qt calls a combination of the keys table or of napari's: ``Ctrl+Del`` for ``Ctrl+Delete``."""
    modifiers, plus, last = combination.rpartition("+") if combination != "+" else ("", "", "+")
    names = _QT_NAMES.get(last, (last,))
    return tuple(QKeySequence(modifiers + plus + name).toString() or combination for name in names)


def _command(table: dict[str, str], event: Any) -> str | None:
    found = table.get(pressed_combination(event))
    text = event.text()
    if found is None and text and not text.isalpha() and not _has_ctrl_or_alt(event):
        # + and ? need Shift on most keyboards, and digits on some.
        found = table.get(text)
    return found


def _has_ctrl_or_alt(event: Any) -> bool:
    chosen = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
    return bool(event.modifiers() & chosen)
