"""Open a slide, read its pyramid and tiles, know its scale, tissue and colour."""
