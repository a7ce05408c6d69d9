"""Measures the training engine beside its peer: shapes, data, runs in alternation, figures.

For benchmarks only. The enclave of its sealed runs is simulated (INSECURE).
"""
