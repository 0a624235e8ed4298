"""The monthly, offline training run: point-in-time data sets, Keras nets, evaluation, gates, TFLite exports, reports.

Start with run.py. Layers, the top first; each may import those below it (checked by import-linter):

    run, __main__              one run from the warehouse to a version on disk; the command line
    collection                 evaluation data of a finished run
    monitoring | nets | report
    evaluation
    data
    tasks                      what each task learns from

This package imports models and features, never streams or campaigns. All but data, tasks, monitoring and
report.model_card need the extra `training`.
"""
