"""The routes that OpenAI's clients know, in their words; behind them the same mesh."""
