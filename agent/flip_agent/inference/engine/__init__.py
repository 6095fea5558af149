"""From checked tensors to outputs: versions of models, their batches, their forwards."""
