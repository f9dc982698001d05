"""Features, the spread predictor and its evaluation: pure, no clock, no files, no threads."""
