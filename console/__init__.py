"""The operator's side: the `holdfast` command, the embedded services and the demo.

The top layer: it may import every package, and none imports it.
"""
