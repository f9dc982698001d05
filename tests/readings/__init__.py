"""Readings: what pages ask for now and then, over real engines."""
