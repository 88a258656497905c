"""Training on labels: fine-tuning a saved net, or training one from scratch."""
