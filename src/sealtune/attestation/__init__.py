"""The Verifier of RFC 9334 (docs/spec/attestation.md): evidence, anchors, appraisal. No I/O."""
