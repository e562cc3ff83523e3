"""RandAugment on our scale of magnitudes."""

import torch

from ridgepoint.data import RandAugment


def test_randaugment_at_no_magnitude_moves_nothing_and_at_ten_as_far_as_torchvision_goes():
    """A bright column in the middle; the farthest shift is 150/331 of the width, which leaves it inside."""
    image = torch.zeros(1, 1, 100, dtype=torch.uint8).expand(3, 100, 100).clone()
    image[:, :, 50] = 255
    moved = []
    for magnitude in (0.0, 10.0):
        transform = RandAugment(operations=1, magnitude=magnitude).build()
        torch.manual_seed(0)
        columns = [int(transform(image.clone()).float().mean((0, 1)).argmax()) for _ in range(150)]
        moved.append(max(abs(column - 50) for column in columns if column))
    assert moved == [0, 45]


def test_randaugment_does_as_many_operations_as_it_should():
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    never, often = RandAugment(probability=0.0).build(), RandAugment(operations=4).build()
    assert all(torch.equal(never(image), image) for _ in range(20))
    assert sum(not torch.equal(often(image), image) for _ in range(50)) > 45
