"""The vectors of cells by an encoder, made once and kept beside the project."""

__all__ = ["attention", "encode", "job"]
