"""Data of round 2: sounds, graphs, clouds of points, strands, ratings, survival; all made by a seed."""

from .common import *


def sounds(n, seed=0, silent=False):
    "half a second at 256 Hz of one of four tones in noise, as a power spectrogram [16, 17]; some of it digital silence"
    r = np.random.RandomState(seed)
    y = r.randint(0, 4, n)
    t = np.arange(272) / 256
    w = np.sin(2 * np.pi * (20 + 18 * y)[:, None] * t + r.rand(n, 1) * 6) * (r.rand(n, 1) + 0.3) + 0.7 * r.randn(n, 272)
    if silent:
        w[r.rand(n) < 0.05] = 0
    f = np.stack([np.abs(np.fft.rfft(w[:, k * 16 : k * 16 + 32], axis=1)) ** 2 for k in range(16)], 1)
    return f.astype("float32"), y


def communities(n=240, k=4, seed=0):
    "a graph of communities: normalised adjacency, noisy features, the community, and which are to learn from"
    r = np.random.RandomState(seed)
    y = np.arange(n) % k
    a = r.rand(n, n) < np.where(y[:, None] == y, 0.12, 0.015)
    a = np.triu(a, 1)
    a = (a | a.T | np.eye(n, dtype=bool)).astype("float32")
    d = a.sum(1)
    x = (np.eye(k)[y] * 0.8 + r.randn(n, k)).astype("float32")
    return a / np.sqrt(d[:, None] * d), x, y, r.rand(n) < 0.4


def survival(n, seed=0):
    "covariates and (time, whether it was seen), the risk last"
    r = np.random.RandomState(seed)
    x = r.randn(n, 6).astype("float32")
    risk = 1.2 * x[:, 0] - 0.8 * x[:, 1] * x[:, 2]
    t, c = r.exponential(np.exp(-risk)), r.exponential(3.0, n)
    return x, np.stack([np.minimum(t, c), t < c], 1).astype("float32"), risk


def clouds(n, points=48, seed=0):
    "points on a ball, a cube's edges or a ring, turned and noisy"
    r = np.random.RandomState(seed)
    y = r.randint(0, 3, n)
    x = r.randn(n, points, 3)
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    x[y == 1] = np.sign(x[y == 1]) * np.where(r.rand((y == 1).sum(), points, 1) < 0.5, [1, 1, 0.3], [0.3, 1, 1])
    x[y == 2, :, 2] = 0
    q = np.linalg.qr(r.randn(n, 3, 3))[0]
    return (x @ q + 0.05 * r.randn(*x.shape)).astype("float32"), y


def strands(n, length=60, seed=0):
    "DNA, one-hot; half of the strands hold TATAAT with at most one error"
    r = np.random.RandomState(seed)
    x = r.randint(0, 4, (n, length))
    y = r.randint(0, 2, n)
    for k in np.flatnonzero(y):
        m = np.array([3, 0, 3, 0, 0, 3])
        if r.rand() < 0.5:
            m[r.randint(6)] = r.randint(4)
        p = r.randint(length - 6)
        x[k, p : p + 6] = m
    return np.eye(4, dtype="float32")[x], y


def prices(n=1500, T=20, seed=0):
    "an index at about 30000 that swings around its mean, and the level of the next day"
    r = np.random.RandomState(seed)
    s = np.zeros(n + T + 1)
    for i in range(1, len(s)):
        s[i] = 0.9 * s[i - 1] + 0.25 * np.sin(i / 7) + 0.15 * r.randn()
    s = 30000 + 800 * s
    x = np.stack([s[i : i + T] for i in range(n)])[..., None].astype("float32")
    k = int(0.8 * n)
    return x[:k], s[T : T + k].astype("float32"), x[k:], s[T + k : T + n].astype("float32")


def image_of_waves(side=40):
    "coordinates in pixels and grey values of a picture"
    g = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2).astype("float32")
    u = g / side * 2 - 1
    v = np.sin(7 * u[:, 0] + 3 * u[:, 1]) * np.exp(-(u**2).sum(1)) + 0.5 * (np.abs(u[:, 0] - u[:, 1]) < 0.2)
    return g, v.astype("float32")[:, None]


def orders(n, levels=5, seed=0):
    "ordered grades 0 to 4"
    r = np.random.RandomState(seed)
    x = r.randn(n, 8).astype("float32")
    z = x[:, 0] + 0.7 * x[:, 1] - 0.5 * x[:, 2] * x[:, 3] + 0.2 * r.randn(n)
    return split(x, np.digitize(z, np.quantile(z, np.arange(1, levels) / levels)).astype("int64"))


def checks(ok, gain):
    assert ok or not np.isfinite(gain), f"learns too little: {gain}"
    return gain
