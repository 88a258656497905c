"""Studies: the tables of the paper, trained, evaluated and collected row by row."""
