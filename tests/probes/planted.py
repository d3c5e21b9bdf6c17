"""Features that hold a label at one layer, over rows with memory."""

import numpy as np
from scipy.signal import lfilter

from bids_brainalign.probes.linear import Labelled


def parts(n):
    part = np.zeros(n, dtype=np.int64)
    part[int(0.6 * n) : int(0.8 * n)] = 1
    part[int(0.8 * n) :] = 2
    return part


def memory(rng, n, k, ar):
    return lfilter([1], [1, -ar], rng.standard_normal((n + 200, k)), axis=0)[200:]


def labelled(kind, rng, *, n=1500, ar=0.9, k=4):
    latent = memory(rng, n, k, ar)
    if kind == "numbers":
        y = latent
    elif kind == "classes":
        y = np.eye(k)[latent.argmax(axis=1)]
    else:
        y = (latent > np.quantile(latent, 0.7, axis=0)).astype(float)
    return Labelled(y, kind, parts(n), np.arange(n) // 25), latent


def layers(rng, latent, *, planted=1, n_layers=3, dims=12, ar=0.9, noise=1.0):
    found = []
    for layer in range(n_layers):
        x = memory(rng, len(latent), dims, ar)
        if layer == planted:
            x = latent @ rng.standard_normal((latent.shape[1], dims)) * 2 + noise * x
        found.append(x.astype(np.float32))
    return found
