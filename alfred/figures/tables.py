"""The numbers of a comparison as tables: printed, CSV and LaTeX."""
