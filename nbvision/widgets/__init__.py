"""Widgets: one plain ES module each, over the plain functions; see `nbvision`."""
