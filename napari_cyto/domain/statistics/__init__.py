"""Plain statistics: intervals that hold for rare events, few groups and readers who stop when they like."""

from napari_cyto.domain.statistics.shares import (
    FEW_GROUPS,
    ShareInterval,
    clustered_share,
    seed_interval,
    share_interval,
    transformed_interval,
)

__all__ = [
    "FEW_GROUPS",
    "ShareInterval",
    "bootstrap",
    "clustered_share",
    "conformal",
    "excess",
    "nuclear_scale",
    "seed_interval",
    "share_interval",
    "shares",
    "transformed_interval",
    "unreviewed_bound",
]
