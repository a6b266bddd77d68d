"""Polygon's REST and WebSocket protocols over the simulated world."""
