"""The app's side: staying attached, local ports that lead to agents, and the SDK. No key, no private host."""
