"""From pixels to predictions: cells found and classified by model bundles."""

__all__ = [
    "classify",
    "client",
    "extract",
    "many_slides",
    "model_choice",
    "model_view",
    "network_input",
    "orders",
    "outline",
    "probabilities",
    "request",
    "results",
    "server",
]
