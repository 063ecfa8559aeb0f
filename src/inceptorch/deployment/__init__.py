"""Deploying a classifier: export, quantization, and benchmarks of each engine."""
