"""The Questions of the problem sets: one module a set, each with its QUESTIONS in the order they are asked."""

NAMES = ("ps1", "ps2", "ps3", "ps4", "ps5", "ps6")
