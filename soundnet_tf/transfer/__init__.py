"""Transfer: what a net has learned, or nothing yet, and labelled sounds become a classifier."""
