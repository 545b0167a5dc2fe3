"""Our keys on a viewer: on each layer that could swallow them, and on the viewer for when none is active.

napari asks the active layer's own keys first, then those of its class (where ``1`` and ``3`` delete), then the
viewer's. So only what is bound on the layer itself wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QWidget

from napari_cyto.session.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = "Space"


class KeyBindings:
    """Bind every key of the keys table to one function, and take them off again.

    Parameters
    ----------
    run : callable
        What gets the command of the key that was pressed.
    hold_to_pan : callable
        What is told when Space goes down (True) and up (False).
    """

    def __init__(self, run: Callable[[str], None], hold_to_pan: Callable[[bool], None]) -> None:
        self._run = run
        self._hold_to_pan = hold_to_pan
        self._bound: list[tuple[Any, str, Callable[..., Any] | None]] = []

    def bind(self, provider: Any) -> None:
        """Bind our keys on a viewer or layer; what was bound on it before comes back with `release`."""
        if any(known is provider for known, _, _ in self._bound):
            return
        for key in KEYS:
            for combination in key.keys:
                self._bind(provider, combination, self._action(key.command))
        self._bind(provider, _SPACE, self._hold())

    def release(self, provider: Any | None = None) -> None:
        """Take our keys off one viewer or layer, or off all."""
        kept = []
        for known, combination, before in self._bound:
            if provider is None or known is provider:
                known.bind_key(combination, before, overwrite=True)
            else:
                kept.append((known, combination, before))
        self._bound = kept

    def _bind(self, provider: Any, combination: str, action: Callable[..., Any]) -> None:
        before = provider.bind_key(combination, action, overwrite=True)
        self._bound.append((provider, combination, before))

    def _action(self, command: str) -> Callable[[Any], None]:
        def action(_provider: Any) -> None:
            self._run(command)

        return action

    def _hold(self) -> Callable[[Any], Iterator[None]]:
        def hold(_provider: Any) -> Iterator[None]:
            self._hold_to_pan(True)
            yield
            self._hold_to_pan(False)

        return hold


class ShortcutGuard(QObject):
    """Keep menu shortcuts (napari's Ctrl+Y among them) from taking our keys, unless something is being typed.

    Qt asks the focused widget and then its parents whether they want a key more than the menu does. Fields for
    text say yes; for all else the main window says it here, and napari hands it the key press to the canvas.

    Parameters
    ----------
    canvas : QWidget
        The widget with the slide.
    qt_window : QWidget
        The main window.
    focus_lost : callable
        What to call when keys go elsewhere: the release of one that is held will not be seen.
    """

    def __init__(self, canvas: QWidget, qt_window: QWidget, focus_lost: Callable[[], None]) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._focus_lost = focus_lost
        self._ours = {QKeySequence(combination).toString() for key in KEYS for combination in key.keys}
        self.is_on = False
        canvas.installEventFilter(self)
        qt_window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's hook: a ShortcutOverride that is accepted comes back as a key press to the canvas."""
        if event is not None and event.type() == QEvent.Type.FocusOut and watched is self._canvas:
            self._focus_lost()
        if self.is_on and event is not None and event.type() == QEvent.Type.ShortcutOverride:
            modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
            pressed = QKeySequence(_combined(modifiers, event.key())).toString()
            if pressed in self._ours:
                event.accept()
        return bool(super().eventFilter(watched, event))


def _combined(modifiers: Any, key: int) -> int:
    """Return key and modifiers as one number; PyQt6 and PyQt5 disagree on whether modifiers are numbers."""
    return int(getattr(modifiers, "value", modifiers)) | int(key)
