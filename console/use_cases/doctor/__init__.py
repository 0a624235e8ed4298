"""The checks of `holdfast doctor`.

A check is one function that takes what was read of one part of a deployment and yields findings. It is listed in
`CHECKS` at the end of its module. Reading is separate (inspection.py): a service that is away costs the checks of what
it would have said, and no others.
"""
