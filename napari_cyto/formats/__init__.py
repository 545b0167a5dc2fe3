"""Label files of the field, one file a format; no Qt, no torch, no pixels."""
