"""One file per command; a handler parses, calls one function and prints."""
