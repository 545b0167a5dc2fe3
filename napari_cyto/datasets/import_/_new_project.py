"""A project that is made whole under a hidden name and then given its own, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.files.atomic import beside, drop_leftovers
from napari_cyto.store import Project


class NewFolder:
    """Where a project is, or is to be made.

    Parameters
    ----------
    folder : Path
        The project's folder; what killed imports left beside it is removed.

    Attributes
    ----------
    made : bool
        Whether `making` made it; False also when another program was faster.

    Raises
    ------
    CytoError
        When something else is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.made = False
        drop_leftovers(self.folder)
        self._refuse_others()

    def is_project(self) -> bool:
        """Whether there is a project now."""
        return Project.is_project(self.folder) and not Project.is_empty_database(self.folder)

    @contextmanager
    def making(self, scheme: ClassScheme) -> Iterator[Project]:
        """Give a new project, which gets its place when the block ends well and is gone when it raises.

        Raises
        ------
        CytoError
            When it cannot be written, or something that is no project came to its place.
        """
        if Project.stands_for_database(self.folder):
            # The labels are one transaction; of one that fails an empty project stays, with its classes.
            with Project.create(self.folder, scheme) as project:
                yield project
            self.made = True
            return
        # Beside the final place, so that slides' relative paths hold after the rename.
        partial = beside(self.folder, "partial")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with Project.create(partial, scheme, self.folder.name.removesuffix(".cyto")) as project:
                yield project
            self.made = self._give_place(partial)
        except StoreError as error:
            raise type(error)(str(error).replace(str(partial), str(self.folder))) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _give_place(self, partial: Path) -> bool:
        """Rename what was made; return False when a project came there meanwhile, which is never replaced."""
        try:
            partial.rename(self.folder)  # onto an empty folder too, but for Windows
            return True
        except OSError:
            if self.is_project():
                return False
            self._refuse_others()
        if self.folder.is_dir():
            self.folder.rmdir()
        partial.rename(self.folder)
        return True

    def _refuse_others(self) -> None:
        folder = self.folder
        if Project.is_project(folder) or not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        raise CytoError(
            f"Expected a project or a folder that does not exist yet, got {folder}, which exists and is not a project."
        )
