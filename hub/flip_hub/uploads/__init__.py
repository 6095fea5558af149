"""Large files on their way to the hub: resumable at any byte (tus 1.0), on the disk as they come."""
