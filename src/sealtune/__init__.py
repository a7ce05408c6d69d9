"""sealtune: fine-tune a model on sensitive data inside hardware-backed enclaves."""

__version__ = "0.1.0"
