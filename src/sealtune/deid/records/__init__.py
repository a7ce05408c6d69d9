"""Records and text as de-identification reads and writes them, shard by shard.

A source cuts its file into shards of whole records, of about `SHARD_BYTES`; a codec turns a shard
into records and records into a part of the output. Whoever holds a shard needs nothing else.
"""
