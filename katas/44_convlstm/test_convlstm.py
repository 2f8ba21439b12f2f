"""The suite of kata 44: a ConvLSTM beside torch's own LSTM cell on patches, and a small sea with an island."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import mean_squared_error
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Constant,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    normal_array,
    state_of,
    text,
)

# Sequences, days past and to come, fields, rows, columns, hidden maps of each layer, size of filters.
SIZES = [(2, 3, 4, 2, 8, 5, [3], 3), (1, 4, 2, 3, 5, 7, [2, 4], 5), (4, 1, 3, 1, 6, 4, [3, 5, 2], 1)]
SIZES += [(3, 2, 5, 2, 4, 12, [4, 3], 3), (5, 6, 1, 4, 1, 3, [1, 2], 7)]
MANY, BACK, LONG = (5003, 1, 2, 1, 1, 2, [1], 3), (2, 40, 36, 1, 2, 3, [2], 3), 601
# Size, steps, those that read true days, by how much the head's weights are larger.
TRAININGS = [(SIZES[0], 12, 0, 1), (SIZES[3], 12, 5, 1), (SIZES[1], 4, 4, 30), (SIZES[4], 1, 0, 1), (MANY, 2, 1, 1)]
TOL, SAME, FAR = 1e-8, 1e-9, 100.0
STEP = ("x", "h", "c", "weight", "bias", "peephole")

SEASONS, HELD_OUT, PAST, FUTURE, ROWS, COLUMNS, SOUTH, NORTH = 64, 96, 3, 4, 12, 14, 30.0, 52.0
STEPS, BATCH, LEARNING_RATE, HIDDEN = 80, 10, 0.02, 8
BAR = 0.5


def _coast(rng, rows, columns):
    """Some sea, some land, and how much sea there is at each place."""
    area = torch.from_numpy(rng.uniform(0.5, 2, (rows, columns)) * (rng.random((rows, columns)) < 0.7))
    area[rng.integers(rows), rng.integers(columns)] = 1.25
    return area


def _maps(rng, area, *shape, land=0.0):
    """Numbers of order one, and `land` where there is no sea."""
    return torch.where(area > 0, normal(rng, *shape, *area.shape), land)


def _cell(x, h, c, weight, bias, peephole):
    """(c, h) after a step of torch's LSTM cell at every place, which reads a patch; peepholes are two inputs more."""
    count, maps, *size = h.shape
    patches = F.unfold(torch.cat([x, h], 1), weight.shape[-1], padding=weight.shape[-1] // 2).mT.flatten(0, 1)
    old, blank = c.permute(0, 2, 3, 1).reshape(-1, maps), torch.zeros(maps, maps, dtype=c.dtype)
    see_i, see_f, see_o = (torch.diag(row) for row in peephole)
    eyes = torch.cat([see_i, see_f, blank, blank]), torch.cat([blank, blank, blank, see_o])
    inputs, nothing = torch.cat([weight.flatten(1), *eyes], 1), torch.zeros_like(weight[:, :maps, 0, 0])

    def cell(new):
        given = torch.cat([patches, old, new], 1)
        return torch.lstm_cell(given, (torch.zeros_like(old), old), inputs, nothing, bias, torch.zeros_like(bias))

    new = cell(torch.zeros_like(old))[1]
    return tuple(each.reshape(count, *size, maps).permute(0, 3, 1, 2) for each in (new, cell(new)[0]))


class _Stack(nn.Module):
    """Step by step, through all layers at each."""

    def __init__(self, inputs, hidden, kernel):
        super().__init__()
        below = zip([inputs, *hidden], hidden, strict=False)
        self.convs = nn.ModuleList(nn.Conv2d(maps + own, 4 * own, kernel) for maps, own in below)
        self.peepholes = nn.ParameterList(torch.zeros(3, own) for own in hidden)
        self.double()

    def forward(self, x, *flat, **named):
        maps = [peephole.shape[1] for peephole in self.peepholes for _ in "hc"]
        flat = [*flat, *named.values()] or [x.new_zeros(len(x), own, *x.shape[3:]) for own in maps]
        shown = []
        for step in x.unbind(1):
            for layer, conv in enumerate(self.convs):
                c, step = _cell(step, *flat[2 * layer : 2 * layer + 2], *conv.parameters(), self.peepholes[layer])
                flat[2 * layer : 2 * layer + 2] = step, c
            shown.append(step)
        return torch.stack(shown, 1), *flat


class _Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        *_, fields, _, _, hidden, kernel = size
        self.encoder, self.decoder = (_Stack(fields + 1, hidden, kernel) for _ in range(2))
        self.head = nn.Conv2d(hidden[-1], fields, 1).double()

    def forward(self, past, sea, steps, truth=None):
        water = sea.double().expand(len(past), past.shape[1], 1, *sea.shape)
        _, *flat = self.encoder(torch.cat([past, water], 2))
        day, days = past[:, -1], []
        for s in range(steps):
            shown, *flat = self.decoder(torch.cat([day, water[:, 0]], 1)[:, None], *flat)
            days.append((day + self.head(shown[:, 0])) * sea)
            day = days[-1] if truth is None else truth[:, s]
        return torch.stack(days, 1)


def _loss(forecast, truth, area):
    wet = area > 0
    return ((forecast[..., wet] - truth[..., wet]).square() @ area[wet] / area.sum()).mean()


def _shapes(oracle):
    return {name: tuple(value.shape) for name, value in oracle.named_parameters()}


def _alike(rng, learner, oracle, name, far=1.0):
    """Both with the same numbers, which lead to maps of order one; nothing is zero."""
    assert_state(learner, _shapes(oracle), dtype=torch.float64, name=name)
    values = {key: normal(rng, *shape) / np.prod(shape[1:]) ** 0.5 for key, shape in _shapes(oracle).items()}
    values |= {key: far * value for key, value in values.items() if key == "head.weight"}
    load_state(oracle, values)
    return load_state(learner, values), oracle


def _stacks(solution, rng, size):
    *_, fields, _, _, hidden, kernel = size
    learner = solution.ConvLSTM(fields, hidden, kernel, dtype=torch.float64)
    return _alike(rng, learner, _Stack(fields, hidden, kernel), "ConvLSTM")


def _make(solution, size, dtype=torch.float64):
    *_, fields, _, _, hidden, kernel = size
    return solution.Forecaster(fields, hidden, kernel, dtype=dtype)


def _models(solution, rng, size, far=1.0):
    return _alike(rng, _make(solution, size), _Net(size), "Forecaster", far)


def _of_step(rng, size, far=1.0):
    """The arguments of convlstm_step, by name."""
    count, _, _, fields, rows, columns, hidden, kernel = size
    own, reads = hidden[0], fields + hidden[0]
    given = [far * normal(rng, count, maps, rows, columns) for maps in (fields, own, own)]
    given += [normal(rng, 4 * own, reads, kernel, kernel) / (reads * kernel**2) ** 0.5, normal(rng, 4 * own)]
    return dict(zip(STEP, [*given, normal(rng, 3, own)], strict=True))


def _learners_cell(solution):
    """convlstm_step as a function that gives c first, since h is made of it."""
    return lambda **given: assert_parts(solution.convlstm_step(*given.values()), "hc", name="convlstm_step")[::-1]


def _parts(size):
    return [f"{part}{layer}" for layer in range(len(size[6])) for part in "hc"]


def _of_stack(rng, size, states=True, far=1.0):
    """The arguments of a stack by name, its states in a flat row."""
    count, steps, _, fields, rows, columns, hidden, _ = size
    flat = {name: far * normal(rng, count, hidden[int(name[1:])], rows, columns) for name in _parts(size)}
    return {"x": far * normal(rng, count, steps, fields, rows, columns)} | (flat if states else {})


def _learners_stack(model, layers):
    """A stack as a function of x and a flat row of states, which gives the outputs and a flat row."""

    def run(x, **flat):
        given = list(zip(*([iter(flat.values())] * 2), strict=True)) or None
        outputs, states = assert_parts(model(x, given), ("outputs", "states"), name="ConvLSTM")
        pairs = assert_parts(states, range(layers), name="states")
        return outputs, *(part for pair in pairs for part in assert_parts(pair, "hc", name="states"))

    return run


def _of_model(rng, size, truth=False, far=1.0):
    count, past, steps, fields, rows, columns, *_ = size
    area = _coast(rng, rows, columns)
    given = {"past": far * _maps(rng, area, count, past, fields), "sea": area > 0, "steps": steps}
    return given | ({"truth": far * _maps(rng, area, count, steps, fields)} if truth else {})


@pytest.mark.shape
def test_shapes(solution, rng):
    """Maps keep their size, batches come first, and every result has the stated shape and dtype"""
    for index, size in enumerate(SIZES):
        count, past, steps, fields, rows, columns, hidden, kernel = size
        dtype = (torch.float32, torch.float64)[index % 2]
        area, sizes, layers = _coast(rng, rows, columns).to(dtype), (rows, columns), len(hidden)
        stack = solution.ConvLSTM(fields, hidden, kernel, dtype=dtype)
        assert_state(stack, _shapes(_Stack(fields, hidden, kernel)), dtype=dtype, name="ConvLSTM")
        model = assert_state(_make(solution, size, dtype), _shapes(_Net(size)), dtype=dtype, name="Forecaster")
        days = _maps(rng, area, count, past, fields).to(dtype)
        c, h = _learners_cell(solution)(**{name: value.to(dtype) for name, value in _of_step(rng, size).items()})
        outputs, *flat = _learners_stack(stack, layers)(days)
        forecast = model(days, area > 0, steps)
        parts = solution.anomalies(days[0], area > 0, past)
        scaled, usual, spread = assert_parts(parts, ("scaled", "usual", "spread"), name="anomalies")
        found = {"c": (c, (count, hidden[0])), "h": (h, (count, hidden[0]))}
        found |= {"outputs": (outputs, (count, past, hidden[-1])), "forecast": (forecast, (count, steps, fields))}
        found |= {"scaled": (scaled, (past, fields)), "usual": (usual, (fields,))}
        found |= {name: (part, (count, hidden[int(name[1:])])) for name, part in zip(_parts(size), flat, strict=True)}
        for name, (part, shape) in found.items():
            assert_shape(part, shape + sizes, dtype=dtype, name=name, help="maps are (..., Y, X) throughout")
        assert_shape(spread, (fields,), dtype=dtype, name="spread")
        assert_shape(solution.sea_loss(forecast, forecast + 1, area), (), dtype=dtype, name="loss")
        skill = solution.skill(model, days, forecast.detach() + 1, area, 2)
        assert isinstance(skill, list) and len(skill) == steps, "skill must return a list with one number per day"
        assert all(isinstance(each, float) for each in skill), "skill must return Python floats, not tensors"


@pytest.mark.value
def test_anomalies(solution, rng):
    """What is usual at a place, and how much a field varies at sea, is told by the training days alone; land is 0"""
    help = "a mean per place, one spread per field; days after training and land may not enter, and NaN is no number"
    names = "scaled", "usual", "spread"
    cases = [(9, 2, 5, 4, 6, 1.0), (7, 3, 4, 6, 7, 30.0), (12, 1, 1, 8, 5, 1.0), (3, 2, 3, 1, 1, 0.01)]
    for days, fields, rows, columns, training, spread in [*cases, (1, 3, 2, 5, 1, 2.0), (5003, 2, 3, 2, 4000, 2.0)]:
        for land in (np.nan, -999.0):
            area = _coast(rng, rows, columns)
            values = 280 + spread * normal(rng, days, fields, rows, columns) + 5 * normal(rng, rows, columns)
            values[training:] += 3 * spread
            values[:, 0] *= 4
            if fields == 3:
                values[:, 1] = 5
            wet = area > 0
            given = torch.where(wet, values, land)
            at_sea = np.ma.masked_array(values.numpy(), np.broadcast_to(~wet.numpy(), values.shape))
            usual = at_sea[:training].mean(0)
            spreads = (at_sea - usual)[:training].swapaxes(0, 1).reshape(fields, -1).std(1)
            spreads = np.where(spreads > 0, spreads, 1)
            scaled = (at_sea - usual) / spreads[:, None, None]
            wanted = [torch.from_numpy(np.ma.filled(each, 0.0)) for each in (scaled, usual, spreads)]
            for view in (lambda each: each, as_view):
                got = assert_parts(solution.anomalies(view(given), view(wet), training), names, name="anomalies")
                for which in (1, 2, 0):
                    assert_close(got[which], wanted[which], tol=TOL, name=names[which], help=help)


@pytest.mark.value
def test_one_step(solution, rng):
    """One step is that of torch's LSTM cell at every place, which reads a patch; peepholes are inputs of its gates"""
    help = "filters over x, then h; gates i, f, g, o; i and f see the old c, o the new one; what squashes each"
    for size in [*SIZES, *SIZES[:3], MANY]:
        for far in (1.0, FAR):
            agree = {"gradients": False, "tol": TOL, "name": ("c", "h"), "help": help}
            assert_agrees(_learners_cell(solution), _cell, _of_step(rng, size, far), rng, **agree)


@pytest.mark.value
def test_layers(solution, rng):
    """Layers pass their hidden maps up and their states on; where maps are one place, they are torch's LSTM"""
    help = "each layer keeps its h and c from step to step, and reads the one below at the same step"
    for index, size in enumerate([*SIZES, *SIZES[:3], MANY]):
        both, given = _stacks(solution, rng, size), _of_stack(rng, size, index % 3, (FAR, 1.0)[index % 2])
        agree = {"gradients": False, "tol": TOL, "name": ["outputs", *_parts(size)], "help": help}
        assert_agrees(_learners_stack(both[0], len(size[6])), both[1], given, rng, modules=both, **agree)
    model, oracle = _stacks(solution, rng, (2, 1, 1, 3, 1, 1, [4, 4], 3))[0], nn.LSTM(3, 4, 2, dtype=torch.float64)
    for layer in range(2):
        load_state(model, {f"peepholes.{layer}": torch.zeros(3, 4)})
        weight, bias = state_of(model, [f"convs.{layer}.weight", f"convs.{layer}.bias"]).values()
        own = weight[:, :-4, 1, 1], weight[:, -4:, 1, 1], bias, 0 * bias
        names = [f"{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        load_state(oracle, dict(zip(names, own, strict=True)))
    x = normal(rng, 2, LONG, 3)
    outputs = _learners_stack(model, 2)(x[..., None, None])[0][..., 0, 0]
    expected = oracle(x.transpose(0, 1))[0].transpose(0, 1).detach()
    assert_close(outputs.detach(), expected, tol=TOL, name=text("outputs on maps of one place"), help=help)


@pytest.mark.value
def test_forecasts(solution, rng):
    """Every day comes from the day before, as forecast, or as it truly was where that is given"""
    help = "the decoder begins with the encoder's states and the last day; next day = what it read + head, 0 on land"
    for index, size in enumerate([*SIZES, *SIZES[:3], MANY, BACK]):
        both = _models(solution, rng, size, (1.0, FAR)[index % 2])
        given = _of_model(rng, size, index % 3 == 0, (1.0, FAR)[index // 2 % 2])
        assert_agrees(*both, given, rng, modules=both, gradients=False, tol=TOL, name="forecast", help=help)


@pytest.mark.value
def test_sea_loss(solution, rng):
    """Squared errors count by how much sea there is, those on land not at all, whatever stands there"""
    help = "choose on land, 0 times NaN is NaN; divide by all the sea, and by sequences, days, fields"
    for index, (count, _, steps, fields, rows, columns, *_) in enumerate([*SIZES, *SIZES[:3], MANY]):
        area = _coast(rng, rows, columns)
        far = (1.0, 1000.0)[index % 2]
        truth = far * _maps(rng, area, count, steps, fields, land=(torch.nan, 7.0)[index // 2 % 2])
        given = {"forecast": far * normal(rng, *truth.shape), "truth": truth, "area": area}
        agree = {"fixed": ["area"], "tol": TOL, "name": "loss", "help": help}
        assert_agrees(solution.sea_loss, _loss, given, rng, **agree)


def _skill(oracle, past, future, area):
    """By scikit-learn."""
    wet, steps = area > 0, future.shape[1]
    forecast = oracle(past, wet, steps).detach()
    weights = np.tile(area[wet], len(past) * past.shape[2])
    skill = []
    for day in range(steps):
        came = future[:, day, :, wet].flatten()
        both = (each[..., wet].flatten() for each in (forecast[:, day], past[:, -1]))
        ours, theirs = (mean_squared_error(came, each, sample_weight=weights) for each in both)
        skill.append(1 - ours / theirs)
    return torch.tensor(skill, dtype=torch.float64)


@pytest.mark.value
def test_skill(solution, rng):
    """Skill at each lead is one minus a ratio of errors on all sequences, of forecasts from the past alone"""
    help = "the model has not seen the future; persistence is the last day of the past; sum first, divide last"
    for index, size in enumerate([*SIZES, *SIZES[:3], MANY]):
        model, oracle = _models(solution, rng, size, (1.0, FAR)[index % 2])
        count, _, steps, fields, rows, columns, *_ = size
        area, scale = _coast(rng, rows, columns), 10.0 ** (index % 3)
        past = _maps(rng, area, count, size[1], fields)
        future = scale * _maps(rng, area, count, steps, fields, land=(0.0, torch.nan)[index // 2 % 2])
        past, future = (each * torch.arange(1.0, count + 1)[:, None, None, None, None] for each in (past, future))
        wanted = _skill(oracle, past, future, area)
        for piece in {1, 2, 3, count} if count < 9 else {271, 9000}:
            got = torch.tensor(
                solution.skill(model.train(piece % 2 == 0), *map(as_view, (past, future, area)), piece),
                dtype=torch.float64,
            )
            name = text("skill, {piece} sequences at a time", piece=piece)
            assert_close(got, wanted, tol=TOL, name=name, help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach maps, states, and every parameter, back through forecasts that were read"""
    help = "nothing may cut the graph: no detach, no .data, no no_grad; a forecast that is read is not a constant"
    for index, size in enumerate([*SIZES, BACK, SIZES[0], SIZES[3]]):
        far, agree = (1.0, FAR)[index > 5], {"tol": TOL, "help": help}
        assert_agrees(_learners_cell(solution), _cell, _of_step(rng, size, far), rng, name=("c", "h"), **agree)
        both, given = _stacks(solution, rng, size), _of_stack(rng, size, far=far)
        stack, names = _learners_stack(both[0], len(size[6])), ["outputs", *_parts(size)]
        agree["parameters"] = list(_shapes(both[1]))
        assert_agrees(stack, both[1], given, rng, modules=both, name=names, **agree)
        both, given = _models(solution, rng, size), _of_model(rng, size, index % 2, far)
        agree["parameters"] = list(_shapes(both[1]))
        assert_agrees(*both, given, rng, modules=both, name="forecast", **agree)


@pytest.mark.value
def test_training(solution, rng):
    """From given numbers, up to twelve steps of Adam have the right losses, and the parameters after them"""
    help = "fit is given and right: its loss is your sea_loss of your forecasts, and every parameter learns"
    for size, steps, forced, far in TRAININGS:
        model, oracle = _models(solution, rng, size, far)
        count, past, days, fields, rows, columns, *_ = size
        area = _coast(rng, rows, columns)
        past, future = (_maps(rng, area, count, each, fields) for each in (past, days))
        batches = torch.from_numpy(rng.integers(0, count, (steps, 3)))
        rates = rng.uniform(0.005, 0.02, steps).tolist()
        losses = solution.fit(model.train(steps != 4), *map(as_view, (past, future, area, batches)), rates, forced)
        adam = torch.optim.Adam(oracle.parameters())

        def descent(oracle=oracle, past=past, future=future, area=area, plan=(batches, rates, forced), adam=adam):
            for step, (rows, rate) in enumerate(zip(*plan[:2], strict=True)):
                adam.param_groups[0]["lr"] = rate
                truth = future[rows] if step < plan[2] else None
                yield _loss(oracle(past[rows], area > 0, future.shape[1], truth), future[rows], area)

        assert_trained(losses, model, oracle, descent(), adam, parameters=list(_shapes(oracle)), help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and parameters stay, answers repeat, and a new forecaster says that all stays as it is"""
    for size in SIZES:
        model, oracle = _models(solution, rng, size)
        past, sea, steps, truth = _of_model(rng, size, True).values()
        first = model(past, sea, steps)
        model(2 * past, sea, steps, truth)
        alone = torch.cat([model(past[row : row + 1], sea, steps + 1)[:, :steps] for row in range(len(past))])
        assert_close(model(past, sea, steps), first, tol=SAME, name=text("forecast, asked again"))
        assert_close(alone, first, tol=SAME, name=text("forecast, one sequence at a time and a day longer"))
        solution.skill(model, past, truth + 1, sea.double(), 2)
        solution.sea_loss(first, truth, sea.double())
        solution.anomalies(past[0], sea, 1)
        _learners_cell(solution)(**_of_step(rng, size))
        _learners_stack(_stacks(solution, rng, size)[0], len(size[6]))(**_of_stack(rng, size))
        for name, value in state_of(oracle, _shapes(oracle)).items():
            assert_close(state_of(model, [name])[name], value, tol=SAME, name=text("{name} after the calls", name=name))
        new = _make(solution, size)
        stays = past[:, -1:].expand_as(first)
        assert_close(new(past, sea, steps), stays, tol=SAME, name=text("forecast of a new forecaster"))
    solution.fit(model, past, truth, sea.double(), torch.zeros(2, 2, dtype=torch.int64), [0.01, 0.02])
    assert_unchanged(mutated, but=["model of fit"])
    shapes = _shapes(_Net((1, 1, 1, 11, 1, 1, [4, 5], 3)))
    laws = layer_laws({key: shape for key, shape in shapes.items() if "convs" in key})
    laws |= {key: Constant(0.0) for key in shapes if "convs" not in key}
    help = "filters and biases as nn.Conv2d draws them, for C + H maps; peepholes and head at 0"
    assert_drawn(lambda: solution.Forecaster(11, [4, 5], 3), laws, name="Forecaster", help=help)


@pytest.mark.convergence
def test_forecasts_a_small_sea(solution, rng, record):
    """After 80 steps it tells where currents take warm water, on seasons that it never saw"""
    fields, sea = _seasons(rng, SEASONS + HELD_OUT)
    latitudes = np.radians(np.linspace(NORTH, SOUTH, ROWS))[:, None]
    area, sea = torch.from_numpy(sea * np.cos(latitudes)).float(), torch.from_numpy(sea)
    days = torch.where(sea, torch.from_numpy(fields).float(), torch.nan).flatten(0, 1)[:, None]
    scaled, *_ = solution.anomalies(days, sea, SEASONS * (PAST + FUTURE))
    scaled = scaled.reshape(-1, PAST + FUTURE, 1, ROWS, COLUMNS)
    past, future = scaled[:, :PAST], scaled[:, PAST:]
    model = solution.Forecaster(1, [HIDDEN], 3)
    batches = torch.from_numpy(rng.integers(0, SEASONS, (STEPS, BATCH)))
    rates = [LEARNING_RATE * (1 - step / STEPS) for step in range(STEPS)]
    stays = _loss(past[:SEASONS, -1:].expand_as(future[:SEASONS]).double(), future[:SEASONS].double(), area.double())
    losses = solution.fit(model, past[:SEASONS], future[:SEASONS], area, batches, rates)
    record.curve("loss beside that of persistence", losses, baseline=stays.item())
    past, future = past[SEASONS:], future[SEASONS:]
    skill = solution.skill(model, past, future, area, HELD_OUT)
    record.curve("skill by day ahead", skill, baseline=0.0)
    forecast = model(past[:1], sea, FUTURE).detach()
    frames = torch.cat([future[0, :, 0], forecast[0, :, 0], past[0, -1:, 0].expand(FUTURE, -1, -1)])
    record.images("four days: what came, forecast, persistence", frames.numpy(), columns=FUTURE)
    help = "do the gates see neighbours, do states live on, do forecasts come from the past alone?"
    assert_beats(float(np.mean(skill)), BAR, name="mean skill against persistence", help=help)


def _seasons(rng, count):
    """Warm and cold water of each season, (seasons, days, Y, X), in degrees, and where the sea is.

    A gyre round an island turns one way or the other, faster or slower, and carries the water with it: fluxes through
    the faces of places from upstream, and a little mixing, four times a day.
    """
    sea = np.pad(np.ones((ROWS - 2, COLUMNS - 2), bool), 1)
    sea[1:3, 1:4] = sea[5:7, 5:7] = False
    around = np.pad(sea, 1)
    wet = around[:-1, :-1] & around[1:, :-1] & around[:-1, 1:] & around[1:, 1:]
    stream = np.zeros(wet.shape)
    for _ in range(300):  # the stream function of a steady wind's curl
        p = np.pad(stream, 1)
        stream = wet * (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] + 1) / 4
    strength = rng.choice([-1, 1], count) * rng.uniform(1.5, 2.5, count)
    stream = strength[:, None, None] * stream / stream.max() / 4
    flows = np.diff(stream, axis=2)[:, :-1], -np.diff(stream, axis=1)[:, :, :-1]  # from the place before, on each axis
    water = 5 * sea * gaussian_filter(normal_array(rng, count, ROWS, COLUMNS), (0, 1.2, 1.2))
    days = []
    for _ in range(PAST + FUTURE):
        days.append(15 + 4 * np.cos(np.arange(ROWS) / 4)[:, None] + water)
        for _ in range(4):
            fluxes = []
            for axis, flow in enumerate(flows, 1):
                before, open_ = np.roll(water, 1, axis), sea & np.roll(sea, 1, axis - 1)
                flux = np.maximum(flow, 0) * before + np.minimum(flow, 0) * water + 0.01 * open_ * (before - water)
                fluxes.append(flux - np.roll(flux, -1, axis))
            water = water + sum(fluxes)
    return np.stack(days, 1), sea
