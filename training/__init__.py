"""The monthly, offline run: point-in-time datasets, Keras nets, TFLite exports.

Imports campaigns and what is below it, never streams; needs the extra `training`.
"""
