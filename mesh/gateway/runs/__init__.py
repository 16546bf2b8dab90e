"""Runs that call tools: they go on by themselves, wait for outcomes, and survive their gateway."""
