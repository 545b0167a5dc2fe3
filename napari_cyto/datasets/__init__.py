"""Datasets out of projects and into them: crops, splits that cannot leak, audits, imports and exports."""
