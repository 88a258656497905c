"""Work side by side: threads that are ahead of their consumer, and modules of this package as processes."""
