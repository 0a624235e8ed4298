"""The monthly, offline training run: point-in-time data sets, Keras nets, evaluation, gates, TFLite exports, reports.

Start with run.py. Layers, the top first; each may import those below it (checked by import-linter):

    __main__                       the command line
    tasks                          what each task learns, and how it is evaluated and shown
    run                            one run from the warehouse to a version on disk
    collection | reasons           evaluation data of a finished run; what its reasons are made of
    monitoring | nets | report
    evaluation
    data
    task, errors                   the protocol of a task; the errors of this package

This package imports models and features, never streams, segments or campaigns. nets, report, and the baselines and
calibration of evaluation need the extra `training`; the registry of tasks, data and monitoring do not.
"""
