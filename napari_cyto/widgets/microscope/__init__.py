"""What the hand reaches for at a microscope: objectives, rulers, the circle of the field of view."""

__all__ = ["microscope"]
