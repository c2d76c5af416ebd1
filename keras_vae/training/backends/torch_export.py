"""What torch's exporter to ONNX lacks: RMS normalisation, written as plain operations."""

import torch
from torch.onnx import register_custom_op_symbolic, symbolic_helper

OPSET = 18  # from here on ReduceMean takes its axes as an input


def rms_norm(graph, x, shape, weight, eps):
    """Returns ``x / sqrt(mean(x^2) + eps) * weight`` over the last axis."""
    eps = torch.tensor(symbolic_helper._get_const(eps, "f", "eps"))
    last = graph.op("Constant", value_t=torch.tensor([-1]))
    mean = graph.op("ReduceMean", graph.op("Mul", x, x), last, keepdims_i=1)
    root = graph.op("Sqrt", graph.op("Add", mean, graph.op("Constant", value_t=eps)))
    y = graph.op("Div", x, root)
    return y if symbolic_helper._is_none(weight) else graph.op("Mul", y, weight)


register_custom_op_symbolic("aten::rms_norm", rms_norm, OPSET)
