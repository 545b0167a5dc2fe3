"""The docks: Slides, Slide, Annotate and Export."""
