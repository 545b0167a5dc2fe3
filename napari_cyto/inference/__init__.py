"""From pixels to proposals: cells found and classified by model bundles."""
