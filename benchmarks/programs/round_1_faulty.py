"""Round 1, sick: programs with one fault each, as askers have them; `twin=True` is the same program mended.

Each docstring says what is wrong. `ACCEPT` says which answers name the cause: plain words for a person, names of rules, and
`": remedy"` where a symptom is right if its first remedies hold that one.
"""

from .common import *
from .round_1_data import *

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


@accept(
    ["last activation does not fit the loss", "relu on logits that must be probabilities"], "last_activation", "non_finite"
)
@sick("relu instead of softmax before categorical cross-entropy")
def f_relu_probabilities(cb, twin=False):
    "Dense(10, 'relu') with categorical_crossentropy: the outputs are no probabilities. Mended: softmax."
    a, b, c, d = digits()
    m = dense(64, 64, 10, inp=64, last="softmax" if twin else "relu")
    m.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, keras.utils.to_categorical(b, 10), epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["labels do not belong to the inputs", "memorises; held-out loss never follows"],
    "overfitting", ": check_labels", "plateau", "loss_not_decreasing", "stuck_metric", "constant_output",
)  # fmt: skip
@sick("np.random.shuffle(x) without y")
def f_shuffled_x_alone(cb, twin=False):
    "The rows of x were shuffled for good measure and those of y were not. Mended: one permutation for both."
    a, b, c, d = digits()
    p = np.random.permutation(len(a))
    a, b = (a[p], b[p]) if twin else (a[p], b)
    m = dense(64, 32, 10, inp=64, last="softmax")
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=25, batch_size=32, validation_split=0.2, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(["inputs not scaled"], "unscaled_inputs")
@sick("16-bit images are fed as they are")
def f_sixteen_bit_scans(cb, twin=False):
    "Grey values up to 65535 into a small CNN with SGD. Mended: divided by 65535."
    a, b, c, d = digits()
    k = 1.0 if twin else 65535.0
    a, c = (a * k).reshape(-1, 8, 8, 1), (c * k).reshape(-1, 8, 8, 1)
    m = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(32, "relu"), L.Dense(10, "softmax")]
    )  # fmt: skip
    m.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(["learning rate too high"], "rate_too_high")
@sick("Adam at 0.5 for a GRU")
def f_gru_adam_half(cb, twin=False):
    "keras.optimizers.Adam(0.5) in a GRU for sentiment. Mended: 0.005."
    a, b, c, d = reviews(n=2400, T=30, lo=20)
    m = keras.Sequential([keras.Input((30,)), L.Embedding(1000, 16, mask_zero=True), L.GRU(16), L.Dense(1, "sigmoid")])
    m.compile(keras.optimizers.Adam(0.005 if twin else 0.5), "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=6, batch_size=32, verbose=0, callbacks=cb)
    return bal(m.predict(c, verbose=0), d)


@accept(["L2 penalty far too strong", "weights shrink"], "shrinking_weights", ": lower_weight_decay", ": remove_regularizer")
@sick("l2(0.5) on all kernels")
def f_l2_half_cnn(cb, twin=False):
    "kernel_regularizer=l2(0.5) in every layer. Mended: l2(1e-4)."
    a, b, c, d = digits()
    a, c = a.reshape(-1, 8, 8, 1), c.reshape(-1, 8, 8, 1)
    r = keras.regularizers.L2(1e-4 if twin else 0.5)
    m = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(16, 3, activation="relu", kernel_regularizer=r), L.Flatten()]
        + [L.Dense(32, "relu", kernel_regularizer=r), L.Dense(10, "softmax", kernel_regularizer=r)]
    )
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


class Accumulated(keras.Model):
    reset = True

    def build_sums(s):
        s.sums = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in s.trainable_variables]
        s.count = tf.Variable(0, trainable=False)

    def train_step(s, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = s.compute_loss(x, y, s(x, training=True))
        for t, g in zip(s.sums, tape.gradient(loss, s.trainable_variables)):
            t.assign_add(g)
        s.count.assign_add(1)
        tf.cond(s.count % 4 == 0, s.update, lambda: None)
        return {"loss": loss}

    def update(s):
        s.optimizer.apply_gradients([(t / 4.0, v) for t, v in zip(s.sums, s.trainable_variables)])
        if s.reset:
            for t in s.sums:
                t.assign(tf.zeros_like(t))


@accept(
    ["accumulated gradients are never set back to zero", "gradients and updates grow from step to step"],
    "exploding_gradient", "rate_too_high", "diverging_loss", "oscillating_loss", "non_finite", "exploding_activation",
)  # fmt: skip
@sick("accumulated gradients are never reset")
def f_sums_never_reset(cb, twin=False):
    "Accumulation over four batches by hand, and the sums are not zeroed after the update. Mended: they are."
    a, b, c, d = digits()
    i = keras.Input((64,))
    m = Accumulated(i, L.Dense(10, "softmax")(L.Dense(32, "relu")(L.Dense(32, "relu")(i))))
    m.build_sums()
    m.reset = twin
    m.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(["inputs not scaled", "a frozen base fed with numbers of another scale than it was trained on"], "unscaled_inputs")
@sick("frozen base, other preprocessing")
def f_transfer_other_scale(cb, twin=False):
    "A base trained on pixels in 0..1 is frozen and then fed pixels in 0..255; the head learns by SGD. Mended: divided by 255."
    base = pretrained_base()
    a, b, c, d = mnist_of((5, 6, 7, 8, 9), 700)
    k = 1.0 if twin else 255.0
    base.trainable = False
    m = keras.Sequential([keras.Input((28, 28, 1)), base, L.Dense(32, "relu"), L.Dense(5, "softmax")])
    m.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a * k, b, epochs=8, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c * k, verbose=0), d)


class Seq2Seq(keras.Model):
    def __init__(s, all_of_it):
        super().__init__()
        s.all_of_it = all_of_it
        s.e1, s.enc = L.Embedding(12, 16), L.GRU(48, return_state=True)
        s.e2, s.dec, s.out = L.Embedding(12, 16), L.GRU(48, return_sequences=True), L.Dense(12)

    def call(s, xs):
        x, t = xs
        _, h = s.enc(s.e1(x))
        return s.out(s.dec(s.e2(t), initial_state=h))

    def train_step(s, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = s.compute_loss(x, y, s(x, training=True))
        v = s.trainable_variables
        if not s.all_of_it:
            v = s.dec.trainable_variables + s.out.trainable_variables + s.e2.trainable_variables
        s.optimizer.apply_gradients(zip(tape.gradient(loss, v), v))
        return {"loss": loss}


@accept(["the encoder's weights are not in the list that is trained", "encoder never moves"], "disconnected", "frozen_layer")
@sick("only the decoder's variables are given to the optimizer")
def f_seq2seq_decoder_only(cb, twin=False):
    "A train_step takes the gradients of the decoder alone; the encoder stays random. Mended: all trainable variables."
    x, t, y = reversing(1500, 6)
    a, b, c, d = split(np.arange(len(x)), y)
    m = Seq2Seq(twin)
    m.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit((x[a], t[a]), b, epochs=14, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict((x[c], t[c]), verbose=0), d)


@accept(["no gradient goes through argmax or a cast"], "disconnected")
@sick("hard routing by argmax")
def f_argmax_code(cb, twin=False):
    "An autoencoder whose code is one_hot(argmax(h)): the encoder gets no gradient. Mended: softmax(h)."
    a, _, c, _ = digits()
    x = keras.Input((64,))
    h = L.Dense(24, name="code")(L.Dense(48, "relu")(x))
    if twin:
        h = L.Softmax()(h)
    else:
        h = L.Lambda(lambda t: ops.one_hot(ops.argmax(t, axis=-1), 24), output_shape=(24,))(h)
    m = keras.Model(x, L.Dense(64)(L.Dense(48, "relu")(h)))
    m.compile(keras.optimizers.Adam(0.003), "mse")
    m.fit(a, a, epochs=25, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(c, verbose=0), c)


@accept(["the rate decays to nothing after a few steps", "learning rate too low"], "rate_too_low")
@sick("decay_steps in epochs")
def f_cosine_in_epochs(cb, twin=False):
    "CosineDecay(0.01, decay_steps=12): meant epochs, counted in steps; after 12 steps the rate is 0. Mended: epochs * steps."
    a, b, c, d = digits()
    steps = 12 * (len(a) // 32) if twin else 12
    m = dense(48, 48, 10, inp=64, last="softmax")
    m.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.05, steps)), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["learning rate too high", "units died", "targets or gradients too large"],
    "dead_units", "rate_too_high", "exploding_gradient", "non_finite", ": scale_targets",
)  # fmt: skip
@sick("SGD at 0.3 with momentum on a regression")
def f_relus_die_in_regression(cb, twin=False):
    "SGD(0.3, momentum=0.9) on energy data with targets around 20: all ReLUs die, the mean is predicted. Mended: 0.005."
    a, b, c, d = energy()
    m = dense(32, 32, 1, inp=a.shape[1])
    m.compile(keras.optimizers.SGD(0.003 if twin else 0.3, momentum=0.9), "mse")
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(c, verbose=0), d)


@accept(["a SimpleRNN forgets what was long ago"], "short_memory", "vanishing_gradient", ": use_lstm", ": shorten_sequences")
@sick("SimpleRNN over 100 steps")
def f_first_steps(cb, twin=False):
    "The answer lies in the first two of 100 noisy steps; SimpleRNN(24). Mended: a GRU that reads backwards."
    x, y = first_steps(1600, 100)
    a, b, c, d = split(x, y)
    r = L.GRU(24, go_backwards=True) if twin else L.SimpleRNN(24)
    m = keras.Sequential([keras.Input((100, 2)), r, L.Dense(1, "sigmoid")])
    m.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=5, batch_size=32, verbose=0, callbacks=cb)
    return bal(m.predict(c, verbose=0), d)


@accept(["sigmoids let the gradient vanish"], "vanishing_gradient", "collapsing_activation")
@sick("ten sigmoid convolutions")
def f_sigmoid_convolutions(cb, twin=False):
    "Ten Conv2D layers with sigmoid. Mended: ReLU and He initialisation."
    a, b, c, d = digits()
    a, c = a.reshape(-1, 8, 8, 1), c.reshape(-1, 8, 8, 1)
    k = dict(activation="relu", kernel_initializer="he_normal") if twin else dict(activation="sigmoid")
    m = keras.Sequential([keras.Input((8, 8, 1))] + [L.Conv2D(12, 3, padding="same", **k) for _ in range(10)])
    m.add(L.Flatten())
    m.add(L.Dense(10, "softmax"))
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=6, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["activations grow from block to block", "no normalisation"],
    "exploding_activation", "exploding_gradient", "non_finite", ": add_normalization",
)  # fmt: skip
@sick("residual blocks that double the signal")
def f_residual_without_norm(cb, twin=False):
    "30 residual blocks, each adding its full He-initialised output, no normalisation. Mended: LayerNormalization in each."
    a, b, c, d = digits()
    x = keras.Input((64,))
    h = L.Dense(32)(x)
    for _ in range(30):
        z = L.LayerNormalization()(h) if twin else h
        z = L.Dense(32, "relu", kernel_initializer="he_normal")(z)
        h = L.Add()([h, L.Dense(32, kernel_initializer="he_normal")(z)])
    m = keras.Model(x, L.Dense(10, "softmax")(L.LayerNormalization()(h) if twin else h))
    m.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=6, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["targets not scaled", "loss overflows", "learning rate too high for such targets"],
    "non_finite", "rate_too_high", "exploding_gradient", "diverging_loss", ": scale_targets",
)  # fmt: skip
@sick("prices in dollars under SGD")
def f_prices_sgd(cb, twin=False):
    "House prices of hundreds of thousands, inputs standardised, targets not: NaN within an epoch. Mended: in units of their spread."
    a, b, c, d = houses()
    a, c = std(a, c)
    mu, s = (b.mean(), b.std()) if twin else (0.0, 1.0)
    m = dense(32, 32, 1, inp=5)
    m.compile(keras.optimizers.SGD(0.01), "mse")
    m.fit(a, (b - mu) / s, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(c, verbose=0) * s + mu, d)


@accept(
    ["labels are -1 and 1, binary cross-entropy wants 0 and 1", "the loss runs to minus infinity"],
    "last_activation", ": check_labels", "non_finite", "diverging_loss", "exploding_gradient",
)  # fmt: skip
@sick("labels -1 / +1 for binary cross-entropy")
def f_labels_minus_one(cb, twin=False):
    "SVM labels with a sigmoid and binary_crossentropy, one label in five wrong: it says no to nearly all. Mended: 0 and 1."
    a, b, c, d = half_sure(1600)
    m = dense(16, 16, 1, inp=6, last="sigmoid")
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, (b if twin else 2.0 * b - 1).astype("float32"), epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


class Siamese(keras.Model):
    def __init__(s, eps):
        super().__init__()
        s.eps, s.net = eps, dense(32, 16, inp=64)

    def call(s, xs):
        a, b = xs
        return ops.sqrt(ops.sum(ops.square(s.net(a) - s.net(b)), axis=1, keepdims=True) + s.eps)


@accept(["the square root has an infinite slope at 0", "NaN gradient from a distance of zero"], "non_finite")
@sick("sqrt(0) in a contrastive loss")
def f_siamese_sqrt(cb, twin=False):
    "Pairs hold some identical pictures; the distance's square root gives a NaN gradient there. Mended: an epsilon under it."
    a, b, c, d = digits()
    i, j, same = pairs(b, 2500)
    p, q, test = pairs(d, 600)
    m = Siamese(1e-6 if twin else 0.0)
    m.compile("adam", lambda y, t: ops.mean(y * t + (1 - y) * ops.maximum(1.5 - t, 0)))
    m.fit((a[i], a[j]), same[:, None], epochs=8, batch_size=32, verbose=0, callbacks=cb)
    return bal(-m.predict((c[p], c[q]), verbose=0), test)


@accept(
    ["word numbers are fed as if they were magnitudes", "inputs not scaled", "no embedding"],
    "unscaled_inputs",
    ": add_embedding",
)
@sick("Conv1D on raw word ids")
def f_conv_on_ids(cb, twin=False):
    "Word ids up to 1000 as one channel into Conv1D. Mended: an Embedding."
    a, b, c, d = reviews(n=1600, T=30, lo=30)
    first = [L.Embedding(1000, 16)] if twin else [L.Reshape((30, 1))]
    m = keras.Sequential(
        [keras.Input((30,))] + first + [L.Conv1D(32, 3, activation="relu"), L.GlobalMaxPooling1D(), L.Dense(16, "relu"), L.Dense(1, "sigmoid")]
    )  # fmt: skip
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=8, batch_size=32, verbose=0, callbacks=cb)
    return bal(m.predict(c, verbose=0), d)


class Reinforce(keras.Model):
    def __init__(s, sign):
        super().__init__()
        s.sign, s.net = sign, dense(24, 3, inp=6)

    def call(s, x):
        return s.net(x)

    def train_step(s, data):
        x, best = data
        with tf.GradientTape() as tape:
            logp = tf.nn.log_softmax(s.net(x))
            action = tf.random.categorical(logp, 1)[:, 0]
            reward = tf.cast(tf.equal(action, tf.cast(best, "int64")), "float32")
            chosen = tf.gather(logp, action, batch_dims=1)
            loss = s.sign * tf.reduce_mean(chosen * (reward - 0.33))
        s.optimizer.apply_gradients(zip(tape.gradient(loss, s.net.trainable_variables), s.net.trainable_variables))
        return {"loss": loss, "reward": tf.reduce_mean(reward)}


@accept(
    ["the loss has the wrong sign", "reward falls", "the loss falls without bound"],
    ": check_loss", "diverging_loss", "stuck_metric", "loss_not_decreasing", "exploding_gradient", "rate_too_high",
)  # fmt: skip
@sick("policy gradient with the wrong sign")
def f_reinforce_sign(cb, twin=False):
    "REINFORCE on a contextual bandit: minimises log pi * advantage, so that good actions become rare. Mended: minus."
    x, y = bandit(3000)
    a, b, c, d = split(x, y)
    m = Reinforce(-1.0 if twin else 1.0)
    m.compile(keras.optimizers.Adam(0.005))
    m.fit(a, b, epochs=10, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


class Vae(keras.Model):
    def __init__(s, beta):
        super().__init__()
        s.beta, s.enc, s.dec = beta, dense(48, 16, inp=64), dense(48, 64, inp=8)

    def call(s, x):
        return s.dec(s.enc(x)[:, :8])

    def train_step(s, x):
        with tf.GradientTape() as tape:
            h = s.enc(x)
            mu, lv = h[:, :8], h[:, 8:]
            z = mu + tf.exp(0.5 * lv) * tf.random.normal(tf.shape(mu))
            rec = tf.reduce_mean(tf.reduce_sum((s.dec(z) - x) ** 2, 1))
            kl = -0.5 * tf.reduce_mean(tf.reduce_sum(1 + lv - mu**2 - tf.exp(lv), 1))
            loss = rec + s.beta * kl
        v = s.trainable_variables
        s.optimizer.apply_gradients(zip(tape.gradient(loss, v), v))
        return {"loss": loss, "rec": rec, "kl": kl}


@accept(
    ["posterior collapse: the code says nothing", "KL weighs too much", "plateau at the constant prediction"],
    "constant_output", "plateau", "dormant_units", "collapsing_activation", "vanishing_gradient", "shrinking_weights",
)  # fmt: skip
@sick("KL weighs fifty times too much")
def f_vae_collapse(cb, twin=False):
    "beta = 50 in a VAE on digits: the code is noise and the mean picture comes out. Mended: beta = 0.05."
    a, _, c, _ = digits()
    m = Vae(0.05 if twin else 50.0)
    m.compile(keras.optimizers.Adam(0.003))
    m.fit(a, epochs=25, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(c, verbose=0), c)


@accept(["gradients are clipped to nothing", "steps too small"], "clipping_always", "rate_too_low")
@sick("clipvalue=1e-5")
def f_clipvalue_tiny(cb, twin=False):
    "SGD(0.1, clipvalue=1e-5), copied from somewhere. Mended: clipvalue=1."
    a, b, c, d = sk("wine")
    m = dense(24, 3, inp=13, last="softmax")
    m.compile(keras.optimizers.SGD(0.1, clipvalue=1.0 if twin else 1e-5), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=40, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


class Half(keras.Model):
    scale = True

    def train_step(s, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = s.compute_loss(x, y, s(x, training=True))
            scaled = s.optimizer.scale_loss(loss) if s.scale else loss
        v = s.trainable_variables
        s.optimizer.apply_gradients(zip(tape.gradient(scaled, v), v))
        return {"loss": loss}


@accept(
    ["the loss is not scaled, but the optimizer divides by the scale", "steps too small", "gradients underflow"],
    "rate_too_low", "vanishing_gradient", "loss_not_decreasing", "frozen_layer", "plateau",
)  # fmt: skip
@sick("scale_loss forgotten in mixed precision")
def f_unscaled_half(cb, twin=False):
    "A train_step of one's own under mixed_float16 without optimizer.scale_loss: updates are 32768 times too small. Mended: with it."
    a, b, c, d = digits()
    x = keras.Input((64,))
    h = L.Dense(48, "relu", dtype="mixed_float16")(x)
    h = L.Dense(10, dtype="float32")(L.Dense(48, "relu", dtype="mixed_float16")(h))
    m = Half(x, h)
    m.scale = twin
    opt = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, momentum=0.9))
    m.compile(opt, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(a, b, epochs=8, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["weights are all positive and far too large", "tanh saturates"],
    "saturated_units",
    "exploding_activation",
    "vanishing_gradient",
)
@sick("RandomUniform(0, 1) as initializer")
def f_positive_weights(cb, twin=False):
    "kernel_initializer=RandomUniform(0, 1) in a tanh net: every unit is saturated. Mended: the default."
    a, b, c, d = digits()
    k = {} if twin else dict(kernel_initializer=keras.initializers.RandomUniform(0, 1))
    m = dense(48, 48, 48, 10, inp=64, act="tanh", last="softmax", **k)
    m.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(c, verbose=0), d)


@accept(
    ["softmax makes labels that do not exclude each other compete", "last activation does not fit the loss"],
    "last_activation",
)
@sick("softmax for several labels at once")
def f_multilabel_softmax(cb, twin=False):
    "Six labels, of which several hold at once, with softmax and binary_crossentropy. Mended: sigmoid."
    x, y = several_labels(1600)
    a, b, c, d = split(x, y)
    m = dense(48, 6, inp=20, last="sigmoid" if twin else "softmax")
    m.compile(keras.optimizers.Adam(0.005), "binary_crossentropy")
    m.fit(a, b, epochs=15, batch_size=32, verbose=0, callbacks=cb)
    p = (m.predict(c, verbose=0) > 0.5).astype(int)
    base = max((d == 0).mean(), (d == 1).mean())
    return float(((p == d).mean() - base) / (1 - base))


@accept(
    ["the recurrent net with ReLU explodes"], "exploding_gradient", "exploding_activation", "non_finite", "rate_too_high"
)
@sick("SimpleRNN with ReLU and He initialisation over 60 steps")
def f_relu_rnn(cb, twin=False):
    "SimpleRNN(activation='relu', recurrent_initializer='he_normal') on 60 steps. Mended: a GRU."
    a, b, c, d = series(n=1000, T=60)
    k = dict(activation="relu", recurrent_initializer="he_normal", kernel_initializer="he_normal")
    m = keras.Sequential([keras.Input((60, 1)), L.GRU(24) if twin else L.SimpleRNN(24, **k), L.Dense(1)])
    m.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    m.fit(a, b, epochs=6, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(c, verbose=0), d)


@accept(
    ["attention without positions cannot tell the order", "the loss stays at the constant prediction"],
    "plateau", "loss_not_decreasing", "constant_output", "stuck_metric",
)  # fmt: skip
@sick("a transformer without positions")
def f_no_positions(cb, twin=False):
    "Which of the two marks comes first? Self-attention without a position embedding. Mended: with one."
    x, y = which_first(1600, 16)
    a, b, c, d = split(x, y)
    i = keras.Input((16,), dtype="int32")
    h = L.Embedding(12, 32)(i)
    if twin:
        h = h + L.Embedding(16, 32)(ops.arange(16))
    for _ in range(2):
        h = L.LayerNormalization()(h + L.MultiHeadAttention(4, 8)(h, h))
        h = L.LayerNormalization()(h + L.Dense(32)(L.Dense(64, "relu")(h)))
    m = keras.Model(i, L.Dense(1, "sigmoid")(L.GlobalMaxPooling1D()(h)))
    m.compile(keras.optimizers.Adam(0.002), "binary_crossentropy", metrics=["accuracy"])
    m.fit(a, b, epochs=12, batch_size=32, verbose=0, callbacks=cb)
    return bal(m.predict(c, verbose=0), d)
