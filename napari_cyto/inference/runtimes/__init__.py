"""What runs a network here: PyTorch or OpenVINO, on which device."""

__all__ = [
    "choice",
    "devices",
    "model_cache",
    "runtime",
    "torch_runtime",
]
