"""The trial: the real session against the simulated market over loopback, judged by what is known to be true of that market."""
