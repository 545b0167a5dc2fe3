"""Controls for a narrow dock and letters of any size: rows and words wrap, and what is cut is said in a tooltip."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPoint, QRect, QSize, Qt
from qtpy.QtGui import QIcon, QPaintEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLabel,
    QLayout,
    QLayoutItem,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)

_UNBOUND_PX = 10_000
_CHECK_GAP_PX = 6
# A zero-width space: a place to break a name that has no blanks.
BREAK = "\u200b"
# Round the words of a label, as napari's style has it.
LABEL_PAD_PX = 4
# What a list or button shows at least of its words when there is no room for more.
_LEAST_LETTERS = 5
# Round the words of a button or a list, with the arrow of the latter.
_BUTTON_PAD_PX, _CHOICE_PAD_PX = 12, 48
# Round a number that can be stepped, with the signs for that, as napari's style has them.
_SPIN_PAD_PX, _USUAL_NUMBER = 66, "00000"


class FlowLayout(QLayout):
    """Widgets side by side, on further lines where the width does not hold them.

    Parameters
    ----------
    stretch : int, optional
        The widget that takes what is left over; all share it unless given.
    columns : int
        At most so many columns of one width; 0 for lines in which each widget has the width that it needs.
    gap_px : int
        Between two widgets.
    """

    def __init__(self, parent: QWidget, stretch: int | None = None, columns: int = 0, gap_px: int = 4) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._stretch = stretch
        self._columns = columns
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(gap_px)

    def addItem(self, item: QLayoutItem) -> None:  # noqa: N802  Qt's name
        """Add at the end."""
        self._items.append(item)

    def count(self) -> int:
        """How many there are."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # noqa: N802  Qt's name
        """Return one, or None."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # noqa: N802  Qt's name
        """Take one out, or return None."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientations:  # noqa: N802  Qt's name
        """As wide as there is room."""
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:  # noqa: N802  Qt's name
        """A narrow one is higher."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802  Qt's name
        """Return the height of all lines."""
        return self._place(QRect(0, 0, width, 0), for_real=False)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """All on one line."""
        shown = self._shown()
        wide = sum(map(_needed, shown)) + self.spacing() * max(0, len(shown) - 1)
        return QSize(wide, self.heightForWidth(wide))

    def minimumSize(self) -> QSize:  # noqa: N802  Qt's name
        """As narrow as the widest of them may become."""
        shown = self._shown()
        return QSize(
            max((i.minimumSize().width() for i in shown), default=0),
            max((i.sizeHint().height() for i in shown), default=0),
        )

    def setGeometry(self, rect: QRect) -> None:  # noqa: N802  Qt's name
        """Put all in their places."""
        super().setGeometry(rect)
        self._place(rect, for_real=True)

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> list[list[QLayoutItem]]:
        shown = self._shown()
        if self._columns and shown:
            widest = max(map(_needed, shown)) + self.spacing()
            columns = max(1, min(self._columns, (width + self.spacing()) // widest))
            return [shown[i : i + columns] for i in range(0, len(shown), columns)]
        lines: list[list[QLayoutItem]] = []
        room = -1
        for item in shown:
            if not lines or room < _needed(item):
                lines.append([])
                room = width
            lines[-1].append(item)
            room -= _needed(item) + self.spacing()
        return lines

    def _widths(self, line: Sequence[QLayoutItem], width: int, columns: int) -> list[int]:
        gaps = self.spacing() * (len(line) - 1)
        if self._columns:
            return [(width - self.spacing() * (columns - 1)) // columns] * len(line)
        needed = [_needed(item) for item in line]
        share = (width - gaps) // len(line)
        greedy = None if self._stretch is None else self._items[self._stretch]
        if greedy is None and max(needed) <= share and not any(map(_is_fixed, line)):
            return [share] * len(line)
        spare = max(0, width - gaps - sum(needed))
        free = [n for n, item in enumerate(line) if not _is_fixed(item)] or list(range(len(line)))
        takers = [n for n, item in enumerate(line) if item is greedy] or free
        return [min(width, px + (spare // len(takers) if n in takers else 0)) for n, px in enumerate(needed)]

    def _place(self, rect: QRect, *, for_real: bool) -> int:
        lines = self._lines(rect.width())
        columns = max(map(len, lines), default=1)
        y = rect.y()
        for line in lines:
            widths = self._widths(line, rect.width(), columns)
            heights = [_height(item, width) for item, width in zip(line, widths, strict=True)]
            x = rect.x()
            for item, width, height in zip(line, widths, heights, strict=True):
                if for_real:
                    item.setGeometry(QRect(QPoint(x, y + (max(heights) - height) // 2), QSize(width, height)))
                x += width + self.spacing()
            y += max(heights) + self.spacing()
        return max(0, y - self.spacing() - rect.y()) if lines else 0


def _needed(item: QLayoutItem) -> int:
    """Return the width at which nothing of a widget is cut, px."""
    widget = item.widget()
    if isinstance(widget, QLabel) and widget.wordWrap():
        return longest_word_px(widget)
    if widget is not None and isinstance(widget.layout(), FlowLayout):
        return int(widget.layout().sizeHint().width())
    if isinstance(widget, QAbstractSpinBox):
        longest = max((widget.text() + "0", _USUAL_NUMBER), key=len)
        return int(widget.fontMetrics().horizontalAdvance(longest)) + _SPIN_PAD_PX
    if isinstance(widget, QAbstractButton | Choice):
        return int(max(item.minimumSize().width(), min(item.sizeHint().width(), item.maximumSize().width())))
    return int(item.minimumSize().width())


def _is_fixed(item: QLayoutItem) -> bool:
    widget = item.widget()
    return widget is not None and widget.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Fixed


def longest_word_px(label: QLabel) -> int:
    """Return the width under which a label that wraps would cut a word, px."""
    words = label.text().replace(BREAK, " ").split()
    return max((int(label.fontMetrics().horizontalAdvance(word)) for word in words), default=0) + LABEL_PAD_PX


def _height(item: QLayoutItem, width: int) -> int:
    return int(item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height())


class Button(QPushButton):
    """A push button that cuts its words only where the dock is narrower than they are; its tooltip says all."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As high as words need, also where it has but an icon."""
        hint = super().sizeHint()
        return QSize(hint.width(), max(hint.height(), self.fontMetrics().height() + _BUTTON_PAD_PX // 2))

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As wide as its icon and a few letters."""
        whole = self.sizeHint()
        least = self.fontMetrics().averageCharWidth() * _LEAST_LETTERS + self._icon_px() + _BUTTON_PAD_PX
        return QSize(min(whole.width(), least), whole.height())

    @property
    def is_cut(self) -> bool:
        """Whether not all of its words are seen."""
        return bool(self.fontMetrics().horizontalAdvance(self.text()) > self._room_px())

    def event(self, event: QEvent) -> bool:
        """Say in the tooltip what is cut."""
        if event.type() == QEvent.Type.ToolTip and self.is_cut:
            QToolTip.showText(event.globalPos(), f"{self.text()}\n{self.toolTip()}", self)
            return True
        return bool(super().event(event))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's name
        """Cut with an ellipsis rather than in the middle of a letter."""
        if not self.is_cut:
            super().paintEvent(event)
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self._room_px())
        QStylePainter(self).drawControl(QStyle.ControlElement.CE_PushButton, option)

    def _icon_px(self) -> int:
        return 0 if self.icon().isNull() else int(self.iconSize().width()) + 4

    def _room_px(self) -> int:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        inside = self.style().subElementRect(QStyle.SubElement.SE_PushButtonContents, option, self)
        return int(inside.width()) - self._icon_px()


class Choice(QComboBox):
    """A list to choose from that may become narrower than its words; its tooltip then begins with them."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As wide as a few letters."""
        whole = self.sizeHint()
        least = self.fontMetrics().averageCharWidth() * _LEAST_LETTERS + _CHOICE_PAD_PX
        return QSize(min(whole.width(), least), whole.height())

    @property
    def is_cut(self) -> bool:
        """Whether not all of the words that are chosen are seen."""
        return bool(self.fontMetrics().horizontalAdvance(self.currentText()) > self._room_px())

    def event(self, event: QEvent) -> bool:
        """Say in the tooltip what is cut."""
        if event.type() == QEvent.Type.ToolTip and self.is_cut:
            QToolTip.showText(event.globalPos(), f"{self.currentText()}\n{self.toolTip()}", self)
            return True
        return bool(super().event(event))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's name
        """Cut with an ellipsis rather than in the middle of a letter."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideRight, self._room_px()
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _room_px(self) -> int:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        icon_px = 0 if option.currentIcon.isNull() else int(self.iconSize().width()) + 4
        return int(field.width()) - icon_px


class Check(QCheckBox):
    """A check box whose words wrap."""

    def __init__(self, words: str = "") -> None:
        super().__init__(words)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As wide as its longest word."""
        longest = max((self.fontMetrics().horizontalAdvance(word) for word in self.text().split()), default=0)
        return QSize(self._before_px() + longest + 2, super().sizeHint().height())

    def heightForWidth(self, width: int) -> int:  # noqa: N802  Qt's name
        """As high as its words need, wrapped."""
        room = max(1, width - self._before_px())
        wrapped = self.fontMetrics().boundingRect(QRect(0, 0, room, _UNBOUND_PX), Qt.TextFlag.TextWordWrap, self.text())
        return max(int(super().sizeHint().height()), int(wrapped.height()) + 2)

    def hitButton(self, place: QPoint) -> bool:  # noqa: N802  Qt's name
        """All of its words can be clicked."""
        return bool(self.rect().contains(place))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's name
        """Draw the box as the theme has it, and the words beside it."""
        painter, option = QStylePainter(self), QStyleOptionButton()
        self.initStyleOption(option)
        # Its own copy: what the option has is the option's, and empty as soon as the option's is.
        words, icon, option.text = option.text, self.icon(), ""
        option.icon = QIcon()
        painter.drawControl(QStyle.ControlElement.CE_CheckBox, option)
        place = self.rect().adjusted(self._before_px(), 0, 0, 0)
        if not icon.isNull():
            side = self.iconSize().width()
            icon.paint(painter, QRect(place.x() - side - 4, (self.height() - side) // 2, side, side))
        flags = int(Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextWordWrap)
        enabled = self.isEnabled()
        self.style().drawItemText(painter, place, flags, option.palette, enabled, words, self.foregroundRole())

    def _before_px(self) -> int:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        box = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        icon_px = 0 if self.icon().isNull() else int(self.iconSize().width()) + 4
        return int(box.right()) + _CHECK_GAP_PX + icon_px
