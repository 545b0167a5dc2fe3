"""One click, one outline: nucleus and cytoplasm of the cell under a click, by a network or by a watershed."""

__all__ = ["clicks", "computed", "image_job", "job", "outlines", "warm_clicks"]
