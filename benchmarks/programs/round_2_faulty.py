"""Round 2, sick: one fault each, in other fields than round 1; `twin=True` is the same program mended. See `round_1_faulty.py`."""

from .common import *
from .round_2_data import *

ACCEPT = {}


def accept(words, *rules):
    def deco(f):
        ACCEPT[f.__name__] = {"words": words, "rules": rules}
        return f

    return deco


def dense(*units, act="relu", last=None, inp=None, **kw):
    return keras.Sequential(
        [keras.Input((inp,))]
        + [L.Dense(u, activation=act, **kw) for u in units[:-1]]
        + [L.Dense(units[-1], activation=last)]
    )


@accept(["inputs not scaled"], "unscaled_inputs")
@sick("pixel coordinates as they are")
def f_coordinates_in_pixels(cb, twin=False):
    "An implicit picture: a tanh net of coordinates 0..39 in pixels. Mended: -1..1 times 3."
    x, y = image_of_waves()
    x = (x / 40 * 2 - 1) * 3 if twin else x * 25.6
    m = dense(64, 64, 64, 1, inp=2, act="tanh")
    m.compile(keras.optimizers.Adam(0.003), "mse")
    m.fit(x, y, epochs=30, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(x, verbose=0), y)


class Graph(keras.Model):
    def __init__(s, a, depth, skip):
        super().__init__()
        s.a, s.skip = tf.constant(a), skip
        s.first, s.hidden, s.last = L.Dense(16, "relu"), [L.Dense(16, "tanh") for _ in range(depth)], L.Dense(4)

    def call(s, x):
        h = s.first(tf.matmul(s.a, x))
        for layer in s.hidden:
            z = layer(tf.matmul(s.a, h))
            h = h + z if s.skip else z
        return s.last(h)


@accept(
    ["too many rounds of averaging: all nodes look alike", "vanishing gradient without shortcuts"],
    "constant_output", "vanishing_gradient", "collapsing_activation", "plateau", "loss_not_decreasing", "dormant_units", ": add_shortcuts",
)  # fmt: skip
@sick("sixteen graph convolutions without shortcuts")
def f_oversmoothed_graph(cb, twin=False):
    "Oversmoothing: 16 rounds of mean aggregation. Mended: one round and a shortcut."
    a, x, y, known = communities()
    m = Graph(a, 1 if twin else 16, twin)
    m.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(x, y, epochs=60, batch_size=len(x), sample_weight=known.astype("float32"), shuffle=False, verbose=0, callbacks=cb)
    return acc(m.predict(x, batch_size=len(x), verbose=0)[~known], y[~known])


@accept(["logarithm of zero"], "non_finite")
@sick("log of digital silence")
def f_log_of_silence(cb, twin=False):
    "Log-spectrograms of clips that are partly silent, logarithm inside the model. Mended: log(x + 1e-3)."
    x, y = sounds(1200, silent=True)
    a, b, c, d = split(x, y)
    m = keras.Sequential(
        [keras.Input((16, 17)), L.Lambda(lambda t: ops.log(t + (1e-3 if twin else 0.0))), L.BatchNormalization(), L.Conv1D(16, 3, activation="relu")]
        + [L.GlobalAveragePooling1D(), L.Dense(4, "softmax")]
    )  # fmt: skip
    m.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=8, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


def cox(t, p):
    "negative partial likelihood over the batch"
    later = ops.cast(t[None, :, 0] >= t[:, None, 0], "float32")
    return -ops.mean(t[:, 1] * (p[:, 0] - ops.log(ops.sum(later * ops.exp(p[None, :, 0]), 1) + 1e-7)))


@accept(
    ["exponentials overflow", "inputs not scaled"], "non_finite", "unscaled_inputs", "exploding_activation", "rate_too_high"
)
@sick("Cox loss of raw laboratory values")
def f_cox_overflow(cb, twin=False):
    "Covariates in laboratory units (thousands) make exp(risk) overflow. Mended: standardised."
    x, y, risk = survival(1600)
    k = 1.0 if twin else 3000.0
    m = dense(24, 1, inp=6)
    m.compile(keras.optimizers.SGD(0.05), cox)
    m.fit(x[:1200] * k, y[:1200], epochs=15, batch_size=64, verbose=0, callbacks=cb)
    p = m.predict(x[1200:] * k, verbose=0)
    return float(np.corrcoef(p[:, 0], risk[1200:])[0, 1]) if np.isfinite(p).all() else float("nan")


@accept(["a sigmoid cannot give ratings above 1", "targets not scaled"], "last_activation", ": scale_targets")
@sick("sigmoid for ratings of 0.5 to 5")
def f_ratings_sigmoid(cb, twin=False):
    "Matrix factorisation that ends in a sigmoid, for stars from 0.5 to 5. Mended: linear, from their mean."
    a, b, c, d, nu, ni = ratings()
    u, i = keras.Input((1,)), keras.Input((1,))
    e = [L.Flatten()(L.Embedding(n, 6)(t)) for n, t in ((nu, u), (ni, i))]
    e += [L.Flatten()(L.Embedding(n, 1)(t)) for n, t in ((nu, u), (ni, i))]
    z = L.Add()([L.Dot(1)(e[:2]), *e[2:]])
    m = keras.Model([u, i], L.Rescaling(1.0, 3.3)(z) if twin else L.Activation("sigmoid")(z))
    m.compile(keras.optimizers.Adam(0.01), "mse")
    m.fit([t[:, None] for t in a], b, epochs=10, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict([t[:, None] for t in c], verbose=0), d)


@accept(
    ["both factors start at zero, so that neither gets a gradient"],
    "disconnected", "vanishing_gradient", "constant_output", "collapsing_activation", "frozen_layer", "loss_not_decreasing", "plateau",
)  # fmt: skip
@sick("both embeddings start at zero")
def f_zero_factors(cb, twin=False):
    "Two embeddings initialised with zeros and multiplied: the gradient of each is the other. Mended: the default."
    a, b, c, d, nu, ni = ratings()
    k = "uniform" if twin else "zeros"
    u, i = keras.Input((1,)), keras.Input((1,))
    e = [L.Flatten()(L.Embedding(n, 6, embeddings_initializer=k)(t)) for n, t in ((nu, u), (ni, i))]
    m = keras.Model([u, i], L.Dot(1)(e))
    m.compile(keras.optimizers.Adam(0.01), "mse")
    m.fit([t[:, None] for t in a], b - 3.3, epochs=10, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict([t[:, None] for t in c], verbose=0), d - 3.3)


class Unrolled(keras.Model):
    def __init__(s, h):
        super().__init__()
        s.h, s.f, s.out = h, dense(32, 8, inp=8, act="relu", kernel_initializer="he_normal"), L.Dense(4)
        s.into = L.Dense(8)

    def call(s, x):
        z = s.into(x)
        for _ in range(40):
            z = z + s.h * s.f(z)
        return s.out(z)


@accept(
    ["each step of the solver multiplies the state", "step size too large"],
    "exploding_activation",
    "exploding_gradient",
    "non_finite",
)
@sick("step size 1 in an unrolled differential equation")
def f_stiff_ode(cb, twin=False):
    "An Euler solver of 40 steps of size 1 around a net. Mended: 1/40."
    x, y = sounds(1000)
    x = np.log(x + 1e-3).mean(1)
    a, b, c, d = split(x, y)
    m = Unrolled(1 / 40 if twin else 1.0)
    m.compile(keras.optimizers.Adam(0.005), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(a, b, epochs=10, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(["missing values in the inputs"], "non_finite")
@sick("missing values as NaN")
def f_missing_cells(cb, twin=False):
    "One cell in a hundred of the table is empty. Mended: the mean."
    a, b, c, d = orders(1600)
    r = np.random.RandomState(0)
    a = np.where(r.rand(*a.shape) < 0.01, 0.0 if twin else np.nan, a).astype("float32")
    m = dense(32, 5, inp=8, last="softmax")
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["inputs not scaled", "targets not scaled", "gates saturate"], "unscaled_inputs", "saturated_units", ": scale_targets"
)
@sick("an index at 30000 into a GRU")
def f_index_level(cb, twin=False):
    "Raw levels of an index go in and are to come out. Mended: less the mean, over the spread."
    a, b, c, d = prices()
    mu, s = (a.mean(), a.std()) if twin else (0.0, 1.0)
    m = keras.Sequential([keras.Input((20, 1)), L.GRU(16), L.Dense(1)])
    m.compile(keras.optimizers.Adam(0.005), "mse")
    m.fit((a - mu) / s, (b - mu) / s, epochs=8, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict((c - mu) / s, verbose=0) * s + mu, d)


@accept(["learning rate too low"], "rate_too_low")
@sick("fine-tuning rate for a language model from nothing")
def f_text_from_nothing(cb, twin=False):
    "AdamW(2e-6), as one fine-tunes BERT, for a GRU that has learnt nothing yet. Mended: 5e-3."
    a, b, c, d, v = chars(n=2500, T=20)
    m = keras.Sequential([keras.Input((20,)), L.Embedding(v, 24), L.GRU(48), L.Dense(v, "softmax")])
    m.compile(keras.optimizers.AdamW(5e-3 if twin else 2e-6), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=5, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(["batches of two", "BatchNorm sees too few examples"], "small_batch")
@sick("BatchNorm with two clouds a batch")
def f_two_clouds(cb, twin=False):
    "A PointNet with BatchNorm on pooled features and batch_size=2. Mended: 32."
    x, y = clouds(500)
    a, b, c, d = split(x, y)
    m = keras.Sequential(
        [keras.Input((48, 3)), L.Dense(32, "relu"), L.Dense(48, "relu"), L.GlobalMaxPooling1D(), L.Dense(32)]
    )
    for layer in (L.BatchNormalization(), L.ReLU(), L.Dense(16), L.BatchNormalization(), L.ReLU(), L.Dense(3, "softmax")):
        m.add(layer)
    m.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12 if twin else 4, batch_size=32 if twin else 2, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


class Pinn(keras.Model):
    def __init__(s, act):
        super().__init__()
        s.net = dense(24, 24, 1, inp=1, act=act)

    def call(s, t):
        return s.net(t)

    def train_step(s, data):
        t, _ = data
        with tf.GradientTape() as tape:
            with tf.GradientTape() as two:
                two.watch(t)
                with tf.GradientTape() as one:
                    one.watch(t)
                    u = s.net(t)
                du = one.gradient(u, t)
            ddu = two.gradient(du, t)
            ddu = tf.zeros_like(t) if ddu is None else ddu
            start = s.net(tf.zeros((1, 1)))
            with tf.GradientTape() as edge:
                z = tf.zeros((1, 1))
                edge.watch(z)
                v = s.net(z)
            loss = (
                tf.reduce_mean((ddu + 4 * u) ** 2)
                + 10 * tf.reduce_mean((start - 1) ** 2)
                + 10 * tf.reduce_mean(edge.gradient(v, z) ** 2)
            )
        s.optimizer.apply_gradients(zip(tape.gradient(loss, s.net.trainable_variables), s.net.trainable_variables))
        return {"loss": loss}


@accept(
    ["the second derivative of a ReLU is zero", "the equation teaches nothing", "the loss settles at the constant solution"],
    "plateau", "loss_not_decreasing", "constant_output", "disconnected", "dead_units",
)  # fmt: skip
@sick("ReLU in a physics-informed net of second order")
def f_pinn_relu(cb, twin=False):
    "u'' = -4u with ReLUs, whose second derivative is 0: it learns u = 0 but for the start. Mended: tanh."
    t = np.linspace(0, 1.5, 128, dtype="float32")[:, None]
    m = Pinn("tanh" if twin else "relu")
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(t, t, epochs=150, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(t, verbose=0), np.cos(2 * t))


@accept(["dropout far too strong"], ": lower_dropout", "plateau", "small_batch")
@sick("SpatialDropout1D(0.97)")
def f_motif_dropout(cb, twin=False):
    "A motif finder with SpatialDropout1D(0.97), meant as the share to keep. Mended: 0.03."
    x, y = strands(2000)
    a, b, c, d = split(x, y)
    m = keras.Sequential(
        [keras.Input((60, 4)), L.Conv1D(24, 8, activation="relu"), L.SpatialDropout1D(0.03 if twin else 0.97)]
    )
    m.add(L.GlobalMaxPooling1D())
    m.add(L.Dense(1, "sigmoid"))
    m.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return bal(m.predict(c, verbose=0), d)


@accept(["sigmoid cannot give grades above 1"], "last_activation", ": scale_targets")
@sick("grades 0 to 4 through one sigmoid")
def f_grades_sigmoid(cb, twin=False):
    "Ordered grades 0..4 regressed through a sigmoid with mean squared error. Mended: linear."
    a, b, c, d = orders(1600)
    m = dense(32, 32, 1, inp=8, last=None if twin else "sigmoid")
    m.compile(keras.optimizers.Adam(0.003), "mse")
    m.fit(a, b.astype("float32"), epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(c, verbose=0), d)


class SimSiam(keras.Model):
    def __init__(s, stop):
        super().__init__()
        s.stop, s.enc, s.pred = stop, dense(32, 8, inp=12), dense(16, 8, inp=8)

    def call(s, x):
        return s.enc(x)

    def train_step(s, x):
        views = [
            tf.concat([x[:, :4] + 0.1 * tf.random.normal(tf.shape(x[:, :4])), tf.random.normal(tf.shape(x[:, 4:]))], 1)
            for _ in range(2)
        ]
        hold = tf.stop_gradient if s.stop else tf.identity
        with tf.GradientTape() as tape:
            a, b = (s.enc(v, training=True) for v in views)
            mix = tf.concat([a, b], 0)
            loss = tf.reduce_mean((s.pred(a) - hold(b)) ** 2) + tf.reduce_mean((s.pred(b) - hold(a)) ** 2)
            if s.stop:
                z = (mix - tf.reduce_mean(mix, 0)) / (tf.math.reduce_std(mix, 0) + 1e-3)
                c = tf.matmul(z, z, transpose_a=True) / tf.cast(tf.shape(z)[0], "float32")
                spread = tf.reduce_mean(tf.nn.relu(1 - tf.math.reduce_std(mix, 0)))
                loss += spread + 0.05 * (tf.reduce_sum(c**2) - tf.reduce_sum(tf.linalg.diag_part(c) ** 2))
        v = s.trainable_variables
        s.optimizer.apply_gradients(zip(tape.gradient(loss, v), v))
        return {"loss": loss}


@accept(
    ["representations collapse to a constant", "nothing keeps the codes apart"],
    "constant_output", "collapsing_activation", "shrinking_weights", "dormant_units", "dead_units",
)  # fmt: skip
@sick("two views, one loss, and nothing against collapse")
def f_collapsed_codes(cb, twin=False):
    "Self-supervision without stop-gradient or any term that spreads the codes. Mended: stop-gradient and VICReg's terms."
    r = np.random.RandomState(0)
    x = r.randn(2000, 12).astype("float32")
    m = SimSiam(twin)
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(x, epochs=15, batch_size=64, verbose=0, callbacks=cb)
    h = m.predict(x, verbose=0)
    h = np.concatenate([np.round(h, 2), np.ones((len(h), 1))], 1)
    w = np.linalg.lstsq(h[:1500], x[:1500, :4], rcond=None)[0]
    return r2(h[1500:] @ w, x[1500:, :4])


@accept(["tanh cannot give angles in degrees", "targets not scaled"], "last_activation", ": scale_targets")
@sick("steering in degrees through tanh")
def f_degrees_tanh(cb, twin=False):
    "Imitation of a driver: angles up to 90 degrees with a tanh output and mean squared error. Mended: in units of 90 degrees."
    r = np.random.RandomState(0)
    x = r.randn(1500, 6).astype("float32")
    y = 90 * np.tanh(0.8 * x[:, 0] - 0.5 * x[:, 1] * x[:, 2])
    k = 90.0 if twin else 1.0
    m = dense(32, 32, 1, inp=6, last="tanh")
    m.compile(keras.optimizers.Adam(0.003), "mse")
    m.fit(x[:1200], y[:1200] / k, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(x[1200:], verbose=0) * k, y[1200:])


@accept(
    ["momentum so high that it swings", "learning rate too high for such a momentum"],
    "rate_too_high",
    "oscillating_loss",
    "diverging_loss",
    "non_finite",
    "exploding_activation",
    "exploding_gradient",
)
@sick("momentum 0.999")
def f_momentum_999(cb, twin=False):
    "SGD(0.1, momentum=0.999). Mended: 0.9 at the same rate."
    a, b, c, d = orders(1600)
    m = dense(32, 5, inp=8, last="softmax")
    m.compile(keras.optimizers.SGD(0.1, momentum=0.9 if twin else 0.999), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(["learns noise by heart", "held-out loss rises"], "overfitting")
@sick("sixty patients, two thousand genes, a wide net")
def f_sixty_patients(cb, twin=False):
    "Trained for 60 epochs on 60 rows of 2000 noisy columns. Mended: a penalty, fewer epochs, and the 10 columns that count."
    r = np.random.RandomState(0)
    x = r.randn(460, 2000).astype("float32")
    y = (x[:, :10].sum(1) > 0).astype("int64")
    x = x[:, :10] if twin else x
    m = dense(16, 1, inp=10, last="sigmoid") if twin else dense(128, 128, 1, inp=2000, last="sigmoid")
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(x[:60], y[:60], epochs=60, batch_size=16, validation_data=(x[60:260], y[60:260]), verbose=0, callbacks=cb)
    return bal(m.predict(x[260:], verbose=0), y[260:])


class Attend(L.Layer):
    def __init__(s, scale):
        super().__init__()
        s.scale, s.q, s.k, s.v = scale, L.Dense(32), L.Dense(32), L.Dense(32)

    def build(s, shape):
        for layer in (s.q, s.k, s.v):
            layer.build(shape)

    def call(s, x):
        w = ops.softmax(s.scale * ops.matmul(s.q(x), ops.swapaxes(s.k(x), 1, 2)))
        return ops.matmul(w, s.v(x))


@accept(
    ["attention scores are far too large: the softmax is saturated", "gradients do not reach queries and keys"],
    "saturated_units", "vanishing_gradient", "exploding_gradient", "exploding_activation", "unbalanced_layers", "frozen_layer", "rate_too_high", "loss_not_decreasing", "plateau",
)  # fmt: skip
@sick("scores multiplied by the root of the width")
def f_scores_upside_down(cb, twin=False):
    "Attention scores times 100 instead of over the root of 32. Mended: over it."
    r = np.random.RandomState(0)
    x = r.randn(1600, 12, 8).astype("float32")
    y = np.take_along_axis(x[:, :, 1], x[:, :, 0].argmax(1)[:, None], 1)[:, 0] > 0
    a, b, c, d = split(x, y.astype("int64"))
    i = keras.Input((12, 8))
    h = L.Dense(32)(i)
    for _ in range(2):
        h = h + Attend(32**-0.5 if twin else 100.0)(L.LayerNormalization()(h))
        h = h + L.Dense(32)(L.Dense(64, "relu")(L.LayerNormalization()(h)))
    m = keras.Model(i, L.Dense(1, "sigmoid")(L.GlobalMaxPooling1D()(h)))
    m.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
    m.fit(a, b, epochs=14, batch_size=32, verbose=0, callbacks=cb)
    return bal(m.predict(c, verbose=0), d)


@accept(
    ["the main task weighs a millionth", "its head does not move"],
    "unbalanced_layers",
    "frozen_layer",
    "rate_too_low",
    "vanishing_gradient",
    "plateau",
    "loss_not_decreasing",
)
@sick("loss weight 1e-6 for the task that counts")
def f_forgotten_task(cb, twin=False):
    "Two heads on one trunk under SGD, the second with loss_weights=1e-6. Mended: 1."
    a, b, c, d = orders(1600)
    i = keras.Input((8,))
    h = L.Dense(32, "relu")(L.Dense(32, "relu")(i))
    m = keras.Model(i, [L.Dense(1, name="size")(h), L.Dense(5, "softmax", name="grade")(h)])
    m.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        ["mse", "sparse_categorical_crossentropy"],
        loss_weights=[1.0, 1.0 if twin else 1e-6],
    )
    m.fit(a, [a[:, :1] ** 2 * 0.3, b], epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0)[1], d)


@accept(
    ["a scale of zero in the likelihood", "logarithm of zero, division by zero"],
    "non_finite",
    "exploding_gradient",
    "last_activation",
)
@sick("ReLU for a standard deviation")
def f_relu_sigma(cb, twin=False):
    "A Gaussian likelihood whose standard deviation is a ReLU: 0 sooner or later. Mended: softplus + 0.05."
    r = np.random.RandomState(0)
    x = r.randn(1500, 3).astype("float32")
    y = (x[:, 0] + np.exp(0.5 * x[:, 1]) * 0.3 * r.randn(1500)).astype("float32")[:, None]

    def nll(t, p):
        s = ops.softplus(p[:, 1:]) + 0.05 if twin else ops.relu(p[:, 1:])
        return ops.mean(ops.log(s) + 0.5 * ((t - p[:, :1]) / s) ** 2)

    m = dense(32, 2, inp=3)
    m.compile(keras.optimizers.Adam(0.005), nll)
    m.fit(x[:1200], y[:1200], epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(x[1200:], verbose=0)[:, :1], y[1200:])


@accept(
    ["weights are all alike, so that all units are", "symmetry is never broken"],
    "constant_output",
    "dormant_units",
    "collapsing_activation",
    "plateau",
    "exploding_activation",
    "loss_not_decreasing",
)
@sick("all weights of a layer are the same number")
def f_same_weights(cb, twin=False):
    "kernel_initializer=Constant(0.05) everywhere: all units of a layer stay the same. Mended: the default."
    a, b, c, d = digits()
    k = {} if twin else dict(kernel_initializer=keras.initializers.Constant(0.05))
    m = dense(48, 48, 10, inp=64, last="softmax", **k)
    m.layers[-1].kernel_initializer = keras.initializers.Constant(0.05)
    m.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)
