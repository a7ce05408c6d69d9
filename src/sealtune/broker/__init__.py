"""The key broker service: holds an owner's ContentKeys, releases them on evidence only."""
