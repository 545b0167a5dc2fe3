"""Training of models of whole slides on the interpretations of slides, over frozen vectors."""

__all__ = ["job", "slide_config"]
