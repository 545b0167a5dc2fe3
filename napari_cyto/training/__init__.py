"""Training configs, recipes and runs; torch is imported by the run alone."""
