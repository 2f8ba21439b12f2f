"""Deep Q-learning: what every move is worth in the end, learnt from games alone, and checked against the exact answer.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    td_target     what a move was worth, seen from one step later: the end of a game apart from the end of patience
    q_loss        the online network meets that target; no gradient goes into what it is measured by
    ReplayBuffer  a ring of steps: the newest overwrite the oldest, and what was written stays as it was
    epsilon       from all chance to hardly any, along a line
    act           mostly the best move, sometimes any move, each game by itself
    hard_update   the target network becomes a copy of the online one

The network and the loop, play, are written for you. Letters in shapes: S states of the game, A actions in each, N steps
in a batch, B rows asked of the ring; in play T rounds of G games side by side. States and actions are numbered from 0,
and int64. A batch is a dict of tensors (N,), one row per step, with six keys:

    states, actions, rewards, next_states    where it was, what it did, what that paid, and where it then was
    terminated                               bool: the game was over, and nothing can follow
    truncated                                bool: the time was up, and the game was put away in the middle; both may be True

Leave every argument as it was, the target of hard_update and the online network of play aside.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class QNetwork(nn.Module):
    """A value for every action in a state: the state's own, and how far each action is above the mean of all.

    This one is written for you. A state is known by its number alone, so nothing tells which cells are neighbours.

    embed = nn.Embedding(S, width)
    hidden = nn.Linear(width, width)
    worth = nn.Linear(width, 1)        of the state
    better = nn.Linear(width, A)       of each action in it
    """

    def __init__(self, states: int, actions: int, width: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the four layers for S = states and A = actions, all of this dtype, with torch's own first values."""
        super().__init__()
        self.embed = nn.Embedding(states, width, dtype=dtype)
        self.hidden = nn.Linear(width, width, dtype=dtype)
        self.worth = nn.Linear(width, 1, dtype=dtype)
        self.better = nn.Linear(width, actions, dtype=dtype)

    def forward(self, states: Tensor) -> Tensor:
        """From states (N,) to one row of values (N, A) for each."""
        hidden = F.relu(self.hidden(self.embed(states)))
        better = self.better(hidden)
        return self.worth(hidden) + better - better.mean(dim=1, keepdim=True)


def td_target(
    rewards: Tensor, terminated: Tensor, truncated: Tensor, next_online: Tensor, next_target: Tensor, gamma: float
) -> Tensor:
    """What each step was worth, seen from its next state (double DQN): reward + gamma * the value of what is done there.

    What is done there is the action that next_online holds to be best, the smaller number at a tie; what that is worth,
    next_target says. After a terminated step nothing can follow: its target is the reward. A step that is only truncated
    has a next state like any other: the game would have gone on.

    rewards (N,)         what each step paid
    terminated (N,)      bool
    truncated (N,)       bool
    next_online (N, A)   the online network's values in the next state
    next_target (N, A)   the target network's
    gamma                what the next step counts, where this one counts 1

    Returns the targets, of the dtype of the tables and without a graph: no gradient leads back through them.
    targets (N,)         one number per step
    """
    # BEGIN SOLUTION: one choice per row by one table, its value from the other; who may look ahead? and detach
    actions = next_online.argmax(dim=1, keepdim=True)
    following = next_target.gather(1, actions)[:, 0]
    return (rewards + gamma * following * ~terminated).detach()
    # END SOLUTION


def q_loss(online: nn.Module, target: nn.Module, batch: dict[str, Tensor], gamma: float) -> Tensor:
    """The mean Huber loss between what the online network says of the steps that were taken, and their td_target.

    With d the difference of the two, a step costs d * d / 2 where |d| is at most 1, and |d| - 1/2 beyond. Gradients reach
    the online network through its values of the actions that were taken, in states; nothing else is trained by them. One
    module may be given as both networks.

    online   called with states (N,), it returns values (N, A)
    target   likewise
    batch    a dict with the six keys above
    gamma    as in td_target

    Returns a tensor with one number, of the networks' dtype.
    loss ()  the mean over the steps
    """
    # BEGIN SOLUTION: both networks look at the next states without a graph; then one value per step, and F.smooth_l1_loss
    following = batch["next_states"]
    with torch.no_grad():
        tables = online(following), target(following)
    targets = td_target(batch["rewards"], batch["terminated"], batch["truncated"], *tables, gamma)
    values = online(batch["states"]).gather(1, batch["actions"][:, None])[:, 0]
    return F.smooth_l1_loss(values, targets)
    # END SOLUTION


class ReplayBuffer:
    """The newest steps, `capacity` of them at the most."""

    def __init__(self, capacity: int) -> None:
        """Begin with nothing; capacity is at least 1."""
        # BEGIN SOLUTION: room for each key is made when its dtype is known
        self.capacity = capacity
        self.written = 0
        self.room: dict[str, Tensor] = {}
        # END SOLUTION

    def push(self, batch: dict[str, Tensor]) -> None:
        """Write steps down, row after row; where the ring is full, each takes the place of the oldest.

        The tensors belong to the game, which overwrites them in the next round: what was written here must not change with
        them.

        batch  a dict with the six keys above; N is at least 1, and may be more than the capacity
        """
        # BEGIN SOLUTION: the last `capacity` rows, each to place number % capacity
        count = len(batch["states"])
        kept = min(count, self.capacity)
        places = (self.written + torch.arange(count - kept, count)) % self.capacity
        for key, value in batch.items():
            if key not in self.room:
                self.room[key] = value.new_zeros(self.capacity)
            self.room[key][places] = value[count - kept :].detach()
        self.written += count
        # END SOLUTION

    def sample(self, uniforms: Tensor) -> dict[str, Tensor]:
        """The steps that these numbers draw: of c steps that are kept, the one at place floor(uniform * c), oldest first.

        uniforms (B,)  float64 numbers in [0, 1)

        Returns a batch of B steps, with the six keys and the dtypes of what was written. One step may be drawn often.
        """
        # BEGIN SOLUTION: how many there are, which place has the oldest, and so many further round the ring
        count = min(self.written, self.capacity)
        places = (self.written - count + (uniforms * count).long()) % self.capacity
        return {key: value[places] for key, value in self.room.items()}
        # END SOLUTION


def epsilon(step: int, steps: int, start: float, end: float) -> float:
    """The share of random moves: start at step 0, on a straight line to end at step `steps`, and end from there on.

    step    from 0
    steps   how long the line is, at least 1
    start   at its beginning
    end     and at its end; it may be above start

    Returns a Python float.
    """
    # BEGIN SOLUTION: how much of the line is behind us, at most all of it
    part = min(step / steps, 1.0)
    return float((1 - part) * start + part * end)
    # END SOLUTION


def act(values: Tensor, epsilon: float, uniforms: Tensor) -> Tensor:
    """A move for every game: game n makes a random one where uniforms[n, 0] < epsilon, and the best one elsewhere.

    A random move is action floor(uniforms[n, 1] * A), be it the best or not. The best is that with the largest value, the
    smaller number at a tie.

    values (N, A)    of every action in every game
    epsilon          from 0, never random, to 1, always
    uniforms (N, 2)  float64 numbers in [0, 1)

    Returns one action per game, int64.
    actions (N,)     from 0 to A - 1
    """
    # BEGIN SOLUTION: both moves for every game, and which of the two it is
    random = (uniforms[:, 1] * values.shape[1]).long()
    return torch.where(uniforms[:, 0] < epsilon, random, values.argmax(dim=1))
    # END SOLUTION


def hard_update(target: nn.Module, online: nn.Module) -> None:
    """Give the target network the numbers of the online one, in place, in its own memory.

    target  changed: every parameter is as in online, until the next hard_update, however online is trained
    online  the same layers; left as it was. Neither changes its mode
    """
    # BEGIN SOLUTION: one call of torch copies them all
    target.load_state_dict(online.state_dict())
    # END SOLUTION


def play(
    online: QNetwork,
    next_states: Tensor,
    rewards: Tensor,
    ends: Tensor,
    limit: int,
    starts: Tensor,
    draws: Tensor,
    picks: Tensor,
    capacity: int,
    gamma: float,
    rate: float,
    every: int,
) -> tuple[list[float], Tensor]:
    """Written for you: play and train online, in place; one move of every game and one step of Adam in each round.

    next_states (S, A)  the game: where each move leads,
    rewards (S, A)      what it pays,
    ends (S, A)         bool: and whether it ends the game
    limit               moves after which a game is put away
    starts (G,)         the states in which the first games begin
    draws (T, G, 3)     in [0, 1): random or not, which action, and where the next game begins
    picks (T, B)        in [0, 1): what each round's batch is
    capacity, gamma     of the ring, and of the loss
    rate                of Adam in round 0; it falls along a line, and would be 0 in round T
    every               rounds from one hard_update to the next, at most T

    Returns (losses, tables).
    losses (T,)                q_loss of each round before its step, a list of Python floats
    tables (T // every, S, A)  all values of the online network at each hard_update
    """
    target, buffer = copy.deepcopy(online), ReplayBuffer(capacity)
    adam = torch.optim.Adam(online.parameters(), lr=rate)
    states, ages, losses, tables = starts.clone(), torch.zeros_like(starts), [], []
    for step, (numbers, uniforms) in enumerate(zip(draws, picks, strict=True)):
        with torch.no_grad():
            values = online(states)
        actions = act(values, epsilon(step, (len(draws) + 1) // 2, 1.0, 0.1), numbers[:, :2])
        ages += 1
        moves = {"states": states, "actions": actions, "rewards": rewards[states, actions]}
        moves |= {"next_states": next_states[states, actions], "terminated": ends[states, actions]}
        buffer.push(moves | {"truncated": ages >= limit})
        over = moves["terminated"] | (ages >= limit)
        anew = (numbers[:, 2] * len(rewards)).long()
        states.copy_(torch.where(over, anew, moves["next_states"]))  # the game's own memory: see ReplayBuffer.push
        ages.masked_fill_(over, 0)

        adam.param_groups[0]["lr"] = rate * (1 - step / len(draws))
        loss = q_loss(online, target, buffer.sample(uniforms), gamma)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
        if (step + 1) % every == 0:
            hard_update(target, online)
            tables.append(online(torch.arange(len(rewards))).detach())
    return losses, torch.stack(tables)
