"""Algorithms compared over tasks: aggregates, probability of improvement, performance profiles."""
