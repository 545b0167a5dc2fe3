"""``python -m napari_cyto`` is ``napari-cyto``."""

from napari_cyto.cli import main

if __name__ == "__main__":
    main()
