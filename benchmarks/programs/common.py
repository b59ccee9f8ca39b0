"""What they share: data, scores as gains over a constant prediction, and the registry."""

import os, numpy as np, keras, tensorflow as tf
from keras import layers as L, ops

SD = os.environ.get("KERASGRAD_DATA", "shared/data") + "/"
REG = {}


def sick(fault):
    def deco(f):
        REG[f.__name__] = ("sick", fault, f)
        return f

    return deco


def healthy(f):
    REG[f.__name__] = ("healthy", f.__doc__ or "", f)
    return f


def split(x, y, frac=0.25, seed=0):
    r = np.random.RandomState(seed)
    p = r.permutation(len(x))
    k = int(len(x) * (1 - frac))
    return x[p[:k]], y[p[:k]], x[p[k:]], y[p[k:]]


def acc(pred, y):
    pred = np.asarray(pred)
    if not np.isfinite(pred).all():
        return float("nan")
    y = np.asarray(y).reshape(-1)
    if pred.ndim > 1 and pred.shape[-1] > 1:
        c = pred.reshape(-1, pred.shape[-1]).argmax(-1)
    else:
        c = (pred.reshape(-1) > 0.5).astype(int)
    base = np.bincount(y.astype(int)).max() / len(y)
    a = (c == y).mean()
    return float((a - base) / (1 - base))


def bal(pred, y):
    pred = np.asarray(pred).reshape(-1)
    y = np.asarray(y).reshape(-1)
    if not np.isfinite(pred).all():
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(2 * roc_auc_score(y, pred) - 1)


def r2(pred, y):
    pred = np.asarray(pred, dtype="float64").reshape(len(y), -1)
    y = np.asarray(y, dtype="float64").reshape(len(y), -1)
    if not np.isfinite(pred).all():
        return float("nan")
    return float(1 - ((pred - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())


_m = {}


def mnist(n=4000, nt=1000, scale=255.0, start=0):
    if "m" not in _m:
        d = np.load(SD + "mnist.npz")
        _m["m"] = (d["x_train"], d["y_train"])
    x, y = _m["m"]
    x = x[start : start + n + nt].reshape(-1, 28, 28, 1).astype("float32") / scale
    y = y[start : start + n + nt].reshape(-1).astype("int64")
    return x[:n], y[:n], x[n:], y[n:]


def cifar(n=3000, nt=800, scale=255.0):
    if "c" not in _m:
        d = np.load(SD + "cifar10.npz")
        k = list(d.keys())
        _m["c"] = (d["x_train"] if "x_train" in k else d[k[0]], d["y_train"] if "y_train" in k else d[k[1]])
    x, y = _m["c"]
    x = x[: n + nt].astype("float32") / scale
    y = y[: n + nt].reshape(-1).astype("int64")
    if x.shape[1] == 3:
        x = x.transpose(0, 2, 3, 1)
    return x[:n], y[:n], x[n:], y[n:]


def digits():
    from sklearn.datasets import load_digits

    d = load_digits()
    return split((d.data / 16).astype("float32"), d.target)


def sk(name, std=True, seed=0):
    import sklearn.datasets as D

    d = getattr(D, "load_" + name)()
    x = d.data.astype("float32")
    y = d.target
    a, b, c, e = split(x, y, seed=seed)
    if std:
        m, s = a.mean(0), a.std(0) + 1e-7
        a = (a - m) / s
        c = (c - m) / s
    return a, b, c, e


def houses(n=1500, seed=0):
    "house prices in dollars"
    r = np.random.RandomState(seed)
    area = r.uniform(40, 250, n)
    rooms = np.round(area / 30 + r.randn(n))
    age = r.uniform(0, 100, n)
    dist = r.exponential(8, n)
    q = r.randint(1, 6, n)
    price = 60000 + 1500 * area * (1 + 0.1 * q) - 900 * age - 4000 * np.sqrt(dist) * 4 + r.randn(n) * 20000
    return split(np.stack([area, rooms, age, dist, q], 1).astype("float32"), price.astype("float32"))


def std(a, c):
    m, s = a.mean(0), a.std(0) + 1e-7
    return (a - m) / s, (c - m) / s


def reviews(n=2500, V=1000, T=40, seed=0, lo=15):
    "padded (post) sequences of word ids with sentiment words"
    r = np.random.RandomState(seed)
    y = r.randint(0, 2, n)
    x = np.zeros((n, T), "int32")
    for i in range(n):
        k = r.randint(lo, T + 1) if lo < T else T
        w = (r.zipf(1.3, k) % (V - 100)) + 100
        s = r.rand(k) < 0.12
        w[s] = np.where(
            r.rand(s.sum()) < 0.8, y[i] * 50 + r.randint(1, 50, s.sum()), (1 - y[i]) * 50 + r.randint(1, 50, s.sum())
        )
        x[i, :k] = w
    return split(x, y, seed=seed)


def series(n=1500, T=24, seed=0, scale=1.0, off=0.0):
    r = np.random.RandomState(seed)
    t = np.arange(n + T + 1)
    s = np.sin(t / 6) + 0.5 * np.sin(t / 2.3 + 1) + 0.1 * r.randn(len(t))
    s = s * scale + off
    x = np.stack([s[i : i + T] for i in range(n)])[..., None].astype("float32")
    y = s[T : T + n].astype("float32")
    k = int(0.8 * n)
    return x[:k], y[:k], x[k:], y[k:]


def ratings(nu=150, ni=100, n=8000, seed=0):
    r = np.random.RandomState(seed)
    U = r.randn(nu, 3)
    I = r.randn(ni, 3)
    u = r.randint(0, nu, n)
    i = r.randint(0, ni, n)
    z = 3.3 + 0.7 * (U[u] * I[i]).sum(1) / 1.7 + 0.4 * r.randn(nu)[u] + 0.4 * r.randn(ni)[i] + 0.3 * r.randn(n)
    y = np.clip(np.round(z * 2) / 2, 0.5, 5).astype("float32")
    k = int(0.8 * n)
    return (u[:k], i[:k]), y[:k], (u[k:], i[k:]), y[k:], nu, ni


def chars(n=4000, T=30, seed=0):
    s = open(SD + "shakespeare.txt").read()[:300000]
    v = sorted(set(s))
    ix = {c: i for i, c in enumerate(v)}
    a = np.array([ix[c] for c in s])
    r = np.random.RandomState(seed)
    p = r.randint(0, len(a) - T - 1, n + 1000)
    x = np.stack([a[q : q + T] for q in p])
    y = a[p + T]
    return x[:n], y[:n], x[n:], y[n:], len(v)


def moons(n=800, noise=0.15, seed=0):
    from sklearn.datasets import make_moons

    x, y = make_moons(n, noise=noise, random_state=seed)
    return split(x.astype("float32"), y)


def circles(n=800, seed=0):
    from sklearn.datasets import make_circles

    x, y = make_circles(n, noise=0.08, factor=0.4, random_state=seed)
    return split(x.astype("float32"), y)
