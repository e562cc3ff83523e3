"""Draws by seed: the published generator, and evenness."""

import numpy as np

from ridgepoint.data.draws import sample_seeds, uniform


def test_seeds_are_the_outputs_of_splitmix64():
    """The first three outputs for seed 1234567, as the reference implementation in C prints them."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert sample_seeds(1234567, 3).tolist() == expected


def test_draws_are_even_and_each_follows_from_its_own_seed():
    seeds = sample_seeds(7, 5000)
    draws = uniform(seeds, 4)
    assert draws.shape == (4, 5000) and draws.min() >= 0 and draws.max() < 1
    for row in draws.numpy():
        assert abs(np.histogram(row, 10, (0, 1))[0] - 500).max() < 100
    assert np.abs(np.corrcoef(draws.numpy()) - np.eye(4)).max() < 0.05
    assert (uniform(seeds[40:60], 4) == draws[:, 40:60]).all()
