"""How a network is taught by another one: teachers, their stored answers, mixtures of views."""
