"""One file per evidence format; each verifies cryptography and leaves acceptance to appraisal."""
