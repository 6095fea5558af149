"""What the agent's processes say to each other over the Unix socket of `flip-agent run`."""
