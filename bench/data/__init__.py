"""Recorded preference data: how it is read, what a row says, what is wrong, who gets which part."""
