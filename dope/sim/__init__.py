"""The sample market: a seeded truth and loopback venues that speak the real wire formats of it."""
