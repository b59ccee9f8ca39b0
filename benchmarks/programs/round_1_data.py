"""Data of round 1 that `common` does not have: small, made by a seed or taken from scikit-learn and MNIST."""

from .common import *


def tagging(n, T=16, seed=0):
    "classes of words that depend on the word before"
    r = np.random.RandomState(seed)
    x = r.randint(0, 30, (n, T))
    y = (x % 2) + 2 * (np.concatenate([np.zeros((n, 1), int), x[:, :-1]], 1) % 2)
    return x, y


def reversing(n, T, seed=0):
    "sequences, the decoder's inputs, and the sequence backwards"
    r = np.random.RandomState(seed)
    x = r.randint(1, 11, (n, T))
    y = x[:, ::-1].copy()
    t = np.concatenate([np.full((n, 1), 11), y[:, :-1]], 1)
    return x, t, y


def energy(n=1200, seed=0):
    "heating load of buildings, around 20"
    r = np.random.RandomState(seed)
    x = r.randn(n, 8).astype("float32")
    y = 22 + 4 * x[:, 0] - 3 * x[:, 1] * (x[:, 2] > 0) + 2 * np.sin(2 * x[:, 3]) + r.randn(n)
    return split(x, y.astype("float32"))


def first_steps(n, T, seed=0):
    r = np.random.RandomState(seed)
    x = r.randn(n, T, 2).astype("float32")
    return x, (x[:, 0, 0] + x[:, 1, 1] > 0).astype("int64")


def half_sure(n, seed=0):
    "two classes by a plane; of the labels to learn from one in five is wrong, of those to test on none"
    r = np.random.RandomState(seed)
    x = r.randn(n, 6).astype("float32")
    y = (x @ r.randn(6) > 0).astype("int64")
    a, b, c, d = split(x, y)
    return a, np.where(r.rand(len(b)) < 0.2, 1 - b, b), c, d


def pairs(y, n, seed=0):
    "pairs of row numbers, half of the same class, and some of them the same row twice"
    r = np.random.RandomState(seed)
    i = r.randint(0, len(y), n)
    j = np.array([r.choice(np.flatnonzero(y == y[k])) if r.rand() < 0.5 else r.randint(len(y)) for k in i])
    j[:: n // 25] = i[:: n // 25]
    return i, j, (y[i] == y[j]).astype("float32")


def bandit(n, seed=0):
    r = np.random.RandomState(seed)
    x = r.randn(n, 6).astype("float32")
    return x, (x @ r.randn(6, 3)).argmax(1).astype("int64")


def several_labels(n, seed=0):
    r = np.random.RandomState(seed)
    x = r.randn(n, 20).astype("float32")
    return x, (x @ r.randn(20, 6) + 1.0 > 0).astype("float32")


def which_first(n, T, seed=0):
    r = np.random.RandomState(seed)
    x = r.randint(2, 12, (n, T))
    y = np.zeros(n, "int64")
    for k in range(n):
        i, j = sorted(r.choice(T, 2, replace=False))
        y[k] = r.randint(2)
        x[k, i], x[k, j] = (0, 1) if y[k] else (1, 0)
    return x, y


def mnist_of(classes, per_class, start=20000):
    "some classes of MNIST, numbered from 0; pixels in 0..1"
    a, b, _, _ = mnist(n=per_class * 12, nt=10, start=start)
    keep = np.isin(b, classes)
    x, y = a[keep], np.searchsorted(classes, b[keep])
    return split(x[: per_class * len(classes)], y[: per_class * len(classes)])


def pretrained_base(act="relu"):
    "a CNN that has learnt the digits 0 to 4 in 0..1, without its head"
    a, b, _, _ = mnist_of((0, 1, 2, 3, 4), 500, start=0)
    base = keras.Sequential(
        [keras.Input((28, 28, 1)), L.Conv2D(8, 5, strides=2, activation=act), L.Conv2D(16, 3, strides=2, activation=act)]
        + [L.Flatten(), L.Dense(32, act)]
    )
    m = keras.Sequential([keras.Input((28, 28, 1)), base, L.Dense(5, "softmax")])
    m.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=3, batch_size=32, verbose=0)
    return base


def blobs_to_segment(n, seed=0):
    "noisy pictures of 24 x 24 with discs, and where the discs are"
    r = np.random.RandomState(seed)
    g = np.mgrid[:24, :24]
    y = np.zeros((n, 24, 24, 1), "float32")
    for k in range(n):
        for _ in range(r.randint(1, 4)):
            c = r.randint(3, 21, 2)
            y[k, ..., 0] = np.maximum(y[k, ..., 0], ((g - c[:, None, None]) ** 2).sum(0) < r.randint(6, 25))
    return (y + 0.6 * r.randn(*y.shape)).astype("float32"), y


def checks(ok, gain):
    "a sound program says so: its gain is what can be learnt"
    assert ok or not np.isfinite(gain), f"learns too little: {gain}"
    return gain
