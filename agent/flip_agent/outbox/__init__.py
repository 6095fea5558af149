"""What a device must not lose before the hub has it: accepted once durable, delivered once, or declared dropped."""
