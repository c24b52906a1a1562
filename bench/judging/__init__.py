"""An LLM judge behind an OpenAI-compatible endpoint, which compares responses pairwise."""
