"""Endorsements of vendors: fetched, checked, kept on disk and carried to brokers without a network.

`attestation` takes endorsements as bytes and does no I/O; everything here is I/O around that.
Nothing here is trusted by a verifier: what is cached is verified again, with each evidence.
"""
