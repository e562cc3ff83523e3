"""Ctrl-C reaches the tests even where they run in the background, where shells turn it off."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
