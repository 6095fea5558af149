"""Who may call: login, tokens, guards."""
