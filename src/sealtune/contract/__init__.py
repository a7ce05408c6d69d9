"""What the parties agree (docs/spec/contract.md): its schema, canonical form, signatures, differences."""
