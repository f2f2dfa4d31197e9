"""What the results say, in numbers: pure functions of arrays, which write no file and draw no ink.

`gather` reads the recorders of a storage directory, `scores` gives each run and experiment its number,
`curves` lays runs over one another, `aggregates`, `comparisons`, `best_of_k` and `luck` say what follows.
"""
