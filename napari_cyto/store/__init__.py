"""The project database: slides, annotations, and the history of every edit."""
