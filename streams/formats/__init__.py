"""Formats: Kafka bytes and headers to typed events, and rejected records to dead letters. Pure.

The codec seam: `codecs.py` names a decoder for each format, `native.py` is Holdfast's own JSON. Imported by every other
part of streams; imports none of them.
"""
