"""The Open Inference Protocol v2 over gRPC, on the HTTP port + 1000."""
