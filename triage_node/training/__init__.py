"""Labelled head CT in, weights and honest figures out: datasets, training, metrics and evaluation.

Nothing here runs inside the node: the processes that serve patients never import this package.
"""
