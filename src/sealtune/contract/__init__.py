"""What the parties agree (docs/spec/contract.md): schema, canonical form, signatures, diff."""
