"""One file per evidence format; each verifies cryptography only and leaves acceptance to the appraisal."""
