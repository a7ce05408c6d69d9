"""De-identification of records on their owner's machine (docs/spec/deidentification.md).

Detectors find identifiers in text, transforms replace them, tables are generalized, and what risk
remains is measured on the output. Never part of the enclave; the output is called de-identified.
"""
