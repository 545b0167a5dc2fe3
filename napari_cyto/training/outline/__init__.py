"""The outline network learns: on made-up smears, then on real nuclei about which its own views agree."""

__all__ = ["agreed_nuclei", "job", "outline_config"]
