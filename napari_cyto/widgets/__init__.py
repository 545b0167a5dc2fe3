"""The only home of Qt: docks, layers and the window."""
