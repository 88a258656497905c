"""What writes the files of this checkout that nobody writes by hand."""
