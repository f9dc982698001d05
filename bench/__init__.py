"""Benchmarks: the program beside two fixed comparators on one stream. They measure; no test fails on a time."""
