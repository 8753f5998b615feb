"""The torch patient of chapter 16: a `detach()` in the loop, what it cannot learn, what the X-ray shows, and the same net mended.

Needs torch (`make peers`); the chapter reads the stored record.
"""

import json
from pathlib import Path

import numpy as np
import torch

from rnnlib import clinic
from rnnlib.clinic import adapters

LAG, T, B, H = 4, 14, 16, 8
STORED = Path(__file__).parent / "results" / "clinic_torch.json"


class Net(torch.nn.Module):
    """An Elman net whose owner detaches the state at every step, or, mended, at none."""

    def __init__(self, mended):
        super().__init__()
        self.cell, self.out, self.mended = torch.nn.RNNCell(2, H), torch.nn.Linear(H, 2), mended

    def forward(self, xs, h):
        """Read xs (T, B, D); return ys (T, B, K)."""
        ys = []
        for x in xs:
            h = self.cell(x, h if self.mended else h.detach())
            ys.append(self.out(h))
        return torch.stack(ys)


def trained(mended, seed, lag=LAG, steps=400):
    """Train it to say what it read `lag` steps ago; return its loss on new sequences."""
    torch.manual_seed(seed)
    net, rng = Net(mended), np.random.default_rng(seed)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(steps + 1):
        ids = torch.as_tensor(rng.integers(0, 2, (T, B if step < steps else 256)))
        ys = net(torch.nn.functional.one_hot(ids, 2).float(), torch.zeros(ids.shape[1], H))
        loss = torch.nn.functional.cross_entropy(ys[lag:].flatten(0, 1), ids[:-lag].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    return loss.item()


if __name__ == "__main__":
    record = {"command": "python notebooks/experiments/clinic_torch.py", "torch": torch.__version__, "lag": LAG}
    for name, mended in {"as it came": False, "mended": True}.items():
        seen = clinic.xray(adapters.backward(Net(mended)), H=H, rng=np.random.default_rng(0))
        losses, lag_1 = ([round(trained(mended, seed, lag), 4) for seed in range(3)] for lag in (LAG, 1))
        record[name] = {"losses": losses, "lag 1": lag_1, "squares": seen.squares.tolist(), "message": seen.message}
    STORED.write_text(json.dumps(record, indent=1) + "\n")
    for name in ("as it came", "mended"):
        print(f"{name}: losses {record[name]['losses']} at lag {LAG}, {record[name]['lag 1']} at lag 1")
