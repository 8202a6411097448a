"""Kernels of another package: put into a model where there are both a GPU and the package, and recorded."""

import sys
from types import ModuleType

import pytest
import torch
from hf_configs import LLAMA, MODEL

from chameleon.training.hf import kernels, scratch


@pytest.fixture
def asked(monkeypatch):
    """Stands for a machine with a GPU and the package; returns what is asked of it."""
    found = []
    package, patches = ModuleType("liger_kernel.transformers"), ModuleType("monkey_patch")
    patches.MODEL_TYPE_TO_APPLY_LIGER_FN = {"llama": lambda **how: found.append(how)}
    package.monkey_patch = patches
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", package)
    monkeypatch.setattr(kernels, "at_hand", lambda: True)
    monkeypatch.setattr(kernels, "pick_device", lambda: torch.device("cpu"))
    return found


def test_they_are_put_in_without_a_loss_of_theirs_and_recorded(asked):
    model = scratch.shape(MODEL, 32).initial(0)
    assert model.form == {"kernels": ["liger_kernel"]}
    assert asked == [{"model": model.lm, "cross_entropy": False, "fused_linear_cross_entropy": False}]


def test_a_type_that_has_none_is_left_as_it_is(asked):
    config = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
    model = scratch.shape({**MODEL, "config": {**config, "model_type": "gpt_neox"}}, 32).initial(0)
    assert model.form == {"kernels": []} and not asked


def test_without_a_gpu_or_the_package_a_model_is_transformers_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not kernels.at_hand()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert not kernels.at_hand()
    monkeypatch.undo()
    assert scratch.shape(MODEL, 32).initial(0).form == {"kernels": []}
