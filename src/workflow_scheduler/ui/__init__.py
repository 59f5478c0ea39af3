"""The web UI: the built single-page app, and how it is served. Its sources are in `web/`."""
