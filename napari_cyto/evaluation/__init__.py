"""What a model is worth: matching, detection, classification, screening, calibration, proliferation."""
