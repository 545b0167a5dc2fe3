"""What an encoder is worth: how well simple heads on its frozen vectors tell cells apart."""

__all__ = ["encoder_table_config", "job", "table"]
