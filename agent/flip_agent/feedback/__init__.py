"""What becomes of answers: predictions that are kept, the truth that people tell of them, samples to train on."""
