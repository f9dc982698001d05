"""DOPE: watches many exchanges at once and shows where prices disagree, by how much after real costs, for how long, and why."""

__version__ = "0.1.0"
