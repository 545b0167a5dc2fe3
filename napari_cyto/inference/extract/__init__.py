"""Single cells of a slide without a person: the extraction of APACC, with a mask of our own."""

__all__ = ["extraction", "job", "options", "shown_steps"]
