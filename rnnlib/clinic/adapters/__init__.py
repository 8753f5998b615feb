"""Other people's nets in the form of `cells`, and back: torch, flax (linen and nnx), Keras 3, and plain dicts of arrays.

    params     a net's parameters, as `ElmanParams`, `LSTMParams` or `GRUParams`
    gradient   its gradients likewise: what torch keeps in .grad, or a tree of them
    into       our parameters, put into a net
    run        a torch net as a function for `examine` and `influence`
    backward   a torch net's own backward pass as a function for `xray`
    as_dict    all parameters of a torch net by their own names, where it has no counterpart here: several layers, an embedding

A net is a library's recurrent layer and its linear readout: the two, or one module that holds both, or a tree or dict of their arrays.
Libraries are imported where one of their nets is handed over, and not before.

    weights     what they have in common, and the pair of biases that many of them have
    named       plain dicts, by their names and shapes
    torch, flax, keras   where each of these keeps what, and in which order its gates stand
    running     a torch net as a function on NumPy arrays
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from rnnlib.clinic.adapters.weights import from_weights, gradient_of, to_weights

__all__ = ["as_dict", "backward", "gradient", "into", "params", "run"]
HOMES = {"torch": "torch", "keras": "keras", "flax": "flax"}


def params(net: Any, readout: Any = None, **options: Any) -> Any:
    """Take the parameters out of a net.

    Args:
        net: a recurrent layer, a module that holds one and a linear readout, a flax tree of parameters, or a dict of arrays by name.
        readout: the linear layer that reads it, where `net` does not hold it.
        options: of a dict, `transposed=` where no shape tells and `gates=` for another order of its columns: see `named.read`.

    Returns:
        `ElmanParams`, `LSTMParams` or `GRUParams` of NumPy arrays, W_xh (D, H), and so on. Two biases are added up. h0 is zero, as these
        libraries begin, unless a dict has one, or a torch module trains one of that name.

    Raises:
        TypeError: a net of no library that is known here.
        ValueError: a net that has no counterpart: several layers, both directions, another activation; what to do about it is said.

    Example:
        >>> import numpy as np
        >>> karpathy = {"Wxh": np.ones((5, 3)), "Whh": np.eye(5), "Why": np.ones((2, 5)), "bh": np.zeros((5, 1)), "by": np.zeros((2, 1))}
        >>> params(karpathy).W_xh.shape
        (3, 5)

    Source: the libraries' own documentation of their layers, and their code: see each room.
    """
    return from_weights(_home(net).read(net, readout, **options))


def gradient(net: Any, readout: Any = None, **options: Any) -> Any:
    """Take the gradients out of a net: torch's .grad, or a tree or dict of gradients.

    Two biases that are added up have the same gradient each, and so has their sum: it is taken once.

    Args:
        net: a torch net; a flax tree of gradients, as jax.grad and nnx.grad return it; a dict of gradients by name; a net of Keras.
        readout: as for `params`.
        options: as for `params`; and of Keras `grads=`, the gradients of the net's trainable variables, in their order.

    Returns:
        As `params`; zero where there is no gradient yet, and for a bias that the net does not have.

    Raises:
        TypeError, ValueError: as `params`; a net that keeps no gradients.

    Example:
        >>> import numpy as np
        >>> gradient({"Wxh": np.ones((5, 3)), "Whh": np.eye(5), "Why": np.ones((2, 5)), "by": np.full((2, 1), 7.0)}).b_y
        array([7., 7.])
    """
    home = _home(net)
    read = getattr(home, "read_gradient", home.read)
    return gradient_of(read(net, readout, **options))


def into(params: Any, net: Any, readout: Any = None, **options: Any) -> Any:
    """Put our parameters into a net of theirs.

    Args:
        params: of a cell, whose sizes fit. h0 is left out where the net has none of its own: it is handed its state.
        net: as for `params`. A torch, nnx or Keras net is changed; a tree or dict is not, a new one is returned.
        readout: as for `params`.
        options: as for `params`.

    Returns:
        The net, or the new tree or dict, of the structure that was given.

    Raises:
        ValueError: sizes that differ, another cell, or a bias where the net has none.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> ours = init_elman(3, 5, 2, rng=np.random.default_rng(0))
        >>> theirs = {"Wxh": np.ones((5, 3)), "Whh": np.eye(5), "Why": np.ones((2, 5)), "bh": np.zeros(5), "by": np.zeros(2)}
        >>> into(ours, theirs)["Why"].shape
        (2, 5)
    """
    home = _home(net)
    return home.write(net, readout, to_weights(params, home.read(net, readout, **options)), **options)


def as_dict(net: Any, readout: Any = None) -> dict[str, Any]:
    """Take all parameters out of a torch net by their own names: for nets that have no counterpart in `cells`, to be examined as they are.

    Args:
        net: any module of torch: several layers, both directions, an embedding.
        readout: as for `params`; its names begin with `readout.`.

    Returns:
        A dict of NumPy arrays, which `run` and `backward` take as their params.

    Raises:
        TypeError: a net that is not torch's.
    """
    _require_torch(net)
    from rnnlib.clinic.adapters import running
    from rnnlib.clinic.adapters.torch import as_array

    return {name: as_array(parameter) for name, parameter in running.named(net, readout).items()}


def run(net: Any, readout: Any = None, *, forward: Callable | None = None, batch_first: bool | None = None) -> Callable:
    """Make of a torch net a function `(params, xs, state) -> (ys, state)` on NumPy arrays, for `clinic.examine` and `clinic.influence`.

    Args:
        net: any module of torch. If it holds its readout, its own `forward` is run: xs, or xs and a state, to ys, or to ys and the state.
        readout: the linear layer that reads `net`; then the two are run one after the other.
        forward: what is run instead, `forward(net, xs, state)`, or `forward(net, readout, xs, state)`, on tensors as the net is fed; to
            ys, or to ys and the state. A training that cuts or resets on its way shows it here.
        batch_first: whether the net is fed (B, T, D); None for what its recurrent layer says.

    Returns:
        The function. Its params are those of `params(net)`, of any size, or those of `as_dict(net)`; it works on a copy of the net in
        float64. Its xs are (T, B, D) or symbols (T, B), its state (B, H) or h and c; None starts from h0.

    Raises:
        TypeError: a net that is not torch's.
        ValueError: a forward that asks for more than inputs and a state.
    """
    _require_torch(net)
    from rnnlib.clinic.adapters import running

    return partial(running.run, running.runner(net, readout, forward, batch_first))


def backward(
    net: Any, readout: Any = None, *, forward: Callable | None = None, batch_first: bool | None = None
) -> Callable:
    """Make of a torch net's own backward pass a function `(params, xs, d_ys, state=None) -> grads`, for `clinic.xray`.

    Arguments and errors are those of `run`.

    What the net does on the way, a `detach()`, a mask, a hook, is done: the X-ray shows it. Its grads have the form of its params.
    """
    _require_torch(net)
    from rnnlib.clinic.adapters import running

    return partial(running.backward, running.runner(net, readout, forward, batch_first))


def _home(net):
    """The room that knows this net."""
    if type(net) in (list, tuple) and net:
        net = net[0]
    for kind in type(net).__mro__:
        library = kind.__module__.split(".")[0]
        if library in HOMES:
            return import_module(f"rnnlib.clinic.adapters.{HOMES[library]}")
    if hasattr(net, "items"):
        trees = [value for value in net.values() if hasattr(value, "items")]
        return import_module(f"rnnlib.clinic.adapters.{'flax' if trees else 'named'}")
    raise TypeError(
        f"adapters: a net must be one of torch, flax or Keras, or a dict of arrays, got {type(net).__name__}. "
        "Try a dict with W_xh, W_hh, b_h, W_hy, b_y."
    )


def _require_torch(net):
    """Refuse what can't be run as it is."""
    first = net[0] if isinstance(net, list | tuple) and net else net
    if not any(kind.__module__.split(".")[0] == "torch" for kind in type(first).__mro__):
        raise TypeError(
            f"adapters: only a torch net can be run as it is, got {type(net).__name__}. "
            "Take adapters.params(net), and write run(params, xs, state) with your own forward pass, after into(params, net)."
        )
