"""Seeded clinical notes with identifiers at known places: what de-identification is measured on.

Words, values and layouts were written without sight of the detectors' rules.
"""
