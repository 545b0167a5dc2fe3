"""Going to places of a slide: by coordinates, and by bookmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication, QInputDialog

from napari_cyto.domain.bookmark import Bookmark, words_of_place
from napari_cyto.domain.geometry import YX
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.keys import key_of
from napari_cyto.widgets.microscope._bookmark_list import BookmarkList
from napari_cyto.widgets.microscope._place_dialog import PlaceDialog

if TYPE_CHECKING:
    from napari import Viewer


class Places:
    """Takes a window's view to places, and keeps some.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose view that is.
    session : Session
        Whose slides they are on.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self._viewer, self._session = viewer, session
        self._list: BookmarkList | None = None
        self.commands: Mapping[str, Callable[[], object]] = {
            "place": self.ask_place,
            "bookmark": self.bookmark_here,
            "bookmarks": self.toggle_list,
        }

    def let_go(self) -> None:
        """Put the list away."""
        if self._list is not None:
            self._list.close()

    @property
    def bookmark_list(self) -> BookmarkList | None:
        """The list of bookmarks, while it is shown."""
        return self._list

    def rows_at(self, yx: YX) -> list[tuple[str, Callable[[], object]]]:
        """Return what a right click on a place (level-0 px) offers."""
        return [
            (f"Bookmark this place…\t{key_of('bookmark')}", lambda: self.ask_note(yx)),
            (f"Copy coordinates ({words_of_place(yx)})", lambda: self._copy(yx)),
        ]

    def ask_place(self) -> PlaceDialog:
        """Ask for coordinates, and go there."""
        dialog = PlaceDialog(napari_window.qt_window(self._viewer), self._session, self._middle_yx, self._look_at)
        dialog.show()
        return dialog

    def bookmark_here(self) -> None:
        """Keep the place in the middle of the view."""
        self.ask_note(self._middle_yx)

    def ask_note(self, yx: YX) -> None:
        """Ask for a note, and keep a place of the slide on screen (level-0 px) with it."""
        slide_id = self._session.need_slide().id
        per_px = 1 / (float(napari_window.camera_of(self._viewer).zoom) * self._scale)

        def keep(note: str) -> None:
            with self._session.telling():
                if self._session.slide is None or self._session.slide.id != slide_id:
                    raise CytoError("Nothing was bookmarked, because another slide came on screen meanwhile.")
                self._session.bookmarks.add(yx, per_px, note)
                self._session.message.emit(f"Bookmarked. {key_of('bookmarks')} lists all bookmarks.")

        dialog = QInputDialog(napari_window.qt_window(self._viewer))
        dialog.setWindowTitle("Bookmark")
        dialog.setLabelText(f"Note on the place {words_of_place(yx)}")
        dialog.textValueSelected.connect(keep)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def toggle_list(self) -> None:
        """Show the bookmarks in a small window, or put it away."""
        if self._list is not None:
            self._list.close()
            return
        parent = napari_window.qt_window(self._viewer)
        shown = self._list = BookmarkList(parent, self._session, self.go, self.bookmark_here)
        shown.finished.connect(self._forget_list)
        shown.show()

    def go(self, bookmark: Bookmark) -> None:
        """Show the place of a bookmark as near as it was looked at.

        Raises
        ------
        CytoError
            When its slide is no longer in the project.
        """
        if all(record.id != bookmark.slide_id for record in self._session.need_project().slides()):
            raise CytoError("The slide of this bookmark was removed from the project; add it again to go there.")
        self._session.slides.go_to(bookmark.slide_id)
        zoom = 1 / (bookmark.level0_per_screen_px * self._scale)
        napari_window.look_at(self._viewer, bookmark.yx, self._scale, zoom)

    def _look_at(self, yx: YX) -> None:
        napari_window.look_at(self._viewer, yx, self._scale)

    def _copy(self, yx: YX) -> None:
        QApplication.clipboard().setText(words_of_place(yx))
        self._session.message.emit(f"Copied: {words_of_place(yx)}, from the slide's upper left corner.")

    def _forget_list(self, _result: int = 0) -> None:
        self._list = None

    @property
    def _scale(self) -> float:
        slide = self._session.slide
        return (slide.mpp if slide is not None else None) or 1.0

    @property
    def _middle_yx(self) -> YX:
        return napari_window.view_centre_yx(self._viewer, self._scale)
