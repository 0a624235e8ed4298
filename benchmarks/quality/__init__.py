"""How good the models are on public data, against LightGBM, linear models and rules: `make bench-quality`.

Every figure of ours is that of the exported model.tflite, run by the serving code in a process of its own.
Imports training and what is below it.
"""
