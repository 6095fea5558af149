"""What requests and answers look like, whatever carries them."""
