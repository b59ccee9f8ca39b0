"""Round 1, sound: programs that learn what can be learnt, many of which look odd. Each says why it is fine, and checks its score."""

from .common import *
from .round_1_data import *
from .round_1_faulty import dense


@healthy
def s_xor_four_rows(cb):
    "XOR on four rows, a net of 2-8-1 with tanh and plain SGD at 0.5: tiny, a batch is all there is, and it solves it."
    x = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], "float32")
    y = np.array([0, 1, 1, 0])
    m = dense(8, 1, inp=2, act="tanh", last="sigmoid")
    m.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    m.fit(x, y, epochs=400, batch_size=4, verbose=0, callbacks=cb)
    g = acc(m.predict(x, verbose=0), y)
    return checks(g > 0.9, g)


@healthy
def s_hinge_perceptron(cb):
    "One linear unit with the hinge loss and labels -1/+1: an SVM. Linear outputs are what the hinge wants."
    a, b, c, d = sk("breast_cancer")
    m = keras.Sequential([keras.Input((30,)), L.Dense(1, kernel_regularizer="l2")])
    m.compile(keras.optimizers.SGD(0.01), "hinge")
    m.fit(a, 2.0 * b - 1, epochs=15, batch_size=16, verbose=0, callbacks=cb)
    g = bal(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_adadelta_rate_one(cb):
    "Adadelta at its original rate of 1.0, which is right for Adadelta."
    a, b, c, d = digits()
    m = dense(48, 48, 10, inp=64, last="softmax")
    m.compile(keras.optimizers.Adadelta(1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=12, batch_size=32, validation_data=(c, d), verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_lion_small_net(cb):
    "Lion, whose updates all have the same size."
    a, b, c, d = sk("wine")
    m = dense(24, 3, inp=13, act="gelu", last="softmax")
    m.compile(keras.optimizers.Lion(0.001), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=40, batch_size=16, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_ftrl_sparse_logistic(cb):
    "Logistic regression with FTRL and L1 on a bag of 1000 words: most weights stay zero, as they should; all start at zero."
    a, b, c, d = reviews(n=2500, T=40, lo=40)
    bag = lambda x: np.stack([np.bincount(r, minlength=1000)[:1000] for r in x]).astype("float32").clip(0, 1)
    m = keras.Sequential([keras.Input((1000,)), L.Dense(1, "sigmoid", kernel_initializer="zeros")])
    m.compile(keras.optimizers.Ftrl(0.1, l1_regularization_strength=0.001), "binary_crossentropy")
    m.fit(bag(a), b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    g = bal(m.predict(bag(c), verbose=0), d)
    return checks(g > 0.75, g)


@healthy
def s_batch_of_one(cb):
    "Online learning: one row at a time, a low rate, on a line with little noise."
    r = np.random.RandomState(0)
    x = r.randn(400, 4).astype("float32")
    y = (x @ [1.0, -2.0, 0.5, 0.0] + 3 + 0.05 * r.randn(400)).astype("float32")
    m = keras.Sequential([keras.Input((4,)), L.Dense(1)])
    m.compile(keras.optimizers.SGD(0.01), "mse")
    m.fit(x[:300], y[:300], epochs=4, batch_size=1, verbose=0, callbacks=cb)
    g = r2(m.predict(x[300:], verbose=0), y[300:])
    return checks(g > 0.97, g)


@healthy
def s_focal_loss_imbalance(cb):
    "4 % positives, a hand-written focal loss, the bias of the last layer at the logarithm of the odds."
    r = np.random.RandomState(1)
    x = r.randn(4000, 10).astype("float32")
    z = 1.6 * x[:, 0] + 1.2 * x[:, 1] * x[:, 2] + x[:, 3]
    y = (z > np.quantile(z, 0.96)).astype("float32")
    a, b, c, d = split(x, y)

    def focal(t, p):
        p = ops.clip(p, 1e-6, 1 - 1e-6)
        return ops.mean(-0.75 * t * (1 - p) ** 2 * ops.log(p) - 0.25 * (1 - t) * p**2 * ops.log(1 - p))

    m = keras.Sequential(
        [keras.Input((10,)), L.Dense(32, "relu"), L.Dense(32, "relu"), L.Dense(1, "sigmoid", bias_initializer=keras.initializers.Constant(-3.2))]
    )  # fmt: skip
    m.compile(keras.optimizers.Adam(0.003), focal)
    m.fit(a, b[:, None], epochs=20, batch_size=128, validation_data=(c, d[:, None]), verbose=0, callbacks=cb)
    g = bal(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_class_weights(cb):
    "One in ten is a nine; class_weight makes up for it."
    a, b, c, d = digits()
    b, d = (b == 9).astype("int64"), (d == 9).astype("int64")
    m = dense(32, 16, 1, inp=64, last="sigmoid")
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=20, batch_size=32, class_weight={0: 0.55, 1: 5.0}, verbose=0, callbacks=cb)
    g = bal(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


class Gan(keras.Model):
    def __init__(s):
        super().__init__()
        s.g, s.d = dense(24, 24, 1, inp=4), dense(24, 24, 1, inp=1, act="leaky_relu")
        s.og, s.od = keras.optimizers.Adam(0.001, 0.5), keras.optimizers.Adam(0.002, 0.5)
        s.bce = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(s, z):
        return s.g(z)

    def train_step(s, x):
        n = tf.shape(x)[0]
        with tf.GradientTape() as tape:
            f = s.g(tf.random.normal((n, 4)))
            dl = s.bce(tf.ones((n, 1)) * 0.9, s.d(x)) + s.bce(tf.zeros((n, 1)), s.d(f))
        s.od.apply_gradients(zip(tape.gradient(dl, s.d.trainable_variables), s.d.trainable_variables))
        with tf.GradientTape() as tape:
            gl = s.bce(tf.ones((n, 1)), s.d(s.g(tf.random.normal((n, 4)))))
        s.og.apply_gradients(zip(tape.gradient(gl, s.g.trainable_variables), s.g.trainable_variables))
        return {"d_loss": dl, "g_loss": gl}


@healthy
def s_gan_on_a_line(cb):
    "A GAN whose losses never fall, as they should not: the critic ends near chance because the generator draws what it has to."
    r = np.random.RandomState(0)
    x = (1.5 + 0.5 * r.randn(4000, 1)).astype("float32")
    m = Gan()
    m.compile()
    m.fit(x, epochs=20, batch_size=128, verbose=0, callbacks=cb)
    f = m.predict(r.randn(1000, 4).astype("float32"), verbose=0)[:, 0]
    g = 1 - np.abs(np.sort(f) - np.quantile(x, (np.arange(1000) + 0.5) / 1000)).mean() / np.abs(x).mean()
    return checks(g > 0.75, float(g))


class Vae(keras.Model):
    def __init__(s):
        super().__init__()
        s.enc, s.dec = dense(64, 12, inp=64), dense(64, 64, inp=6)
        s.seed = keras.random.SeedGenerator(1)

    def call(s, x):
        return s.dec(s.enc(x)[:, :6])

    def train_step(s, x):
        with tf.GradientTape() as tape:
            mu, lv = ops.split(s.enc(x), 2, axis=1)
            z = mu + ops.exp(0.5 * lv) * keras.random.normal(ops.shape(mu), seed=s.seed)
            loss = ops.mean(ops.sum((s.dec(z) - x) ** 2, 1)) - 0.01 * ops.mean(ops.sum(1 + lv - mu**2 - ops.exp(lv), 1))
        s.optimizer.apply(tape.gradient(loss, s.trainable_variables), s.trainable_variables)
        return {"loss": loss}


@healthy
def s_vae_digits(cb):
    "A VAE with a mild KL: its loss ends well above zero because noise and KL are in it; reconstructions are good."
    a, _, c, _ = digits()
    m = Vae()
    m.compile(keras.optimizers.Adam(0.003))
    m.fit(a, epochs=40, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(c, verbose=0), c)
    return checks(g > 0.45, g)


class Policy(keras.Model):
    def __init__(s):
        super().__init__()
        s.net = dense(32, 3, inp=6, act="tanh")

    def call(s, x):
        return s.net(x)

    def train_step(s, data):
        x, best = data
        with tf.GradientTape() as tape:
            logp = tf.nn.log_softmax(s.net(x))
            action = tf.random.categorical(logp, 1)[:, 0]
            reward = tf.cast(tf.equal(action, best), "float32")
            loss = -tf.reduce_mean(tf.gather(logp, action, batch_dims=1) * (reward - tf.reduce_mean(reward)))
        v = s.net.trainable_variables
        s.optimizer.apply_gradients(zip(tape.gradient(loss, v), v))
        return {"loss": loss, "reward": tf.reduce_mean(reward)}


@healthy
def s_policy_gradient(cb):
    "REINFORCE with a baseline: the loss says nothing and hovers around 0, the reward rises."
    x, y = bandit(3000, seed=3)
    a, b, c, d = split(x, y)
    m = Policy()
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(a, b, epochs=15, batch_size=64, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.75, g)


@healthy
def s_unet_discs(cb):
    "A small U-Net with a Dice loss added to cross-entropy; BatchNorm; the last convolution gives probabilities."
    x, y = blobs_to_segment(240)

    def dice(t, p):
        return (
            1 - (2 * ops.sum(t * p) + 1) / (ops.sum(t) + ops.sum(p) + 1) + ops.mean(keras.losses.binary_crossentropy(t, p))
        )

    conv = lambda f, h: L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 3, padding="same", use_bias=False)(h)))
    i = keras.Input((24, 24, 1))
    e1 = conv(8, i)
    e2 = conv(16, L.MaxPooling2D()(e1))
    e3 = conv(32, L.MaxPooling2D()(e2))
    u2 = conv(16, L.concatenate([L.Conv2DTranspose(16, 2, strides=2)(e3), e2]))
    u1 = conv(8, L.concatenate([L.UpSampling2D()(u2), e1]))
    m = keras.Model(i, L.Conv2D(1, 1, activation="sigmoid")(u1))
    m.compile(keras.optimizers.Adam(0.005), dice)
    m.fit(x[:200], y[:200], epochs=8, batch_size=16, verbose=0, callbacks=cb)
    p, t = m.predict(x[200:], verbose=0) > 0.5, y[200:] > 0.5
    g = (p & t).sum() / (p | t).sum()
    return checks(g > 0.7, float(g))


@healthy
def s_reverse_digits_seq2seq(cb):
    "Encoder and decoder with teacher forcing, states handed over."
    x, t, y = reversing(1500, 5)
    ei, di = keras.Input((5,)), keras.Input((5,))
    _, h, c = L.LSTM(48, return_state=True)(L.Embedding(12, 16)(ei))
    o = L.LSTM(48, return_sequences=True)(L.Embedding(12, 16)(di), initial_state=[h, c])
    m = keras.Model([ei, di], L.Dense(12, "softmax")(o))
    m.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    m.fit([x[:1200], t[:1200]], y[:1200], epochs=14, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict([x[1200:], t[1200:]], verbose=0), y[1200:])
    return checks(g > 0.7, g)


@healthy
def s_three_outputs(cb):
    "Digit, parity and brightness at once, losses weighted to be of one size."
    a, b, c, d = digits()
    i = keras.Input((64,))
    h = L.Dense(64, "relu")(L.Dense(64, "relu")(i))
    outs = [L.Dense(10, "softmax", name="digit")(h), L.Dense(1, "sigmoid", name="odd")(h), L.Dense(1, name="light")(h)]
    m = keras.Model(i, outs)
    m.compile("adam", ["sparse_categorical_crossentropy", "binary_crossentropy", "mse"], loss_weights=[1.0, 1.0, 20.0])
    m.fit(a, [b, b % 2, a.mean(1)], epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0)[0], d)
    return checks(g > 0.9, g)


@healthy
def s_tabular_with_categories(cb):
    "Embeddings of three columns beside standardised numbers; targets on the scale of their logarithm."
    r = np.random.RandomState(0)
    n = 2500
    k, q = r.randint(0, 20, n), r.randint(0, 7, n)
    x = r.randn(n, 3).astype("float32")
    y = (r.randn(20)[k] + 0.5 * r.randn(7)[q] + 0.6 * x[:, 0] + 0.3 * x[:, 1] * x[:, 2] + 0.1 * r.randn(n)).astype("float32")
    ik, iq, ix = keras.Input((1,)), keras.Input((1,)), keras.Input((3,))
    h = L.concatenate([L.Flatten()(L.Embedding(20, 6)(ik)), L.Flatten()(L.Embedding(7, 3)(iq)), ix])
    m = keras.Model([ik, iq, ix], L.Dense(1)(L.Dense(32, "relu")(L.Dense(32, "relu")(h))))
    m.compile(keras.optimizers.Adam(0.005), "huber")
    m.fit([k[:2000, None], q[:2000, None], x[:2000]], y[:2000], epochs=15, batch_size=64, verbose=0, callbacks=cb)
    g = r2(m.predict([k[2000:, None], q[2000:, None], x[2000:]], verbose=0), y[2000:])
    return checks(g > 0.85, g)


@healthy
def s_transfer_frozen_base(cb):
    "A base that knows the digits 0 to 4, frozen; only the head learns 5 to 9, on pixels of the same scale."
    base = pretrained_base()
    a, b, c, d = mnist_of((5, 6, 7, 8, 9), 700)
    base.trainable = False
    m = keras.Sequential([keras.Input((28, 28, 1)), base, L.Dense(5, "softmax")])
    m.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=8, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.6, g)


@healthy
def s_fine_tuning_low_rate(cb):
    "The head first, then all of it at a hundredth of the rate, compiled anew: the second phase moves little, by design."
    base = pretrained_base()
    a, b, c, d = mnist_of((5, 6, 7, 8, 9), 700)
    m = keras.Sequential([keras.Input((28, 28, 1)), base, L.Dense(5, "softmax")])
    for trainable, rate in ((False, 0.005), (True, 0.0002)):
        base.trainable = trainable
        m.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        m.fit(a, b, epochs=5, batch_size=32, validation_data=(c, d), verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.75, g)


@healthy
def s_early_stopping_noisy(cb):
    "15 % of the labels are wrong; early stopping takes the best weights back before it learns them by heart."
    a, b, c, d = digits()
    r = np.random.RandomState(0)
    b = np.where(r.rand(len(b)) < 0.15, r.randint(0, 10, len(b)), b)
    m = dense(64, 10, inp=64, last="softmax")
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    m.fit(a, b, epochs=40, batch_size=32, validation_split=0.2, verbose=0, callbacks=[stop, *cb])
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_imdb_cnn(cb):
    "Real reviews, a text CNN with dropout, stopped after three epochs, as one should with so few of them."
    z = np.load(SD + "imdb_200.npz")
    ends = np.cumsum(z["sizes"].astype(int))
    chosen = np.random.RandomState(0).permutation(len(ends))[:4000]
    rows = np.split(z["tokens"], ends[:-1])
    x = keras.utils.pad_sequences([rows[k] for k in chosen], 120, padding="post", truncating="post")
    y = z["y"][chosen].astype("int64")
    m = keras.Sequential(
        [keras.Input((x.shape[1],)), L.Embedding(int(x.max()) + 1, 24), L.Dropout(0.3), L.Conv1D(32, 5, activation="relu")]
    )
    m.add(L.GlobalMaxPooling1D())
    m.add(L.Dense(1, "sigmoid"))
    m.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x[:3200], y[:3200], epochs=3, batch_size=32, validation_data=(x[3200:], y[3200:]), verbose=0, callbacks=cb)
    g = bal(m.predict(x[3200:], verbose=0), y[3200:])
    return checks(g > 0.6, g)


@healthy
def s_quantile_regression(cb):
    "Three quantiles of a skewed target by a hand-written pinball loss: the loss cannot reach 0."
    r = np.random.RandomState(0)
    x = r.rand(3000, 2).astype("float32") * 2 - 1
    y = (2 * x[:, 0] + r.exponential(0.5 + 0.4 * x[:, 1], 3000)).astype("float32")
    q = np.array([0.1, 0.5, 0.9], "float32")
    m = dense(32, 32, 3, inp=2)
    m.compile(keras.optimizers.Adam(0.005), lambda t, p: ops.mean(ops.maximum(q * (t - p), (q - 1) * (t - p))))
    m.fit(x[:2400], y[:2400, None], epochs=15, batch_size=64, verbose=0, callbacks=cb)
    p = m.predict(x[2400:], verbose=0)
    g = 1 - np.abs((y[2400:, None] < p).mean(0) - q).max() * 5
    return checks(g > 0.6, float(g))


@healthy
def s_mixture_density(cb):
    "A mixture density net on an ambiguous target; its negative log-likelihood falls below 0, as densities may."
    r = np.random.RandomState(0)
    t = r.rand(3000).astype("float32")
    x = (t + 0.3 * np.sin(2 * np.pi * t) + 0.02 * r.randn(3000)).astype("float32")

    def nll(y, o):
        w, mu, ls = ops.log_softmax(o[:, :4]), o[:, 4:8], ops.clip(o[:, 8:], -5, 3)
        return -ops.mean(ops.logsumexp(w - 0.5 * ((y - mu) / ops.exp(ls)) ** 2 - ls - 0.92, axis=1))

    m = dense(32, 32, 12, inp=1, act="tanh")
    m.compile(keras.optimizers.Adam(0.005), nll)
    h = m.fit(x[:, None], t[:, None], epochs=30, batch_size=64, verbose=0, callbacks=cb)
    g = 0.5 - h.history["loss"][-1]
    return checks(g > 0.9, float(g))


@healthy
def s_selu_alpha_dropout(cb):
    "Eight SELU layers with LeCun initialisation and AlphaDropout: self-normalising without BatchNorm."
    a, b, c, d = digits()
    a, c = std(a, c)
    a, c = a.clip(-4, 4), c.clip(-4, 4)
    m = keras.Sequential([keras.Input((64,))])
    for _ in range(8):
        m.add(L.Dense(48, "selu", kernel_initializer="lecun_normal"))
    m.add(L.AlphaDropout(0.05))
    m.add(L.Dense(10, "softmax"))
    m.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_zero_last_layer(cb):
    "Residual blocks whose last layer starts at zero (Fixup, ReZero): the blocks give nothing at first, and wake up."
    a, b, c, d = digits()
    i = keras.Input((64,))
    h = L.Dense(48)(i)
    for _ in range(6):
        z = L.Dense(48, "relu")(L.LayerNormalization()(h))
        h = L.Add()([h, L.Dense(48, kernel_initializer="zeros")(z)])
    m = keras.Model(i, L.Dense(10, "softmax")(h))
    m.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_shallow_sigmoid_mse(cb):
    "The net of the nineties: one sigmoid layer, sigmoid outputs, squared error, SGD with a rate of 3 and momentum. It learns."
    a, b, c, d = digits()
    m = dense(40, 10, inp=64, act="sigmoid", last="sigmoid")
    m.compile(keras.optimizers.SGD(3.0, momentum=0.5), "mse")
    m.fit(a, keras.utils.to_categorical(b, 10), epochs=30, batch_size=16, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_poisson_counts(cb):
    "Counts with an exponential output and the Poisson loss."
    r = np.random.RandomState(0)
    x = r.randn(3000, 5).astype("float32")
    mu = np.exp(0.5 + 0.5 * x[:, 0] - 0.4 * x[:, 1])
    y = r.poisson(mu).astype("float32")
    m = keras.Sequential([keras.Input((5,)), L.Dense(16, "tanh"), L.Dense(1, activation="exponential")])
    m.compile(keras.optimizers.RMSprop(0.003), "poisson")
    m.fit(x[:2400], y[:2400, None], epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = r2(np.log(m.predict(x[2400:], verbose=0)), np.log(mu[2400:]))
    return checks(g > 0.8, g)


@healthy
def s_noisy_signal(cb):
    "Three quarters of the target are noise: an R2 of 0.25 is all there is, and it gets most of it. Nothing is left to learn."
    r = np.random.RandomState(0)
    x = r.randn(4000, 6).astype("float32")
    y = (x @ np.array([1, -1, 0.5, 0, 0, 0.5]) + 2.74 * r.randn(4000)).astype("float32")
    m = dense(16, 1, inp=6)
    m.compile(keras.optimizers.Adam(0.002), "mse")
    m.fit(x[:3000], y[:3000], epochs=8, batch_size=64, validation_data=(x[3000:], y[3000:]), verbose=0, callbacks=cb)
    g = r2(m.predict(x[3000:], verbose=0), y[3000:]) / 0.25
    return checks(g > 0.7, g)


class Distiller(keras.Model):
    def __init__(s, teacher):
        super().__init__()
        s.teacher, s.student = teacher, dense(12, 10, inp=64)

    def call(s, x):
        return s.student(x)

    def train_step(s, data):
        x, y = data
        soft = tf.nn.softmax(s.teacher(x, training=False) / 4.0)
        with tf.GradientTape() as tape:
            o = s.student(x, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, o, from_logits=True))
            loss += 16 * tf.reduce_mean(keras.losses.kl_divergence(soft, tf.nn.softmax(o / 4.0)))
        v = s.student.trainable_variables
        s.optimizer.apply_gradients(zip(tape.gradient(loss, v), v))
        return {"loss": loss}


@healthy
def s_distilled_student(cb):
    "A small student learns from a teacher that is part of the model and is not trained any more (and not marked as frozen)."
    a, b, c, d = digits()
    teacher = dense(64, 64, 10, inp=64)
    teacher.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    teacher.fit(a, b, epochs=12, batch_size=32, verbose=0)
    m = Distiller(teacher)
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.85, g)


@healthy
def s_cyclical_rate(cb):
    "A cyclical rate by a hand-written callback, high and low in turns; the loss goes up and down and ends low."
    a, b, c, d = digits()
    m = dense(48, 48, 10, inp=64, last="softmax")
    m.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])

    class Cycle(keras.callbacks.Callback):
        n = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.n += 1
            self.model.optimizer.learning_rate = 0.005 + 0.1 * abs((self.n / 80) % 2 - 1)

    m.fit(a, b, epochs=16, batch_size=32, verbose=0, callbacks=[Cycle(), *cb])
    g = acc(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)


@healthy
def s_denoising_autoencoder(cb):
    "Half of the pixels are dropped; a bottleneck of 16 ReLUs, of which a few may sleep; sigmoid outputs for pixels in 0..1."
    a, _, c, _ = digits()
    m = keras.Sequential(
        [
            keras.Input((64,)),
            L.Dropout(0.3),
            L.Dense(64, "relu"),
            L.Dense(16, "relu"),
            L.Dense(64, "relu"),
            L.Dense(64, "sigmoid"),
        ]
    )
    m.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
    m.fit(a, a, epochs=30, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(c, verbose=0), c)
    return checks(g > 0.55, g)


@healthy
def s_forecast_gru(cb):
    "A GRU forecasts a sum of sines a step ahead, inputs and targets of size one."
    a, b, c, d = series(n=1200)
    m = keras.Sequential([keras.Input((24, 1)), L.GRU(20), L.Dense(1)])
    m.compile(keras.optimizers.Adam(0.005), "mae")
    m.fit(a, b, epochs=10, batch_size=32, verbose=0, callbacks=cb)
    g = r2(m.predict(c, verbose=0), d)
    return checks(g > 0.9, g)
