"""Datasets made from projects: crops, smear-level splits, leakage audit, import and export jobs."""
