"""Replays frames through an engine and fills the orders its opportunities would have caused: pure and deterministic."""
