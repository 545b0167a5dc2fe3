"""What a key press asks for in a list or a map of cells, which have a keys table of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence

from napari_cyto.widgets.keys import Key

# On most keyboards + and ? need Shift.
_BY_TEXT = {"+": "larger", "-": "smaller", "?": "help"}


def commands_of(keys: Iterable[Key]) -> dict[str, str]:
    """Return the commands of some keys by their combinations as Qt writes them."""
    return {QKeySequence(k).toString(): key.command for key in keys for k in key.keys}


def pressed_combination(event: Any) -> str:
    """Return what was pressed as Qt writes it, whatever keyboard or part of it; PyQt6's modifiers are no numbers."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    return str(QKeySequence(int(getattr(modifiers, "value", modifiers)) | int(event.key())).toString())


def pressed_command(commands: Mapping[str, str], event: Any) -> str | None:
    """Return what a key asks for, by the commands of `commands_of`; None for nothing."""
    return commands.get(pressed_combination(event)) or _BY_TEXT.get(event.text())


def claims(commands: Mapping[str, str], event: QEvent) -> bool:
    """Claim a key of ours before napari's menus do; return whether the event was that and is done with."""
    if event.type() != QEvent.Type.ShortcutOverride or pressed_command(commands, event) is None:
        return False
    event.accept()
    return True
