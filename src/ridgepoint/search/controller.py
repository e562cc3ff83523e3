"""A controller that decides the choices of a space one after the other, each knowing those before it.

Shapes: B assignments, T decisions (of the longest assignment), O options (of all choices together), H hidden units.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from ridgepoint.arch.choice import Assignment, Choice
from ridgepoint.arch.space import Space

HIDDEN = 64
START = 0.1


class Controller(nn.Module):
    """A recurrent network over the choices that are open, in the order in which the space asks for them.

    Each step sees what was decided last and which choice is asked, and gives logits for that choice's options. A choice
    in a part that is left out is not asked, so it costs no step and learns nothing.

    Source: MnasNet, arXiv:1807.11626, section 4.2, after Zoph and Le, arXiv:1611.01578.
    Differs: which choice is asked is an input, because choices that are not open are passed over. The number of hidden
    units and the range of the first weights are ours.
    """

    absent: Tensor

    def __init__(self, space: Space, *, seed: int):
        super().__init__()
        self.space = space
        counts = [len(choice.options) for choice in space.choices]
        self.row = {choice.name: row for row, choice in enumerate(space.choices)}
        ends = np.cumsum(counts)
        self.first = {name: int(ends[row]) - counts[row] for name, row in self.row.items()}
        self.decided = nn.Embedding(1 + int(ends[-1]), HIDDEN)  # 0: nothing yet
        self.asked = nn.Embedding(len(counts), HIDDEN)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.logits = nn.Linear(HIDDEN, int(ends[-1]))
        place = torch.arange(int(ends[-1]))
        starts = torch.tensor(list(self.first.values()))
        absent = (place < starts[:, None]) | (place >= torch.as_tensor(ends)[:, None])
        self.register_buffer("absent", absent, persistent=False)  # of a choice's row: options that are not its own
        generator = torch.Generator().manual_seed(seed)
        for weight in self.parameters():
            nn.init.uniform_(weight, -START, START, generator=generator)

    @torch.no_grad()
    def sample(self, rng: np.random.Generator) -> Assignment:
        """An assignment drawn decision by decision."""
        last, state = 0, None

        def pick(choice: Choice) -> int:
            nonlocal last, state
            row, first = self.row[choice.name], self.first[choice.name]
            log_p_BTO, state = self(torch.tensor([[last]]), torch.tensor([[row]]), state)
            probabilities = log_p_BTO[0, 0, first : first + len(choice.options)].double().exp().numpy()
            taken = int(rng.choice(len(choice.options), p=probabilities / probabilities.sum()))
            last = 1 + first + taken
            return taken

        return self.space.complete(pick)

    def forward(
        self, last_BT: Tensor, asked_BT: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Log-probabilities of all options, (B, T, O), those of other choices impossible; and the state after them."""
        hidden_BTH, state = self.lstm(self.decided(last_BT) + self.asked(asked_BT), state)
        return self.logits(hidden_BTH).masked_fill(self.absent[asked_BT], -torch.inf).log_softmax(-1), state

    def decisions(self, assignments: Sequence[Assignment]) -> tuple[Tensor, Tensor, Tensor]:
        """What the controller would have decided where the assignments did.

        Returns:
            Log-probabilities of the decisions (B, T), the entropies of their distributions in nats (B, T), and whether
            there is a decision (B, T): shorter assignments are padded.
        """
        length = max(map(len, assignments))
        taken_BT = torch.zeros(len(assignments), length, dtype=torch.long)
        asked_BT = torch.zeros_like(taken_BT)
        real_BT = torch.zeros(taken_BT.shape, dtype=torch.bool)
        for row, assignment in enumerate(assignments):
            options = [self.first[name] + option for name, option in assignment.items()]
            taken_BT[row, : len(options)] = torch.tensor(options)
            asked_BT[row, : len(options)] = torch.tensor([self.row[name] for name in assignment])
            real_BT[row, : len(options)] = True
        last_BT = torch.cat([torch.zeros(len(assignments), 1, dtype=torch.long), 1 + taken_BT[:, :-1]], 1)
        log_p_BTO, _ = self(last_BT, asked_BT)
        log_p_BT = log_p_BTO.gather(2, taken_BT[..., None]).squeeze(2).masked_fill(~real_BT, 0.0)
        return log_p_BT, Categorical(logits=log_p_BTO, validate_args=False).entropy() * real_BT, real_BT

    def loss(
        self, assignments: Sequence[Assignment], before_BT: Tensor, gains_B: Tensor, *, clip: float, entropy: float
    ) -> Tensor:
        """What a step of proximal policy optimisation makes smaller; its first step is that of REINFORCE.

        Args:
            assignments: What was decided.
            before_BT: Log-probabilities of the decisions when they were made.
            gains_B: How much more each assignment earned than was to be expected.
            clip: How far the probability of a decision may move, as a share of what it was.
            entropy: Weight of the entropy, which keeps decisions open.

        Source: Schulman et al., arXiv:1707.06347, equations 7 and 9.
        """
        log_p_BT, entropy_BT, real_BT = self.decisions(assignments)
        ratio_BT = (log_p_BT - before_BT).exp()
        gain_BT = torch.minimum(gains_B[:, None] * ratio_BT, gains_B[:, None] * ratio_BT.clamp(1.0 - clip, 1.0 + clip))
        return -((gain_BT + entropy * entropy_BT) * real_BT).sum() / len(assignments)
