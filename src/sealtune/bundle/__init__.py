"""The SealedBundle on disk (spec/bundle): writer, random-access reader, sealing and opening."""
