"""Speed, as ratios of two sides in one run: ``python -m benchmarks``."""
