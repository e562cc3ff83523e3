"""Where files run: this machine, or another one that a small agent is sent to over a byte stream."""
