"""The TrainingReceipt (docs/spec/receipt.md): build, sign, verify offline."""
