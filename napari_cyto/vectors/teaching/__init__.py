"""Classes from ten clicks: a head on the vectors of cells, fitted anew after every example."""

__all__ = ["estimate", "examples", "lesson", "project_lesson", "sentences", "suggestions"]
