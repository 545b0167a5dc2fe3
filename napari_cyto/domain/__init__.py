"""Plain values that every other part speaks: geometry, classes, annotations, edits, slides, jobs."""
