"""What makes training fast: lean blocks over packed segments. Nothing here knows a file or a key.

Every part has a plain counterpart in `transformers` or torch that the tests compare it with,
outputs and gradients. The loop that uses them is `training.train`.
"""
