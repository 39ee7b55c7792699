"""Benchmarks: ratios against plain Celery doing the same work in the same run."""
