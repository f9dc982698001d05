"""The tape: everything that reaches the engine, in one order, on disk; read back, replayed at any speed, imported."""
