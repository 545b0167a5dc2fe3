"""What a slide comes to, as values, as a page and as JSON."""

__all__ = [
    "images",
    "job",
    "slide_facts",
    "slide_page",
    "slide_score",
    "slide_summary",
    "stored_facts",
]
