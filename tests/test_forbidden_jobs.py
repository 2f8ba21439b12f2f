"""What a library does for a kata's whole job is refused in every place where the library does it: tried by going there."""

from __future__ import annotations

import json
from textwrap import dedent, indent

import pytest

from grader.kata import SCHEMA
from grader.worker.jobs import JOBS

from .test_loader import Case, outcomes

HEAD = """
import importlib
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

x, h, c = torch.ones(2, 3), torch.zeros(2, 5), torch.ones(2, 5)
q = torch.ones(2, 1, 4, 8)
image, kernel = torch.ones(1, 2, 5, 5), torch.ones(2, 3, 3, 3)
labels = [0, 0, 1, 1]

def road():
"""

ROADS = {
    "recurrent": {
        "the layer": "nn.LSTM(3, 5)(x)",
        "its function": "torch.lstm_cell(x, (h, c), torch.ones(20, 3), torch.ones(20, 5))",
        "made of free operators": "torch.ao.nn.quantizable.LSTMCell(3, 5)(x, (h, c))",
        "by its full name": "from torch.ao.nn.quantizable.modules.rnn import LSTMCell\nLSTMCell(3, 5)(x, (h, c))",
        "from a module's names": "vars(torch.ao.nn.quantizable.modules.rnn)['LSTMCell'](3, 5)(x, (h, c))",
        "by importlib": "importlib.import_module('torch.ao.nn.quantizable').LSTM(3, 5)(x[None])",
        "a subclass": "type('Mine', (torch.ao.nn.quantizable.LSTMCell,), {})(3, 5)(x, (h, c))",
        "its forward alone": "cell = torch.ao.nn.quantizable.LSTMCell(3, 5)\ntype(cell).forward(cell, x, (h, c))",
        "functional_call": "functional_call(torch.ao.nn.quantizable.LSTMCell(3, 5), {}, (x, (h, c)))",
        "in vmap": "torch.func.vmap(torch.ao.nn.quantizable.LSTMCell(3, 5))(x[None], (h[None], c[None]))",
        "a decomposition": "torch._decomp.decompositions.gru_cell(x, h, None, None, [torch.ones(15, 3), torch.ones(15, 5)])",
        "the table of decompositions": (
            "from torch._decomp import decomposition_table as table\n"
            "[f for key, f in table.items() if 'rnn_tanh.input' in str(key)][0](x[None], h[None], [], False, 1, 0.0, False, False, False)"
        ),
    },
    "attention": {
        "the function": "F.scaled_dot_product_attention(q, q, q)",
        "the layer": "nn.MultiheadAttention(8, 2)(q[0], q[0], q[0])",
        "the encoder layer": "nn.TransformerEncoderLayer(8, 2)(q[0])",
        "made of free operators": "torch.ao.nn.quantizable.MultiheadAttention(8, 2)(q[0], q[0], q[0])",
        "flex_attention": "from torch.nn.attention.flex_attention import flex_attention\nflex_attention(q, q, q)",
        "its operator": "torch.ops.higher_order.flex_attention(q, q, q, lambda *a: a[0], (), 1.0, {})",
        "what it is made of": (
            "from torch._higher_order_ops.flex_attention import math_attention\nmath_attention(q, q, q, None, (), 1.0, {})"
        ),
        "a decomposition": "torch._decomp.decompositions.scaled_dot_product_flash_attention_for_cpu(q, q, q)",
    },
    "transformer": {
        "the encoder layer": "nn.TransformerEncoderLayer(8, 2)(q[0])",
        "the decoder layer": "nn.TransformerDecoderLayer(8, 2)(q[0], q[0])",
        "the fast path": "nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()(q[0])",
    },
    "convolution": {
        "the function": "F.conv2d(image, kernel.transpose(0, 1))",
        "the layer": "nn.Conv2d(2, 3, 3)(image)",
        "its gradient": "torch.nn.grad.conv2d_input((1, 3, 7, 7), kernel, image)",
    },
    "transposed-convolution": {
        "the function": "F.conv_transpose2d(image, kernel)",
        "the layer": "nn.ConvTranspose2d(2, 3, 3)(image)",
        "the gradient of a convolution": "torch.nn.grad.conv2d_input((1, 3, 7, 7), kernel, image)",
        "a convolution told to": "torch.convolution(image, kernel, None, [1, 1], [0, 0], [1, 1], True, [0, 0], 1)",
        "its operator": "torch.ops.aten.convolution.default(image, kernel, None, [1] * 2, [0] * 2, [1] * 2, True, [0] * 2, 1)",
    },
    "normalisation": {
        "the function": "F.layer_norm(x, (3,))",
        "the layer": "nn.BatchNorm1d(3)(x)",
        "a reference": "torch._refs.nn.functional.layer_norm(x, (3,))",
    },
    "losses": {
        "a function": "F.mse_loss(x, x)",
        "a layer": "nn.KLDivLoss()(x, x)",
        "a divergence": "torch.distributions.kl_divergence(torch.distributions.Normal(0, 1), torch.distributions.Normal(0, 1))",
    },
    "binary-cross-entropy": {
        "the function": "F.binary_cross_entropy_with_logits(x, x)",
        "under another name": "F.multilabel_soft_margin_loss(x, x)",
        "of signs": "F.soft_margin_loss(x, x)",
        "a distribution": "torch.distributions.Bernoulli(logits=x).log_prob(x)",
        "a distribution of many": "torch.distributions.Binomial(1, logits=x).log_prob(x)",
        "a divergence": (
            "from torch.distributions import Bernoulli, kl_divergence\nkl_divergence(Bernoulli(x), Bernoulli(logits=x))"
        ),
        "a decomposition": "torch._decomp.decompositions.binary_cross_entropy(x, x)",
    },
    "ctc": {
        "the function": "F.ctc_loss(torch.zeros(4, 1, 3), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))",
        "the layer": "nn.CTCLoss()(torch.zeros(4, 1, 3), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))",
    },
    "optimisers": {
        "an optimiser": "torch.optim.Adam([nn.Parameter(x)]).step()",
        "its function": (
            "from torch.optim.sgd import sgd\nsgd([x], [x], [None], weight_decay=0, momentum=0, lr=1, dampening=0, "
            "nesterov=False, maximize=False)"
        ),
    },
    "cluster-scores": {
        "a score": "from sklearn.metrics import adjusted_rand_score\nadjusted_rand_score(labels, labels)",
        "where it stands": "import sklearn.metrics.cluster._supervised as s\ns.v_measure_score(labels, labels)",
        "the table of pairs": "import sklearn.metrics\nsklearn.metrics.cluster.pair_confusion_matrix(labels, labels)",
    },
}


def cases(job: str) -> dict[str, Case]:
    return {name: Case(HEAD + indent(dedent(road), "    "), jobs=(job,)) for name, road in ROADS[job].items()}


def test_every_job_that_a_manifest_may_forbid_has_its_roads_here() -> None:
    allowed = json.loads(SCHEMA.read_text())["properties"]["forbidden"]["properties"]["jobs"]["items"]["enum"]
    assert set(allowed) == set(JOBS) == set(ROADS)


@pytest.mark.parametrize("job", ROADS)
def test_a_forbidden_job_is_refused_wherever_the_library_does_it(job: str) -> None:
    answers = outcomes(cases(job), "torch")
    assert {name: answer for name, answer in answers.items() if answer["said"] != "ForbiddenOperator"} == {}
    assert {name for name, answer in answers.items() if not answer["seen"]} == set()


def test_a_layer_that_may_not_be_called_may_hold_weights() -> None:
    source = """
        from torch import nn
        class Mine(nn.ConvTranspose2d):
            def forward(self, x):
                return self.weight.sum()
        def road():
            return tuple(nn.ConvTranspose2d(2, 3, 3).weight.shape), Mine(1, 1, 1)(None).numel()
        """
    (answer,) = outcomes({"": Case(dedent(source), jobs=("transposed-convolution",))}, "torch").values()
    assert answer == {"said": "((2, 3, 3, 3), 1)", "seen": []}


def test_what_a_forbidden_job_is_not_works_as_ever() -> None:
    source = """
        import torch
        from torch import nn
        def road():
            x = torch.ones(2, 1, 6, 6, requires_grad=True)
            y = nn.BatchNorm2d(3)(nn.Conv2d(1, 3, 3)(x)).flatten(1)
            loss = nn.functional.cross_entropy(nn.Linear(48, 2)(y), torch.tensor([0, 1]))
            loss.backward()
            packed = nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(3)])
            return tuple(x.grad.shape), tuple(packed.shape)
        """
    jobs = (
        "recurrent",
        "attention",
        "transformer",
        "transposed-convolution",
        "ctc",
        "binary-cross-entropy",
        "optimisers",
    )
    (answer,) = outcomes({"": Case(dedent(source), jobs=jobs)}, "torch").values()
    assert answer == {"said": "((2, 1, 6, 6), (3, 2))", "seen": []}
