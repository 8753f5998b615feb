"""What gated cells compute with: blocks of a wide array, and σ."""


def blocks(p, count):
    """(..., count · H) to count arrays (..., H)."""
    H = p.shape[-1] // count
    return (p[..., k * H : (k + 1) * H] for k in range(count))


def sigmoid(p):
    """σ(p) = 1 / (1 + exp(−p)), in a form that does not overflow."""
    return 0.5 + 0.5 * p.__array_namespace__().tanh(0.5 * p)
