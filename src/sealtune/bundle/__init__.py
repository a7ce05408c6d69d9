"""The SealedBundle on disk (docs/spec/bundle.md): header, manifest, writer, random-access reader."""
