"""Round 2, sound: other fields than round 1. Each says why it is fine, and checks its score."""

from .common import *
from .round_2_data import *
from .round_2_faulty import Attend, Graph, Pinn, SimSiam, cox, dense


class Sine(L.Layer):
    def __init__(s, units, w, first):
        super().__init__()
        s.units, s.w, s.first = units, w, first

    def build(s, shape):
        k = 1 / shape[-1] if s.first else (6 / shape[-1]) ** 0.5 / s.w
        s.k = s.add_weight(shape=(shape[-1], s.units), initializer=keras.initializers.RandomUniform(-k, k))
        s.b = s.add_weight(shape=(s.units,), initializer="zeros")

    def call(s, x):
        return ops.sin(s.w * (ops.matmul(x, s.k) + s.b))


@healthy
def s_siren(cb):
    "A SIREN: sines of 10 times the input, with the initialisation that belongs to it."
    x, y = image_of_waves()
    m = keras.Sequential([keras.Input((2,)), Sine(48, 10.0, True), Sine(48, 10.0, False), L.Dense(1)])
    m.compile(keras.optimizers.Adam(0.002), "mse")
    m.fit(x / 20 - 1, y, epochs=40, batch_size=64, verbose=0, callbacks=cb)
    g = r2(m.predict(x / 20 - 1, verbose=0), y)
    return checks(g > 0.85, g)


@healthy
def s_graph_two_layers(cb):
    "A graph net on one graph, a batch is the graph, and only 40 % of the nodes have a weight."
    a, x, y, known = communities(seed=1)
    m = Graph(a, 1, False)
    m.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(x, y, epochs=60, batch_size=len(x), sample_weight=known.astype("float32"), shuffle=False, verbose=0, callbacks=cb)
    g = acc(m.predict(x, batch_size=len(x), verbose=0)[~known], y[~known])
    return checks(g > 0.6, g)


@healthy
def s_tones(cb):
    "A CNN over log-spectrograms, the logarithm with a floor."
    x, y = sounds(1400, seed=1)
    a, b, c, d = split(np.log(x + 1e-2), y)
    m = keras.Sequential(
        [keras.Input((16, 17)), L.LayerNormalization(), L.Conv1D(24, 3, activation="relu"), L.GlobalAveragePooling1D()]
    )
    m.add(L.Dense(4, "softmax"))
    m.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=10, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.8, g)


@healthy
def s_cox(cb):
    "Survival by the partial likelihood: the loss depends on the batch and stays far above 0."
    x, y, risk = survival(2400, seed=1)
    m = dense(24, 24, 1, inp=6)
    m.compile(keras.optimizers.Adam(0.003), cox)
    m.fit(x[:2000], y[:2000], epochs=15, batch_size=64, verbose=0, callbacks=cb)
    g = np.corrcoef(m.predict(x[2000:], verbose=0)[:, 0], risk[2000:])[0, 1]
    return checks(g > 0.7, float(g))


@healthy
def s_anomaly_autoencoder(cb):
    "An autoencoder of what is normal, linear outputs for standardised inputs; judged by how well errors find the odd ones."
    r = np.random.RandomState(0)
    w = r.randn(3, 12)
    x = (r.randn(2000, 3) @ w + 0.2 * r.randn(2000, 12)).astype("float32")
    odd = (r.randn(200, 12) * x.std()).astype("float32")
    m = dense(16, 3, 16, 12, inp=12, act="tanh")
    m.compile(keras.optimizers.Adam(0.005), "mse")
    m.fit(x[:1800] / x.std(), x[:1800] / x.std(), epochs=20, batch_size=32, verbose=0, callbacks=cb)
    t = np.concatenate([x[1800:], odd]) / x.std()
    g = bal(((m.predict(t, verbose=0) - t) ** 2).mean(1), np.repeat([0, 1], 200))
    return checks(g > 0.8, g)


@healthy
def s_ratings(cb):
    "Matrix factorisation with biases and a penalty on the embeddings; most rows of a table get no gradient in a step."
    a, b, c, d, nu, ni = ratings(seed=1)
    u, i = keras.Input((1,)), keras.Input((1,))
    k = dict(embeddings_regularizer=keras.regularizers.L2(1e-5))
    e = [L.Flatten()(L.Embedding(n, 4, **k)(t)) for n, t in ((nu, u), (ni, i))]
    e += [L.Flatten()(L.Embedding(n, 1)(t)) for n, t in ((nu, u), (ni, i))]
    m = keras.Model([u, i], L.Rescaling(1.0, 3.3)(L.Add()([L.Dot(1)(e[:2]), *e[2:]])))
    m.compile(keras.optimizers.Adam(0.005), "mse")
    m.fit([t[:, None] for t in a], b, epochs=12, batch_size=64, verbose=0, callbacks=cb)
    g = r2(m.predict([t[:, None] for t in c], verbose=0), d)
    return checks(g > 0.3, g)


class Bpr(keras.Model):
    def __init__(s, nu, ni):
        super().__init__()
        s.u, s.i = L.Embedding(nu, 8, embeddings_initializer="normal"), L.Embedding(ni, 8, embeddings_initializer="normal")

    def call(s, x):
        return ops.sum(s.u(x[:, 0]) * s.i(x[:, 1]), -1)

    def train_step(s, x):
        n = tf.random.uniform((tf.shape(x)[0],), 0, s.i.input_dim, tf.int64)
        with tf.GradientTape() as tape:
            gap = s(x) - s(tf.stack([x[:, 0], n], 1))
            loss = -tf.reduce_mean(tf.math.log_sigmoid(gap))
        s.optimizer.apply_gradients(zip(tape.gradient(loss, s.trainable_variables), s.trainable_variables))
        return {"loss": loss}


@healthy
def s_pairwise_ranking(cb):
    "BPR with drawn negatives: the loss cannot reach 0, since some negatives are liked."
    r = np.random.RandomState(0)
    p = r.randn(120, 3) @ r.randn(3, 80)
    liked = np.argwhere(p > np.quantile(p, 0.8, axis=1, keepdims=True))
    order = r.permutation(len(liked))
    m = Bpr(120, 80)
    m.compile(keras.optimizers.Adam(0.02))
    m.fit(liked[order[:1600]], epochs=25, batch_size=64, verbose=0, callbacks=cb)
    test = np.concatenate([liked[order[1600:]], np.argwhere(p < np.median(p, axis=1, keepdims=True))[:500]])
    g = bal(m.predict(test, verbose=0), np.r_[np.ones(len(order) - 1600), np.zeros(500)])
    return checks(g > 0.5, g)


class Ode(keras.Model):
    def __init__(s):
        super().__init__()
        s.f = dense(32, 2, inp=2, act="tanh")

    def call(s, z):
        for _ in range(15):
            z = z + s.f(z) / 15
        return z


@healthy
def s_neural_ode(cb):
    "The flow of a spiral by 15 Euler steps through the same net, which is called 15 times in a step."
    r = np.random.RandomState(0)
    x = r.randn(1200, 2).astype("float32")
    w = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]], "float32") * 0.7
    y = x @ w * (1 + 0.1 * np.tanh((x**2).sum(1, keepdims=True)))
    m = Ode()
    m.compile(keras.optimizers.Adam(0.005), "mse")
    m.fit(x[:1000], y[:1000], epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(x[1000:], verbose=0), y[1000:])
    return checks(g > 0.95, g)


@healthy
def s_missing_with_mask(cb):
    "A third of the cells are missing; zeros stand for them and a mask beside says so."
    a, b, c, d = orders(2000, seed=1)
    r = np.random.RandomState(0)

    def masked(x):
        k = (r.rand(*x.shape) < 0.15).astype("float32")
        return np.concatenate([x * (1 - k), k], 1)

    m = dense(48, 48, 5, inp=16, last="softmax")
    m.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(masked(a), b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(masked(c), verbose=0), d)
    return checks(g > 0.25, g)


@healthy
def s_index_scaled(cb):
    "An index, scaled by the mean and spread of the training days; half of what comes is noise."
    a, b, c, d = prices(seed=1)
    mu, s = a.mean(), a.std()
    m = keras.Sequential([keras.Input((20, 1)), L.LSTM(16), L.Dense(1)])
    m.compile(keras.optimizers.Adam(0.005), "huber")
    m.fit((a - mu) / s, (b - mu) / s, epochs=10, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict((c - mu) / s, verbose=0), (d - mu) / s)
    return checks(g > 0.6, g)


@healthy
def s_letters(cb):
    "The next letter of Shakespeare, clipped gradients, five epochs: far from perfect, and far better than the commonest letter."
    a, b, c, d, v = chars(n=4000, T=20, seed=1)
    m = keras.Sequential([keras.Input((20,)), L.Embedding(v, 24), L.GRU(64), L.Dense(v)])
    m.compile(keras.optimizers.Adam(0.005, clipnorm=1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(a, b, epochs=5, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.1, g)


@healthy
def s_pointnet(cb):
    "A PointNet: the maximum over points lets the gradient through for a few of them only."
    x, y = clouds(900, seed=1)
    a, b, c, d = split(x, y)
    m = keras.Sequential(
        [
            keras.Input((48, 3)),
            L.Dense(32, "relu"),
            L.Dense(64, "relu"),
            L.GlobalMaxPooling1D(),
            L.Dense(32, "relu"),
            L.Dense(3, "softmax"),
        ]
    )
    m.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_pinn_tanh(cb):
    "A physics-informed net with tanh: derivatives of derivatives, few points, and a loss of four parts."
    t = np.linspace(0, 1.5, 128, dtype="float32")[:, None]
    m = Pinn("tanh")
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(t, t, epochs=150, batch_size=64, verbose=0, callbacks=cb)
    g = r2(m.predict(t, verbose=0), np.cos(2 * t))
    return checks(g > 0.9, g)


@healthy
def s_motif(cb):
    "One-hot DNA, a motif finder."
    x, y = strands(2400, seed=1)
    a, b, c, d = split(x, y)
    m = keras.Sequential(
        [
            keras.Input((60, 4)),
            L.Conv1D(24, 8, activation="relu"),
            L.GlobalMaxPooling1D(),
            L.Dropout(0.2),
            L.Dense(1, "sigmoid"),
        ]
    )
    m.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = bal(m.predict(c, verbose=0), d)
    return checks(g > 0.6, g)


@healthy
def s_ordinal_thresholds(cb):
    "Ordered grades as four yes-or-no questions with shared weights and biases of their own (CORAL)."
    a, b, c, d = orders(1800, seed=2)
    t = (b[:, None] > np.arange(4)).astype("float32")
    i = keras.Input((8,))
    h = L.Dense(1, use_bias=False)(L.Dense(32, "relu")(L.Dense(32, "relu")(i)))
    m = keras.Model(
        i, L.Activation("sigmoid")(h + L.Dense(4, kernel_initializer="zeros")(L.Lambda(lambda x: x[:, :1] * 0 + 1)(i)))
    )
    m.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
    m.fit(a, t, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = r2((m.predict(c, verbose=0) > 0.5).sum(1), d)
    return checks(g > 0.6, g)


@healthy
def s_self_supervised(cb):
    "Two views, a stop-gradient and terms against collapse: the loss ends where the noise leaves it."
    r = np.random.RandomState(1)
    x = r.randn(2000, 12).astype("float32")
    m = SimSiam(True)
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(x, epochs=15, batch_size=64, verbose=0, callbacks=cb)
    h = m.predict(x, verbose=0)
    h = np.concatenate([h, np.ones((len(h), 1))], 1)
    g = r2(h[1500:] @ np.linalg.lstsq(h[:1500], x[:1500, :4], rcond=None)[0], x[1500:, :4])
    return checks(g > 0.5, g)


@healthy
def s_deep_set_sum(cb):
    "The number of large elements of a set, by a sum over elements; the target is on the scale of 10."
    r = np.random.RandomState(0)
    x = r.randn(1800, 15, 1).astype("float32")
    y = (x > 0.3).sum((1, 2)).astype("float32")
    m = keras.Sequential(
        [
            keras.Input((15, 1)),
            L.Dense(24, "relu"),
            L.Dense(8, "relu"),
            L.GlobalAveragePooling1D(),
            L.Dense(16, "relu"),
            L.Dense(1),
        ]
    )
    m.compile(keras.optimizers.Adam(0.005), "mse")
    m.fit(x[:1400], y[:1400], epochs=20, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(x[1400:], verbose=0), y[1400:])
    return checks(g > 0.85, g)


@healthy
def s_skip_gram(cb):
    "Word vectors by skip-grams with negatives; the loss falls little, the vectors are good."
    r = np.random.RandomState(0)
    topic = np.arange(60) // 15
    centre = r.randint(0, 60, 6000)
    near = np.where(r.rand(6000) < 0.8, topic[centre] * 15 + r.randint(0, 15, 6000), r.randint(0, 60, 6000))
    x = np.concatenate([np.stack([centre, near], 1), np.stack([centre, r.randint(0, 60, 6000)], 1)])
    y = np.repeat([1.0, 0.0], 6000).astype("float32")
    i = keras.Input((2,), dtype="int32")
    e = L.Embedding(60, 8)
    d = L.Dot(1, normalize=False)([e(i[:, 0]), L.Embedding(60, 8)(i[:, 1])])
    m = keras.Model(i, L.Activation("sigmoid")(d))
    m.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    m.fit(x, y, epochs=8, batch_size=128, verbose=0, callbacks=cb)
    w = np.array(e.embeddings)
    s = w @ w.T
    g = bal(s[np.triu_indices(60, 1)], (topic[:, None] == topic)[np.triu_indices(60, 1)].astype(int))
    return checks(g > 0.8, g)


@healthy
def s_highway(cb):
    "Twelve highway layers, whose gates are biased to stay shut at first."
    a, b, c, d = digits()
    i = keras.Input((64,))
    h = L.Dense(32, "relu")(i)
    for _ in range(12):
        t = L.Dense(32, "sigmoid", bias_initializer=keras.initializers.Constant(-2.0))(h)
        h = h + t * (L.Dense(32, "relu")(h) - h)
    m = keras.Model(i, L.Dense(10, "softmax")(h))
    m.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_own_variance(cb):
    "A Gaussian likelihood with a variance that depends on the input, by softplus: its loss goes below 0."
    r = np.random.RandomState(0)
    x = r.randn(2400, 3).astype("float32")
    s = 0.05 + 0.3 * np.abs(x[:, 1])
    y = (np.sin(2 * x[:, 0]) + s * r.randn(2400)).astype("float32")[:, None]

    def nll(t, p):
        k = ops.softplus(p[:, 1:]) + 0.02
        return ops.mean(ops.log(k) + 0.5 * ((t - p[:, :1]) / k) ** 2)

    m = dense(48, 48, 2, inp=3)
    m.compile(keras.optimizers.Adam(0.003), nll)
    m.fit(x[:2000], y[:2000], epochs=20, batch_size=64, verbose=0, callbacks=cb)
    g = r2(m.predict(x[2000:], verbose=0)[:, :1], y[2000:])
    return checks(g > 0.7, g)


class Rbf(L.Layer):
    def build(s, shape):
        s.c = s.add_weight(shape=(40, shape[-1]), initializer=keras.initializers.RandomUniform(-1.5, 1.5))
        s.g = s.add_weight(shape=(40,), initializer=keras.initializers.Constant(2.0))

    def call(s, x):
        return ops.exp(-s.g * ops.sum((x[:, None] - s.c) ** 2, -1))


@healthy
def s_radial_basis(cb):
    "Radial basis functions: most of them are near 0 for most inputs, as they are meant to be."
    a, b, c, d = circles()
    m = keras.Sequential([keras.Input((2,)), Rbf(), L.Dense(1, "sigmoid")])
    m.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    m.fit(a, b, epochs=25, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_temporal_convolutions(cb):
    "Dilated causal convolutions with shortcuts and weight normalisation left out; a sum of sines a step ahead."
    a, b, c, d = series(n=1200, T=32, seed=1)
    i = keras.Input((32, 1))
    h = L.Conv1D(16, 1)(i)
    for k in (1, 2, 4, 8):
        h = h + L.Conv1D(16, 2, dilation_rate=k, padding="causal", activation="relu")(h)
    m = keras.Model(i, L.Dense(1)(h[:, -1]))
    m.compile(keras.optimizers.Adam(0.003), "mse")
    m.fit(a, b, epochs=10, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_attention_looks_up(cb):
    "Attention finds the largest key and reads its value, pre-norm, scores over the root of the width."
    r = np.random.RandomState(1)
    x = r.randn(2400, 12, 8).astype("float32")
    y = np.take_along_axis(x[:, :, 1], x[:, :, 0].argmax(1)[:, None], 1)[:, 0] > 0
    a, b, c, d = split(x, y.astype("int64"))
    i = keras.Input((12, 8))
    h = L.Dense(32)(i)
    for _ in range(2):
        h = h + Attend(32**-0.5)(L.LayerNormalization()(h))
        h = h + L.Dense(32)(L.Dense(64, "relu")(L.LayerNormalization()(h)))
    m = keras.Model(i, L.Dense(1, "sigmoid")(L.GlobalMaxPooling1D()(h)))
    m.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
    m.fit(a, b, epochs=14, batch_size=32, verbose=0, callbacks=cb)
    g = bal(m.predict(c, verbose=0), d)
    return checks(g > 0.6, g)


class Flow(keras.Model):
    def __init__(s):
        super().__init__()
        s.nets = [dense(24, 2, inp=1, act="tanh") for _ in range(6)]

    def call(s, x):
        z, logdet = x, 0.0
        for k, net in enumerate(s.nets):
            a, b = z[:, k % 2 : k % 2 + 1], z[:, 1 - k % 2 : 2 - k % 2]
            h = net(a)
            t = ops.tanh(h[:, :1])
            b = b * ops.exp(t) + h[:, 1:]
            z = ops.concatenate([a, b] if k % 2 == 0 else [b, a], 1)
            logdet = logdet + t
        return ops.concatenate([z, logdet], 1)


@healthy
def s_normalizing_flow(cb):
    "Affine couplings fit two moons by their likelihood, which is not bounded by 0."
    x, _, t, _ = moons(2400, noise=0.08)
    mu, s = x.mean(0), x.std(0)
    nll = lambda y, p: ops.mean(0.5 * ops.sum(p[:, :2] ** 2, 1) + 1.838 - p[:, 2])
    m = Flow()
    m.compile(keras.optimizers.Adam(0.005), nll)
    m.fit((x - mu) / s, x, epochs=20, batch_size=64, verbose=0, callbacks=cb)
    p = m.predict((t - mu) / s, verbose=0)
    g = 2.838 - float((0.5 * (p[:, :2] ** 2).sum(1) + 1.838 - p[:, 2]).mean())
    return checks(g > 0.5, g)


@healthy
def s_hyper_net(cb):
    "One net gives the weights of another, small ones, as they should be."
    r = np.random.RandomState(0)
    x = r.randn(2000, 5).astype("float32")
    y = (np.sin(x[:, 0]) * x[:, 4] + np.cos(x[:, 1]))[:, None].astype("float32")
    i = keras.Input((5,))
    w = L.Dense(5 * 8 + 8, kernel_initializer=keras.initializers.RandomNormal(0, 0.05))(L.Dense(24, "relu")(i))
    h = ops.tanh(ops.einsum("bi,bij->bj", i, L.Reshape((5, 8))(w[:, :40])))
    m = keras.Model(i, ops.sum(h * w[:, 40:], 1, keepdims=True) + L.Dense(1)(L.Dense(16, "relu")(i)))
    m.compile(keras.optimizers.Adam(0.003), "mse")
    m.fit(x[:1600], y[:1600], epochs=20, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(x[1600:], verbose=0), y[1600:])
    return checks(g > 0.85, g)


@healthy
def s_imitation_scaled(cb):
    "Angles in units of 90 degrees through tanh; the last layer saturates where the driver turns all the way."
    r = np.random.RandomState(1)
    x = r.randn(1600, 6).astype("float32")
    y = np.tanh(1.5 * x[:, 0] - x[:, 1] * x[:, 2]).astype("float32")
    m = dense(32, 32, 1, inp=6, last="tanh")
    m.compile(keras.optimizers.Nadam(0.003), "mae")
    m.fit(x[:1300], y[:1300], epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(x[1300:], verbose=0), y[1300:])
    return checks(g > 0.85, g)


@healthy
def s_few_rows_strong_penalty(cb):
    "Eighty rows of 200 columns, a strong L2 and Dropout: weights shrink because most columns are noise. It generalises."
    r = np.random.RandomState(0)
    x = r.randn(480, 200).astype("float32")
    y = (x[:, :3].sum(1) > 0).astype("int64")
    m = keras.Sequential(
        [keras.Input((200,)), L.Dropout(0.3), L.Dense(1, "sigmoid", kernel_regularizer=keras.regularizers.L2(0.02))]
    )
    m.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x[:200], y[:200], epochs=25, batch_size=16, validation_data=(x[200:300], y[200:300]), verbose=0, callbacks=cb)
    g = bal(m.predict(x[300:], verbose=0), y[300:])
    return checks(g > 0.5, g)
