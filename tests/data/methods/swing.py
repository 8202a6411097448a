"""Every few steps, weights in proportion to the validation losses."""

from chameleon.mixing import Method, MethodResult, MixtureSchedule, register


@register
class Swing(Method):
    """Toy."""

    name = "swing"
    online = True
    defaults = {"every": 3}

    def weights(self, inputs):
        return MethodResult(MixtureSchedule.static({d: 1 / len(inputs.domains) for d in inputs.domains}))

    def controller(self, inputs):
        return Controller(inputs)


class Controller:
    def __init__(self, inputs):
        self.inputs = inputs

    def next_segment(self, state):
        losses = state.validation_losses()
        assert tuple(losses) == state.domains == self.inputs.domains
        return self.inputs.params["every"], {d: x / sum(losses.values()) for d, x in losses.items()}
