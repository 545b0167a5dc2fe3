"""One open project in one viewer: its state and its commands, without Qt."""
