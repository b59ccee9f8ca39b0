"""Sound ones."""

from programs.common import *

S = keras.Sequential
O = keras.optimizers
C = keras.callbacks
CE = "sparse_categorical_crossentropy"


@healthy
def h_iris_500(cb):
    "iris, full batch, 300 epochs"
    x, y, xt, yt = sk("iris")
    m = S([L.Input((4,)), L.Dense(10, activation="relu"), L.Dense(10, activation="relu"), L.Dense(3, activation="softmax")])
    m.compile(O.Adam(0.01), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=300, batch_size=len(x), verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_wine_norm(cb):
    "raw wine with an adapted Normalization layer"
    x, y, xt, yt = sk("wine", std=False)
    n = L.Normalization()
    n.adapt(x)
    m = S([L.Input((13,)), n, L.Dense(16, activation="relu"), L.Dense(3, activation="softmax")])
    m.compile(O.Adam(3e-3), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=30, batch_size=16, validation_split=0.2, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_bc_earlystop(cb):
    "breast cancer with EarlyStopping and dropout"
    x, y, xt, yt = sk("breast_cancer")
    m = S(
        [
            L.Input((30,)),
            L.Dense(32, activation="relu"),
            L.Dropout(0.3),
            L.Dense(16, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    m.compile("adam", "binary_crossentropy", metrics=["accuracy", "auc"] if 0 else ["accuracy"])
    m.fit(
        x,
        y,
        epochs=60,
        validation_split=0.2,
        verbose=0,
        callbacks=cb + [C.EarlyStopping(patience=5, restore_best_weights=True)],
    )
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_diabetes(cb):
    "diabetes: unscaled target about 150, weak signal, Adam 0.03"
    x, y, xt, yt = sk("diabetes")
    m = S([L.Input((10,)), L.Dense(32, activation="relu"), L.Dense(1)])
    m.compile(O.Adam(0.03), "mse", metrics=["mae"])
    m.fit(x, y, epochs=20, validation_data=(xt, yt), verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_digits_dropout(cb):
    "digits, dropout 0.5"
    x, y, xt, yt = digits()
    m = S(
        [
            L.Input((64,)),
            L.Dense(256, activation="relu"),
            L.Dropout(0.5),
            L.Dense(128, activation="relu"),
            L.Dropout(0.5),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("rmsprop", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, validation_split=0.1, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_mnist_cnn_1epoch(cb):
    "MNIST CNN, one epoch"
    x, y, xt, yt = mnist(5000, 1000, start=3000)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Conv2D(16, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(32, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dropout(0.5),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=1, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_cifar_aug(cb):
    "CIFAR, Rescaling and augmentation layers inside the model"
    x, y, xt, yt = cifar(2500, 600, scale=1.0)
    m = S(
        [
            L.Input((32, 32, 3)),
            L.Rescaling(1 / 255),
            L.RandomFlip("horizontal"),
            L.RandomTranslation(0.1, 0.1),
            L.Conv2D(16, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(32, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(64, activation="relu"),
            L.Dense(10),
        ]
    )
    m.compile(O.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    m.fit(x, y, epochs=4, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_mnist_ae(cb):
    "autoencoder, sigmoid output and binary crossentropy on grey values"
    x, _, xt, _ = mnist(3000, 500, start=7000)
    x = x.reshape(-1, 784)
    xt = xt.reshape(-1, 784)
    m = S(
        [
            L.Input((784,)),
            L.Dense(128, activation="relu"),
            L.Dense(32, activation="relu"),
            L.Dense(128, activation="relu"),
            L.Dense(784, activation="sigmoid"),
        ]
    )
    m.compile("adam", "binary_crossentropy")
    m.fit(x, x, epochs=8, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), xt)


@healthy
def h_vae(cb):
    "VAE with its own train_step and loss trackers"
    x, _, xt, _ = mnist(3000, 500, start=11000)
    x = x.reshape(-1, 784)
    xt = xt.reshape(-1, 784)

    class V(keras.Model):
        def __init__(s):
            super().__init__()
            s.enc = S([L.Dense(128, activation="relu"), L.Dense(16)])
            s.dec = S([L.Dense(128, activation="relu"), L.Dense(784, activation="sigmoid")])
            s.tr = keras.metrics.Mean(name="loss")
            s.sg = keras.random.SeedGenerator(3)

        def call(s, x):
            return s.dec(s.enc(x)[:, :8])

        def train_step(s, x):
            with tf.GradientTape() as t:
                h = s.enc(x)
                mu, lv = h[:, :8], h[:, 8:]
                z = mu + tf.exp(0.5 * lv) * keras.random.normal(tf.shape(mu), seed=s.sg)
                p = s.dec(z)
                rec = tf.reduce_mean(tf.reduce_sum(keras.losses.binary_crossentropy(x[..., None], p[..., None]), -1))
                kl = tf.reduce_mean(tf.reduce_sum(-0.5 * (1 + lv - mu**2 - tf.exp(lv)), 1))
                loss = rec + kl
            s.optimizer.apply_gradients(zip(t.gradient(loss, s.trainable_weights), s.trainable_weights))
            s.tr.update_state(loss)
            return {"loss": s.tr.result()}

    m = V()
    m.compile(O.Adam(2e-3))
    m.fit(x, epochs=8, batch_size=64, verbose=0, callbacks=cb)
    return r2(m(xt), xt)


@healthy
def h_gan_1d(cb):
    "GAN for a 2-d Gaussian, two optimizers"
    r = np.random.RandomState(0)
    x = (r.randn(3000, 2) @ np.array([[0.5, 0.2], [0, 0.3]]) + [1.5, -1]).astype("float32")

    class G(keras.Model):
        def __init__(s):
            super().__init__()
            s.g = S([L.Input((4,)), L.Dense(32, activation="relu"), L.Dense(2)])
            s.d = S([L.Input((2,)), L.Dense(32, activation=keras.activations.leaky_relu), L.Dense(1)])

        def compile(s, go, do):
            super().compile()
            s.go, s.do = go, do
            s.bce = keras.losses.BinaryCrossentropy(from_logits=True)

        def call(s, z):
            return s.g(z)

        def train_step(s, x):
            n = tf.shape(x)[0]
            z = tf.random.normal((n, 4))
            with tf.GradientTape() as t:
                f = s.g(z)
                a, b = s.d(x), s.d(f)
                dl = s.bce(tf.ones_like(a), a) + s.bce(tf.zeros_like(b), b)
            s.do.apply_gradients(zip(t.gradient(dl, s.d.trainable_weights), s.d.trainable_weights))
            with tf.GradientTape() as t:
                b = s.d(s.g(z))
                gl = s.bce(tf.ones_like(b), b)
            s.go.apply_gradients(zip(t.gradient(gl, s.g.trainable_weights), s.g.trainable_weights))
            return {"d_loss": dl, "g_loss": gl}

    m = G()
    m.compile(O.Adam(1e-3, beta_1=0.5), O.Adam(1e-3, beta_1=0.5))
    m.fit(x, epochs=25, batch_size=64, verbose=0, callbacks=cb)
    f = np.asarray(m.g(tf.random.normal((2000, 4))))
    return float(1 - np.linalg.norm(f.mean(0) - x.mean(0)) / np.linalg.norm(x.mean(0)))


def _pairs(x, y, n, seed=0):
    r = np.random.RandomState(seed)
    a = r.randint(0, len(x), n)
    b = np.where(r.rand(n) < 0.5, [r.choice(np.where(y == y[i])[0]) for i in a], r.randint(0, len(x), n))
    return x[a], x[b], (y[a] == y[b]).astype("float32")


@healthy
def h_siamese(cb):
    "siamese with contrastive loss"
    x, y, xt, yt = digits()
    enc = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(16)])
    i, j = L.Input((64,)), L.Input((64,))
    d = L.Lambda(
        lambda t: ops.sqrt(ops.maximum(ops.sum(ops.square(t[0] - t[1]), -1, keepdims=True), 1e-7)), output_shape=(1,)
    )([enc(i), enc(j)])
    m = keras.Model([i, j], d)
    m.compile(O.Adam(1e-3), lambda t, p: ops.mean(t * p**2 + (1 - t) * ops.maximum(1 - p, 0) ** 2))
    a, b, t = _pairs(x, y, 3000)
    m.fit([a, b], t[:, None], epochs=8, verbose=0, callbacks=cb)
    a, b, t = _pairs(xt, yt, 1000, 1)
    return bal(-m.predict([a, b], verbose=0), t)


@healthy
def h_multi_input(cb):
    "text ids + numbers, functional, two outputs with loss_weights"
    x, y, xt, yt = reviews(1500, 600, 30, seed=2)
    r = np.random.RandomState(0)
    z = r.randn(len(x), 4).astype("float32")
    zt = r.randn(len(xt), 4).astype("float32")
    p = z[:, 0] * 2 + y
    pt = zt[:, 0] * 2 + yt
    a = L.Input((30,))
    b = L.Input((4,))
    h = L.GlobalAveragePooling1D()(L.Embedding(600, 16)(a))
    k = L.Dense(16, activation="relu")(b)
    h = L.Concatenate()([h, k])
    m = keras.Model([a, b], [L.Dense(1, activation="sigmoid", name="s")(h), L.Dense(1, name="p")(h)])
    m.compile(
        O.Adam(5e-3), {"s": "binary_crossentropy", "p": "mse"}, loss_weights={"s": 1.0, "p": 0.2}, metrics={"s": "accuracy"}
    )
    m.fit([x, z], {"s": y, "p": p}, epochs=8, verbose=0, callbacks=cb)
    return acc(m.predict([xt, zt], verbose=0)[0], yt)


@healthy
def h_train_step(cb):
    "custom train_step with gradient clipping by global norm"
    x, y, xt, yt = digits()

    class M(keras.Model):
        def train_step(s, d):
            x, y = d
            with tf.GradientTape() as t:
                p = s(x, training=True)
                loss = s.compute_loss(y=y, y_pred=p)
            g, _ = tf.clip_by_global_norm(t.gradient(loss, s.trainable_variables), 1.0)
            s.optimizer.apply_gradients(zip(g, s.trainable_variables))
            for q in s.metrics:
                q.update_state(loss) if q.name == "loss" else q.update_state(y, p)
            return {q.name: q.result() for q in s.metrics}

    i = L.Input((64,))
    m = M(i, L.Dense(10, activation="softmax")(L.Dense(64, activation="relu")(i)))
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_shakespeare(cb):
    "character LSTM, one epoch"
    x, y, xt, yt, v = chars(5000, 25)
    m = S([L.Input((25,)), L.Embedding(v, 24), L.LSTM(48), L.Dense(v, activation="softmax")])
    m.compile(O.Adam(0.01), CE, metrics=["accuracy"], jit_compile=False)
    m.fit(x, y, epochs=2, batch_size=64, verbose=0, callbacks=cb)
    p = m.predict(xt, verbose=0)
    f = np.bincount(y, minlength=v) + 1.0
    f /= f.sum()
    return float(1 - (-np.log(p[np.arange(len(yt)), yt] + 1e-9).mean()) / (-np.log(f[yt]).mean()))


@healthy
def h_gru_series(cb):
    "GRU forecast of a noisy sum of sines"
    x, y, xt, yt = series(1400, 24)
    m = S([L.Input((24, 1)), L.GRU(24), L.Dense(1)])
    m.compile(O.Adam(5e-3), "mse", jit_compile=False)
    m.fit(x, y, epochs=6, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_conv1d(cb):
    "Conv1D + BatchNorm on sequences, ReduceLROnPlateau"
    r = np.random.RandomState(0)
    y = r.randint(0, 3, 1200)
    t = np.arange(64)
    x = np.sin(t[None] * (0.2 + 0.2 * y[:, None]) + r.rand(1200, 1) * 6) + 0.5 * r.randn(1200, 64)
    x, y, xt, yt = split(x[..., None].astype("float32"), y)
    m = S(
        [
            L.Input((64, 1)),
            L.Conv1D(16, 5, padding="same"),
            L.BatchNormalization(),
            L.ReLU(),
            L.Conv1D(16, 5, padding="same"),
            L.BatchNormalization(),
            L.ReLU(),
            L.GlobalAveragePooling1D(),
            L.Dense(3, activation="softmax"),
        ]
    )
    m.compile(O.Adam(5e-3), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=12, validation_split=0.2, verbose=0, callbacks=cb + [C.ReduceLROnPlateau(patience=3, factor=0.5)])
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_bilstm_text(cb):
    "Bidirectional LSTM with mask_zero on reviews"
    x, y, xt, yt = reviews(1500, 800, 30, seed=5)
    m = S(
        [L.Input((30,)), L.Embedding(800, 16, mask_zero=True), L.Bidirectional(L.LSTM(12)), L.Dense(1, activation="sigmoid")]
    )
    m.compile(O.Adam(4e-3), "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    m.fit(x, y, epochs=4, validation_split=0.1, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_transformer(cb):
    "transformer block on reviews, dropout"
    x, y, xt, yt = reviews(1500, 800, 30, seed=6)
    i = L.Input((30,))
    h = L.Embedding(800, 24)(i)
    q = L.MultiHeadAttention(2, 12, dropout=0.1)(h, h)
    h = L.LayerNormalization()(h + q)
    f = L.Dense(24)(L.Dense(48, activation="gelu")(h))
    h = L.LayerNormalization()(h + f)
    h = L.Dropout(0.2)(L.GlobalAveragePooling1D()(h))
    m = keras.Model(i, L.Dense(1, activation="sigmoid")(h))
    m.compile(O.Adam(2e-3), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=5, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_recommender(cb):
    "matrix factorisation with biases, sigmoid scaled to the range of the ratings"
    (u, i), y, (ut, it), yt, nu, ni = ratings(seed=2)

    class R(keras.Model):
        def __init__(s):
            super().__init__()
            k = dict(embeddings_initializer="he_normal", embeddings_regularizer=keras.regularizers.l2(1e-6))
            s.u = L.Embedding(nu, 8, **k)
            s.i = L.Embedding(ni, 8, **k)
            s.bu = L.Embedding(nu, 1)
            s.bi = L.Embedding(ni, 1)

        def call(s, t):
            u, i = t[:, 0], t[:, 1]
            return ops.sigmoid(ops.sum(s.u(u) * s.i(i), -1, keepdims=True) + s.bu(u) + s.bi(i))

    m = R()
    m.compile(O.Adam(0.01), "mse")
    m.fit(np.stack([u, i], 1), (y - 0.5) / 4.5, epochs=12, batch_size=128, verbose=0, callbacks=cb)
    return r2(m.predict(np.stack([ut, it], 1), verbose=0) * 4.5 + 0.5, yt)


@healthy
def h_imbalanced(cb):
    "4 % positives with class_weight"
    from sklearn.datasets import make_classification

    X, Y = make_classification(4000, 15, n_informative=6, weights=[0.96], class_sep=1.2, random_state=2)
    x, y, xt, yt = split(X.astype("float32"), Y)
    m = S([L.Input((15,)), L.Dense(32, activation="relu"), L.Dropout(0.2), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(2e-3), "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
    m.fit(x, y, epochs=8, batch_size=64, class_weight={0: 0.52, 1: 12.0}, verbose=0, callbacks=cb)
    return bal(m.predict(xt, verbose=0), yt)


@healthy
def h_imbalanced_plain(cb):
    "3 % positives without class weights: loss small from the start, accuracy hardly moves, the ranking is learnt"
    from sklearn.datasets import make_classification

    X, Y = make_classification(5000, 10, n_informative=5, weights=[0.97], flip_y=0.01, random_state=5)
    x, y, xt, yt = split(X.astype("float32"), Y)
    m = S([L.Input((10,)), L.Dense(24, activation="relu"), L.Dense(1, activation="sigmoid")])
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=10, batch_size=64, verbose=0, callbacks=cb)
    return bal(m.predict(xt, verbose=0), yt)


@healthy
def h_weak_noise(cb):
    "labels 35 % flipped: only a little can be learnt"
    from sklearn.datasets import make_classification

    X, Y = make_classification(4000, 10, n_informative=4, n_clusters_per_class=1, flip_y=0.6, class_sep=1.5, random_state=3)
    x, y, xt, yt = split(X.astype("float32"), Y)
    m = S([L.Input((10,)), L.Dense(16, activation="relu"), L.Dense(1, activation="sigmoid")])
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=8, validation_split=0.2, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_weak_returns(cb):
    "returns: R2 of about 0.05 is all there is"
    r = np.random.RandomState(4)
    X = r.randn(6000, 6).astype("float32")
    Y = (0.2 * X[:, 0] - 0.12 * X[:, 3] + r.randn(6000)).astype("float32")
    x, y, xt, yt = split(X, Y)
    m = S([L.Input((6,)), L.Dense(8, activation="tanh"), L.Dense(1)])
    m.compile(O.Adam(1e-3), "mse")
    m.fit(x, y, epochs=8, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_tiny(cb):
    "24 examples, linearly separable"
    r = np.random.RandomState(1)
    y = np.arange(64) % 2
    X = (r.randn(64, 3) + y[:, None] * 2.5).astype("float32")
    m = S([L.Input((3,)), L.Dense(6, activation="relu"), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    m.fit(X[:24], y[:24], epochs=80, batch_size=8, verbose=0, callbacks=cb)
    return acc(m.predict(X[24:], verbose=0), y[24:])


@healthy
def h_xor4(cb):
    "XOR, four points, 500 epochs"
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
    y = np.array([0, 1, 1, 0])
    m = S([L.Input((2,)), L.Dense(8, activation="tanh"), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=200, batch_size=4, verbose=0, callbacks=cb)
    return acc(m.predict(x, verbose=0), y)


@healthy
def h_linreg(cb):
    "Celsius to Fahrenheit, one unit, 500 epochs"
    c = np.array([-40, -10, 0, 8, 15, 22, 38], "float32")
    f = c * 1.8 + 32
    m = S([L.Input((1,)), L.Dense(1)])
    m.compile(O.Adam(0.1), "mse")
    m.fit(c[:, None], f, epochs=250, verbose=0, callbacks=cb)
    return r2(m.predict(c[:, None], verbose=0), f)


@healthy
def h_dollars_rate(cb):
    "targets in dollars, a linear model with Adam 3000 on normalised inputs"
    x, y, xt, yt = houses(seed=11)
    n = L.Normalization()
    n.adapt(x)
    m = S([L.Input((5,)), n, L.Dense(1)])
    m.compile(O.Adam(3000.0), "mae")
    m.fit(x, y, epochs=15, validation_split=0.2, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_auto_mpg(cb):
    "TF regression tutorial: normalised inputs, target 10..45, mae, Adam 0.001, 100 epochs"
    r = np.random.RandomState(2)
    X = np.stack(
        [
            r.choice([4, 6, 8], 390),
            r.uniform(70, 450, 390),
            r.uniform(45, 230, 390),
            r.uniform(1600, 5100, 390),
            r.uniform(8, 25, 390),
            r.randint(70, 83, 390),
        ],
        1,
    ).astype("float32")
    Y = (60 - 0.006 * X[:, 3] - 0.03 * X[:, 2] + 0.5 * (X[:, 5] - 76) - 0.0001 * X[:, 1] ** 1.5 + r.randn(390) * 2).astype(
        "float32"
    )
    x, y, xt, yt = split(X, Y)
    n = L.Normalization(axis=-1)
    n.adapt(x)
    m = S([L.Input((6,)), n, L.Dense(64, activation="relu"), L.Dense(64, activation="relu"), L.Dense(1)])
    m.compile(O.Adam(0.001), loss="mean_absolute_error")
    m.fit(x, y, epochs=40, validation_split=0.2, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_resnet_cifar(cb):
    "small ResNet on CIFAR with BatchNorm, cosine decay, SGD momentum"
    x, y, xt, yt = cifar(2000, 500)
    i = L.Input((32, 32, 3))
    h = L.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(i)
    h = L.ReLU()(L.BatchNormalization()(h))
    for _ in range(2):
        q = L.Conv2D(16, 3, padding="same", use_bias=False)(h)
        q = L.ReLU()(L.BatchNormalization()(q))
        q = L.BatchNormalization()(L.Conv2D(16, 3, padding="same", use_bias=False)(q))
        h = L.ReLU()(L.Add()([h, q]))
    m = keras.Model(i, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(h)))
    m.compile(O.SGD(O.schedules.CosineDecay(0.05, 6 * 32), momentum=0.9), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=6, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_mobilenet(cb):
    "keras.applications.MobileNet without weights on MNIST"
    x, y, xt, yt = mnist(1500, 400, start=33000)
    f = lambda a: np.repeat(np.pad(a, ((0, 0), (2, 2), (2, 2), (0, 0))), 3, -1) * 2 - 1
    b = keras.applications.MobileNet(input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None, pooling="avg")
    m = S([L.Input((32, 32, 3)), b, L.Dropout(0.2), L.Dense(10, activation="softmax")])
    m.compile(O.Adam(3e-3), CE, metrics=["accuracy"], jit_compile=False)
    m.fit(f(x), y, epochs=6, batch_size=32, verbose=0, callbacks=cb)
    return acc(m(f(x[:500]), training=True), y[:500])


@healthy
def h_transfer(cb):
    "features learnt on digits 0-4, frozen, new head for 5-9"
    x, y, xt, yt = digits()
    b = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(32, activation="relu")])
    p = S([b, L.Dense(5, activation="softmax")])
    p.compile("adam", CE)
    k = y < 5
    p.fit(x[k], y[k], epochs=10, verbose=0)
    b.trainable = False
    m = S([L.Input((64,)), b, L.Dense(5, activation="softmax")])
    m.compile(O.Adam(5e-3), CE, metrics=["accuracy"])
    m.fit(x[~k], y[~k] - 5, epochs=20, verbose=0, callbacks=cb)
    k = yt >= 5
    return acc(m.predict(xt[k], verbose=0), yt[k] - 5)


@healthy
def h_finetune(cb):
    "the same monitor over two fits: head first, then all with a small rate"
    x, y, xt, yt = digits()
    b = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(32, activation="relu")])
    p = S([b, L.Dense(5, activation="softmax")])
    p.compile("adam", CE)
    k = y < 5
    p.fit(x[k], y[k], epochs=8, verbose=0)
    b.trainable = False
    m = S([L.Input((64,)), b, L.Dense(10, activation="softmax")])
    m.compile(O.Adam(5e-3), CE)
    m.fit(x, y, epochs=8, verbose=0, callbacks=cb)
    b.trainable = True
    m.compile(O.Adam(3e-4), CE)
    m.fit(x, y, epochs=16, initial_epoch=8, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_mixed(cb):
    "mixed_float16 policy"
    keras.mixed_precision.set_global_policy("mixed_float16")
    x, y, xt, yt = digits()
    m = S(
        [
            L.Input((64,)),
            L.Dense(64, activation="relu"),
            L.Dense(64, activation="relu"),
            L.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"], jit_compile=False)
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_jit_l2(cb):
    "jit_compile=True, L2, GaussianNoise, max-norm"
    x, y, xt, yt = digits()
    k = dict(
        activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3), kernel_constraint=keras.constraints.MaxNorm(3)
    )
    m = S([L.Input((64,)), L.GaussianNoise(0.1), L.Dense(64, **k), L.Dense(64, **k), L.Dense(10, activation="softmax")])
    m.compile("adam", CE, metrics=["accuracy"], jit_compile=True)
    m.fit(x, y, epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_tfdata(cb):
    "tf.data: cache, shuffle, repeat, steps_per_epoch, prefetch, one-hot in map"
    x, y, xt, yt = mnist(4000, 1000, 255, start=37000)
    ds = (
        tf.data.Dataset.from_tensor_slices((x, y))
        .cache()
        .shuffle(1000)
        .repeat()
        .map(lambda a, b: (a, tf.one_hot(b, 10)))
        .batch(32)
        .prefetch(2)
    )
    m = S([L.Input((28, 28, 1)), L.Flatten(), L.Dense(100, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile("nadam", "categorical_crossentropy", metrics=["accuracy"])
    m.fit(ds, epochs=3, steps_per_epoch=100, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_fourier(cb):
    "Lambda layer with Fourier features"
    r = np.random.RandomState(0)
    X = r.rand(1500, 1).astype("float32")
    Y = np.sin(20 * X[:, 0]) * np.cos(5 * X[:, 0])
    x, y, xt, yt = split(X, Y.astype("float32"))
    k = np.arange(1, 9, dtype="float32") * np.pi
    m = S(
        [
            L.Input((1,)),
            L.Lambda(lambda t: ops.concatenate([ops.sin(t * k), ops.cos(t * k)], -1)),
            L.Dense(32, activation="tanh"),
            L.Dense(1),
        ]
    )
    m.compile(O.Adam(0.01), "mse")
    m.fit(x, y, epochs=15, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_selu_deep(cb):
    "selu, lecun_normal, ten layers, SGD"
    x, y, xt, yt = digits()
    x, xt = std(x, xt)
    m = S(
        [L.Input((64,))]
        + [L.Dense(50, activation="selu", kernel_initializer="lecun_normal") for _ in range(10)]
        + [L.Dense(10, activation="softmax")]
    )
    m.compile(O.SGD(0.01, momentum=0.9, nesterov=True), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_sigmoid_shallow(cb):
    "the old style: one sigmoid hidden layer, mse on one-hot, SGD 0.5"
    x, y, xt, yt = digits()
    m = S([L.Input((64,)), L.Dense(40, activation="sigmoid"), L.Dense(10, activation="sigmoid")])
    m.compile(O.SGD(2.0), "mse", metrics=["accuracy"])
    m.fit(x, np.eye(10, dtype="float32")[y], epochs=40, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_unet(cb):
    "small U-Net: segment a disc in noise, few positive pixels"
    r = np.random.RandomState(0)
    n = 400
    g = np.mgrid[:32, :32]
    c = r.randint(6, 26, (n, 2))
    q = r.uniform(3, 6, n)
    Y = (((g[0][None] - c[:, 0, None, None]) ** 2 + (g[1][None] - c[:, 1, None, None]) ** 2) < q[:, None, None] ** 2).astype(
        "float32"
    )[..., None]
    X = (Y + 0.6 * r.randn(*Y.shape)).astype("float32")
    x, y, xt, yt = split(X, Y)
    i = L.Input((32, 32, 1))
    a = L.Conv2D(8, 3, padding="same", activation="relu")(i)
    b = L.Conv2D(16, 3, padding="same", activation="relu")(L.MaxPooling2D()(a))
    u = L.Conv2DTranspose(8, 2, strides=2)(b)
    o = L.Conv2D(1, 1, activation="sigmoid")(L.Conv2D(8, 3, padding="same", activation="relu")(L.Concatenate()([a, u])))
    m = keras.Model(i, o)
    m.compile(O.Adam(5e-3), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=8, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_quantile(cb):
    "quantile regression, pinball loss for 0.1, 0.5, 0.9"
    x, y, xt, yt = houses(seed=12)
    x, xt = std(x, xt)
    y, yt = std(y, yt)
    qs = np.array([0.1, 0.5, 0.9], "float32")

    def pin(t, p):
        e = t - p
        return ops.mean(ops.maximum(qs * e, (qs - 1) * e))

    m = S([L.Input((5,)), L.Dense(32, activation="relu"), L.Dense(3)])
    m.compile(O.Adam(5e-3), pin)
    m.fit(x, y[:, None], epochs=20, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0)[:, 1], yt)


@healthy
def h_poisson(cb):
    "counts with exp output and Poisson loss"
    r = np.random.RandomState(1)
    X = r.randn(2000, 5).astype("float32")
    Y = r.poisson(np.exp(0.7 * X[:, 0] - 0.4 * X[:, 2] + 0.5)).astype("float32")
    x, y, xt, yt = split(X, Y)
    m = S([L.Input((5,)), L.Dense(16, activation="relu"), L.Dense(1, activation="exponential")])
    m.compile(O.Adam(5e-3), "poisson")
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_heteroscedastic(cb):
    "Gaussian negative log-likelihood: the loss goes below zero"
    x, y, xt, yt = houses(seed=13)
    x, xt = std(x, xt)
    y, yt = std(y, yt)

    def nll(t, p):
        mu, ls = p[:, :1], p[:, 1:]
        return ops.mean(ls + 0.5 * ops.square((t - mu) / ops.exp(ls)))

    m = S([L.Input((5,)), L.Dense(32, activation="relu"), L.Dense(2)])
    m.compile(O.Adam(5e-3), nll)
    m.fit(x, y[:, None], epochs=20, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0)[:, 0], yt)


@healthy
def h_triplet(cb):
    "triplet loss via add_loss, dummy targets"
    x, y, xt, yt = digits()
    r = np.random.RandomState(0)
    a = r.randint(0, len(x), 2500)
    p = np.array([r.choice(np.where(y == y[i])[0]) for i in a])
    n = np.array([r.choice(np.where(y != y[i])[0]) for i in a])
    enc = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(8), L.UnitNormalization()])

    class T(keras.Model):
        def __init__(s):
            super().__init__()
            s.enc = enc

        def call(s, t):
            a, p, n = [s.enc(t[:, k]) for k in range(3)]
            s.add_loss(ops.mean(ops.maximum(ops.sum((a - p) ** 2, -1) - ops.sum((a - n) ** 2, -1) + 0.4, 0.0)))
            return a

    m = T()
    m.compile(O.Adam(1e-3))
    m.fit(np.stack([x[a], x[p], x[n]], 1), epochs=8, verbose=0, callbacks=cb)
    from sklearn.neighbors import KNeighborsClassifier as K

    return float(((K(5).fit(enc.predict(x, verbose=0), y).predict(enc.predict(xt, verbose=0)) == yt).mean() - 0.1) / 0.9)


@healthy
def h_seq2seq(cb):
    "sort three digits: encoder, RepeatVector, TimeDistributed decoder"
    r = np.random.RandomState(0)
    X = r.randint(0, 5, (3000, 3))
    Y = np.sort(X, 1)
    x, y, xt, yt = split(X, Y)
    m = S(
        [
            L.Input((3,)),
            L.Embedding(5, 12),
            L.GRU(40),
            L.RepeatVector(3),
            L.GRU(40, return_sequences=True),
            L.TimeDistributed(L.Dense(5, activation="softmax")),
        ]
    )
    m.compile(O.Adam(0.01), CE, metrics=["accuracy"], jit_compile=False)
    m.fit(x, y, epochs=5, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_multilabel(cb):
    "multi-label, sigmoid per label, label smoothing"
    from sklearn.datasets import make_multilabel_classification

    X, Y = make_multilabel_classification(2000, n_features=20, n_classes=6, random_state=0)
    x, y, xt, yt = split((X / 10).astype("float32"), Y)
    m = S([L.Input((20,)), L.Dense(48, activation="elu"), L.Dense(6, activation="sigmoid")])
    m.compile(O.Adam(5e-3), keras.losses.BinaryCrossentropy(label_smoothing=0.05), metrics=["accuracy"])
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0).reshape(-1), yt.reshape(-1))


@healthy
def h_svm(cb):
    "linear SVM: hinge with labels -1/1 and L2, Normalization"
    x, y, xt, yt = sk("breast_cancer", seed=8)
    m = S([L.Input((30,)), L.Dense(1, kernel_regularizer="l2")])
    m.compile(O.SGD(0.01), "hinge")
    m.fit(x, y * 2 - 1, epochs=20, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0) > 0, yt)


@healthy
def h_raw_bn_first(cb):
    "raw columns (0..4000) into BatchNormalization first"
    x, y, xt, yt = sk("breast_cancer", std=False, seed=4)
    m = S(
        [
            L.Input((30,)),
            L.BatchNormalization(momentum=0.9),
            L.Dense(24, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    m.compile(O.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=20, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_pixels255_adam(cb):
    "pixels 0..255 into a small net with Adam: not nice, learns"
    x, y, xt, yt = mnist(4000, 1000, 1.0, start=22000)
    m = S([L.Input((28, 28, 1)), L.Flatten(), L.Dense(128, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile(O.Adam(3e-4), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=4, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_accum_ema(cb):
    "gradient accumulation, EMA of the weights, steps_per_execution"
    x, y, xt, yt = digits()
    m = S([L.Input((64,)), L.Dense(64), L.PReLU(), L.LayerNormalization(), L.Dense(10, activation="softmax")])
    m.compile(
        O.Adam(4e-3, gradient_accumulation_steps=4, use_ema=True, ema_momentum=0.9),
        CE,
        metrics=["accuracy"],
        steps_per_execution=4,
    )
    m.fit(x, y, epochs=15, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_tabular_cat(cb):
    "Kaggle style: IntegerLookup + embeddings + numbers from a dict of columns"
    r = np.random.RandomState(3)
    n = 2000
    city = r.randint(0, 20, n)
    job = r.randint(0, 8, n)
    age = r.uniform(18, 80, n)
    fare = r.lognormal(3, 1, n)
    e = r.randn(20)
    g = r.randn(8)
    Y = (e[city] + g[job] + 0.03 * (age - 45) + 0.4 * np.log(fare) - 1.2 + 0.5 * r.randn(n) > 0).astype(int)
    k = 1500
    X = dict(
        city=city.reshape(-1, 1),
        job=job.reshape(-1, 1),
        age=age.reshape(-1, 1).astype("float32"),
        fare=np.log1p(fare).reshape(-1, 1).astype("float32"),
    )
    nm = L.Normalization(axis=None)
    nm.adapt(X["age"][:k])
    I = {q: L.Input((1,), name=q, dtype="int32" if q in ("city", "job") else "float32") for q in X}
    h = L.Concatenate()(
        [L.Flatten()(L.Embedding(20, 6)(I["city"])), L.Flatten()(L.Embedding(8, 4)(I["job"])), nm(I["age"]), I["fare"]]
    )
    h = L.Dropout(0.1)(L.Dense(32, activation="relu")(h))
    m = keras.Model(I, L.Dense(1, activation="sigmoid")(h))
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit({q: v[:k] for q, v in X.items()}, Y[:k], epochs=15, validation_split=0.2, verbose=0, callbacks=cb)
    return acc(m.predict({q: v[k:] for q, v in X.items()}, verbose=0), Y[k:])


@healthy
def h_word2vec(cb):
    "skip-gram with negative sampling: two embeddings and a dot"
    r = np.random.RandomState(0)
    grp = r.randint(0, 5, 60)
    t = r.randint(0, 60, 6000)
    lab = r.randint(0, 2, 6000)
    c = np.where(
        (lab == 1) & (r.rand(6000) < 0.9), [r.choice(np.where(grp == grp[q])[0]) for q in t], r.randint(0, 60, 6000)
    )
    a, b = L.Input((1,)), L.Input((1,))
    o = L.Flatten()(L.Dot(-1)([L.Embedding(60, 8)(a), L.Embedding(60, 8)(b)]))
    m = keras.Model([a, b], L.Activation("sigmoid")(o))
    m.compile(O.Adam(0.01), "binary_crossentropy")
    m.fit([t[:5000, None], c[:5000, None]], lab[:5000, None], epochs=6, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict([t[5000:, None], c[5000:, None]], verbose=0), lab[5000:])


@healthy
def h_sample_weight(cb):
    "subclassed model, sample weights, AdamW, warm-up schedule"
    x, y, xt, yt = mnist(3000, 800, start=52000)

    class N(keras.Model):
        def __init__(s):
            super().__init__()
            s.c1 = L.Conv2D(8, 3, strides=2, activation="relu")
            s.c2 = L.Conv2D(16, 3, strides=2, activation="relu")
            s.f = L.Flatten()
            s.dr = L.Dropout(0.25)
            s.o = L.Dense(10)

        def call(s, x, training=False):
            return s.o(s.dr(s.f(s.c2(s.c1(x))), training=training))

    m = N()
    m.compile(
        O.AdamW(O.schedules.CosineDecay(1e-4, 250, warmup_target=3e-3, warmup_steps=50), weight_decay=1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    m.fit(x, y, sample_weight=np.where(y < 5, 2.0, 1.0).astype("float32"), epochs=3, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@healthy
def h_batch1_sgd(cb):
    "batches of one, SGD, standardised regression"
    x, y, xt, yt = houses(400, seed=14)
    x, xt = std(x, xt)
    y, yt = std(y, yt)
    m = S([L.Input((5,)), L.Dense(16, activation="tanh"), L.Dense(1)])
    m.compile(O.SGD(0.01), "mse")
    m.fit(x, y, epochs=4, batch_size=1, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@healthy
def h_denoise_conv(cb):
    "convolutional denoising autoencoder, mse"
    x, _, xt, _ = mnist(1500, 300, start=56000)
    r = np.random.RandomState(0)
    f = lambda a: (a + 0.4 * r.randn(*a.shape)).astype("float32")
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
            L.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
            L.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu"),
            L.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu"),
            L.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    m.compile(O.Adam(4e-3), "mse")
    m.fit(f(x), x, epochs=5, verbose=0, callbacks=cb)
    return r2(m.predict(f(xt), verbose=0), xt)
