"""Faulty ones: `ok` mends them."""

from programs.common import *

S = keras.Sequential
O = keras.optimizers
CE = "sparse_categorical_crossentropy"


@sick("softmax on a single output unit (binary)")
def f_softmax1(cb, ok):
    x, y, xt, yt = sk("breast_cancer")
    m = S([L.Input((30,)), L.Dense(16, "relu"), L.Dense(8, "relu"), L.Dense(1, "sigmoid" if ok else "softmax")])
    m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=20, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("no activation in the hidden layers")
def f_linear_circles(cb, ok):
    x, y, xt, yt = circles()
    a = "relu" if ok else None
    m = S([L.Input((2,)), L.Dense(32, activation=a), L.Dense(32, activation=a), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=30, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("unscaled inputs (0..2500), SGD, sigmoid hidden")
def f_bc_raw_sigmoid(cb, ok):
    x, y, xt, yt = sk("breast_cancer", std=ok)
    m = S(
        [
            L.Input((30,)),
            L.Dense(20, activation="sigmoid"),
            L.Dense(10, activation="sigmoid"),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    m.compile(O.SGD(0.1 if ok else 0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=40, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("pixels 0..255 not scaled, SGD 0.05")
def f_mnist_255_sgd(cb, ok):
    x, y, xt, yt = mnist(4000, 1000, 255.0 if ok else 1.0)
    m = S([L.Input((28, 28, 1)), L.Flatten(), L.Dense(128, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile(O.SGD(0.05), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=4, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("learning rate 5 with SGD")
def f_sgd_lr5(cb, ok):
    x, y, xt, yt = mnist(3000, 1000)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile(O.SGD(0.1 if ok else 5.0), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=2, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("learning rate 1e-7 with Adam")
def f_adam_lr1e7(cb, ok):
    x, y, xt, yt = digits()
    m = S(
        [L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(32, activation="relu"), L.Dense(10, activation="softmax")]
    )
    m.compile(O.Adam(1e-3 if ok else 1e-7), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, batch_size=32, verbose=0, validation_data=(xt, yt), callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("learning rate 0.3 with Adam, small CNN")
def f_adam_lr03_cnn(cb, ok):
    x, y, xt, yt = mnist(2500, 1000, start=8000)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Conv2D(16, 3, strides=2, activation="relu"),
            L.Conv2D(16, 3, strides=2, activation="relu"),
            L.Flatten(),
            L.Dense(64, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile(O.Adam(1e-3 if ok else 0.3), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=3, batch_size=64, verbose=0, validation_split=0.1, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("sigmoid output for a regression of dollars")
def f_reg_sigmoid_out(cb, ok):
    x, y, xt, yt = houses()
    x, xt = std(x, xt)
    y, yt = y / 1e5, yt / 1e5
    m = S(
        [
            L.Input((5,)),
            L.Dense(32, activation="relu"),
            L.Dense(16, activation="relu"),
            L.Dense(1, activation=None if ok else "sigmoid"),
        ]
    )
    m.compile("adam", "mse", metrics=["mae"])
    m.fit(x, y, epochs=20, verbose=0, validation_split=0.2, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("relu output for standardised (half negative) targets")
def f_reg_relu_out(cb, ok):
    x, y, xt, yt = houses(seed=1)
    x, xt = std(x, xt)
    y, yt = std(y, yt)
    m = S(
        [
            L.Input((5,)),
            L.Dense(32, activation="relu"),
            L.Dense(32, activation="relu"),
            L.Dense(1, activation=None if ok else "relu"),
        ]
    )
    m.compile("adam", "mse")
    m.fit(x, y, epochs=20, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("mse of softmax outputs against integer class labels")
def f_mse_int_labels(cb, ok):
    x, y, xt, yt = digits()
    m = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile("adam", CE if ok else "mse", metrics=["accuracy"] if ok else None)
    m.fit(x, y.astype("float32"), epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("crossentropy on raw logits (no softmax, from_logits=False)")
def f_logits_missing(cb, ok):
    x, y, xt, yt = cifar(2000, 600)
    m = S(
        [
            L.Input((32, 32, 3)),
            L.Conv2D(16, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(32, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(64, activation="relu"),
            L.Dense(10),
        ]
    )
    m.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=ok), metrics=["accuracy"])
    m.fit(x, y, epochs=4, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("softmax output and from_logits=True, SGD")
def f_double_softmax(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=20000)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Flatten(),
            L.Dense(64, activation="relu"),
            L.Dense(10, activation=None if ok else "softmax"),
        ]
    )
    m.compile(O.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    m.fit(x, y, epochs=2, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("NaN in the features (missing values)")
def f_nan_data(cb, ok):
    x, y, xt, yt = sk("wine")
    x = x.copy()
    if not ok:
        x[np.random.RandomState(3).rand(*x.shape) < 0.01] = np.nan
    m = S([L.Input((13,)), L.Dense(32, activation="relu"), L.Dense(3, activation="softmax")])
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=30, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("log(0) in a custom binary crossentropy")
def f_log0_custom(cb, ok):
    x, y, xt, yt = sk("breast_cancer")
    eps = 1e-7 if ok else 0.0

    def my_bce(t, p):
        t = ops.cast(t, "float32")
        if ok:
            p = ops.clip(p, eps, 1 - eps)
        return -ops.mean(t * ops.log(p) + (1 - t) * ops.log(1 - p), axis=-1)

    m = S([L.Input((30,)), L.Dense(64, activation="relu"), L.Dense(64, activation="relu"), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(0.01), my_bce)
    m.fit(x, y[:, None], epochs=40, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("inputs shuffled without the labels")
def f_shuffled_labels(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=30000)
    x = x.reshape(-1, 784)
    xt = xt.reshape(-1, 784)
    if not ok:
        x = x[np.random.RandomState(1).permutation(len(x))]
    m = S([L.Input((784,)), L.Dense(128, activation="relu"), L.Dropout(0.2), L.Dense(10, activation="softmax")])
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=5, batch_size=32, validation_split=0.15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("labels 1..3 for 3 outputs under XLA")
def f_labels_off(cb, ok):
    x, y, xt, yt = sk("wine", seed=2)
    m = S([L.Input((13,)), L.Dense(16, activation="relu"), L.Dense(3, activation="softmax")])
    m.compile("adam", CE, jit_compile=True)
    m.fit(x, y if ok else y + 1, epochs=30, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("dead ReLUs: bias of -5")
def f_bias_minus5(cb, ok):
    x, y, xt, yt = digits()
    bi = "zeros" if ok else keras.initializers.Constant(-5.0)
    m = S(
        [
            L.Input((64,)),
            L.Dense(64, activation="relu", bias_initializer=bi),
            L.Dense(64, activation="relu", bias_initializer=bi),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("ten sigmoid layers")
def f_deep_sigmoid(cb, ok):
    x, y, xt, yt = digits()
    a = "relu" if ok else "sigmoid"
    m = S([L.Input((64,))] + [L.Dense(48, activation=a) for _ in range(10)] + [L.Dense(10, activation="softmax")])
    m.compile(O.Adam(1e-3), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("twelve tanh layers with weights of N(0, 0.01)")
def f_deep_tanh_small(cb, ok):
    x, y, xt, yt = digits()
    ki = "glorot_uniform" if ok else keras.initializers.RandomNormal(stddev=0.01)
    m = S(
        [L.Input((64,))]
        + [L.Dense(50, activation="tanh", kernel_initializer=ki) for _ in range(12)]
        + [L.Dense(10, activation="softmax", kernel_initializer=ki)]
    )
    m.compile(O.SGD(0.05, momentum=0.9), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("weights of N(0,1) in a deep ReLU net")
def f_big_init(cb, ok):
    x, y, xt, yt = digits()
    ki = "he_normal" if ok else keras.initializers.RandomNormal(stddev=1.0)
    m = S(
        [L.Input((64,))]
        + [L.Dense(100, activation="relu", kernel_initializer=ki) for _ in range(6)]
        + [L.Dense(10, activation="softmax", kernel_initializer=ki)]
    )
    m.compile(O.SGD(0.05), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=10, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("kernels initialised with zeros")
def f_zero_init(cb, ok):
    x, y, xt, yt = sk("wine", seed=3)
    ki = "glorot_uniform" if ok else "zeros"
    m = S(
        [
            L.Input((13,)),
            L.Dense(32, activation="relu", kernel_initializer=ki),
            L.Dense(16, activation="relu", kernel_initializer=ki),
            L.Dense(3, activation="softmax", kernel_initializer=ki),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=40, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("all kernels initialised with ones (symmetry)")
def f_ones_init(cb, ok):
    x, y, xt, yt = digits()
    ki = "glorot_uniform" if ok else "ones"
    m = S(
        [
            L.Input((64,)),
            L.Dense(40, activation="tanh", kernel_initializer=ki),
            L.Dense(40, activation="tanh", kernel_initializer=ki),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("SimpleRNN must remember the first of 150 steps")
def f_rnn_long(cb, ok):
    r = np.random.RandomState(0)
    x = r.randn(1500, 150, 1).astype("float32")
    y = r.randint(0, 2, 1500)
    x[:, 0:3, 0] = (y * 2 - 1)[:, None] * 2
    x, y, xt, yt = split(x, y)
    m = S([L.Input((150, 1)), L.SimpleRNN(24, go_backwards=ok), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=6, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("exploding RNN: recurrent weights too large")
def f_rnn_explode(cb, ok):
    x, y, xt, yt = series(1500, 40)
    m = S(
        [
            L.Input((40, 1)),
            L.SimpleRNN(
                32,
                activation="relu",
                recurrent_initializer="orthogonal" if ok else keras.initializers.RandomNormal(stddev=0.6),
            ),
            L.Dense(1),
        ]
    )
    m.compile(O.Adam(1e-3), "mse")
    m.fit(x, y, epochs=5, batch_size=32, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("short texts padded behind to 200, LSTM without mask")
def f_post_padding(cb, ok):
    x, y, xt, yt = reviews(1500, 1000, 30)
    p = lambda a: np.pad(a, ((0, 0), (0, 130)))
    m = S([L.Input((160,)), L.Embedding(1000, 16, mask_zero=ok), L.LSTM(16), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    m.fit(p(x), y, epochs=5, batch_size=64, verbose=0, callbacks=cb)
    return acc(m.predict(p(xt), verbose=0), yt)


@sick("dropout of 0.95 after each layer")
def f_dropout95(cb, ok):
    x, y, xt, yt = digits()
    q = 0.2 if ok else 0.95
    m = S(
        [
            L.Input((64,)),
            L.Dense(64, activation="relu"),
            L.Dropout(q),
            L.Dense(64, activation="relu"),
            L.Dropout(q),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, verbose=0, validation_data=(xt, yt), callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("L2 of 1.0 on every kernel")
def f_l2_one(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=12000)
    rg = keras.regularizers.L2(1e-4 if ok else 1.0)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Conv2D(8, 3, strides=2, activation="relu", kernel_regularizer=rg),
            L.Flatten(),
            L.Dense(32, activation="relu", kernel_regularizer=rg),
            L.Dense(10, activation="softmax", kernel_regularizer=rg),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=3, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("stop_gradient behind a random encoder of 2 units")
def f_stop_gradient(cb, ok):
    x, y, xt, yt = digits()
    i = L.Input((64,))
    h = L.Dense(64, activation="relu")(i)
    h = L.Dense(4, activation="relu", name="code")(h)
    if not ok:
        h = L.Lambda(lambda t: ops.stop_gradient(t))(h)
    h = L.Dense(32, activation="relu")(h)
    m = keras.Model(i, L.Dense(10, activation="softmax")(h))
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=20, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("ops.round in the middle cuts the gradient")
def f_round_cut(cb, ok):
    x, y, xt, yt = sk("wine", seed=5)

    class Bin(L.Layer):
        def call(self, t):
            return ops.round(ops.sigmoid(t)) if not ok else ops.sigmoid(t)

    m = S([L.Input((13,)), L.Dense(16, activation="relu"), L.Dense(3), Bin(), L.Dense(3, activation="softmax")])
    m.compile(O.Adam(0.01), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=30, batch_size=16, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("a custom train_step that trains the last variables only")
def f_train_step_last(cb, ok):
    x, y, xt, yt = digits()

    class M(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as t:
                loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            v = self.trainable_variables if ok else self.trainable_variables[-1:]
            g = t.gradient(loss, v)
            self.optimizer.apply(g, v)
            return {"loss": loss}

    i = L.Input((64,))
    h = L.Dense(64, activation="relu")(i)
    h = L.Dense(32, activation="relu")(h)
    m = M(i, L.Dense(10, activation="softmax")(h))
    m.compile("adam", CE)
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("all layers but the head frozen before training (random base)")
def f_frozen_random(cb, ok):
    x, y, xt, yt = cifar(2000, 600)
    base = S(
        [
            L.Input((32, 32, 3)),
            L.Conv2D(16, 3, strides=2, activation="relu"),
            L.Conv2D(32, 3, strides=2, activation="relu"),
            L.GlobalAveragePooling2D(),
        ],
        name="base",
    )
    base.trainable = ok
    m = S([L.Input((32, 32, 3)), base, L.Dense(10, activation="softmax")])
    m.compile(O.Adam(2e-3), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=5, batch_size=32, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("batches of 2 with BatchNormalization, rate 0.01")
def f_bn_batch2(cb, ok):
    x, y, xt, yt = sk("wine", seed=7)
    m = S(
        [
            L.Input((13,)),
            L.Dense(32),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dense(32),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dense(3, activation="softmax"),
        ]
    )
    m.compile(O.Adam(1e-2), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=8, batch_size=16 if ok else 2, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("batches of 1 with BatchNormalization on dense features")
def f_bn_batch1(cb, ok):
    x, y, xt, yt = sk("diabetes")
    y, yt = std(y.astype("float32"), yt.astype("float32"))
    m = S([L.Input((10,)), L.Dense(16, activation="relu"), L.BatchNormalization(), L.Dense(1)])
    m.compile(O.Adam(3e-3), "mse")
    m.fit(x, y, epochs=30 if ok else 4, batch_size=32 if ok else 1, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("BatchNormalization(momentum=0.9999), few steps: evaluation is off")
def f_bn_momentum(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=15000)
    x, xt = x * 5 + 3, xt * 5 + 3
    bn = lambda: L.BatchNormalization(momentum=0.9 if ok else 0.99999)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Conv2D(8, 3, strides=2),
            bn(),
            L.Activation("relu"),
            L.Conv2D(16, 3, strides=2),
            bn(),
            L.Activation("relu"),
            L.Flatten(),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=3, batch_size=32, validation_data=(xt, yt), verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("softmax over the time axis instead of the classes")
def f_softmax_axis(cb, ok):
    r = np.random.RandomState(0)
    x = r.randint(0, 12, (1500, 10))
    y = (x + np.roll(x, 1, 1)) % 5
    x, y, xt, yt = split(x, y)
    m = S(
        [
            L.Input((10,)),
            L.Embedding(12, 16),
            L.Bidirectional(L.GRU(24, return_sequences=True)),
            L.Dense(5),
            L.Softmax(axis=-1 if ok else 1),
        ]
    )
    m.compile(O.Adam(0.01), CE, jit_compile=False)
    m.fit(x, y, epochs=6, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("custom loss with a sum over the batch, SGD 0.05")
def f_sum_loss(cb, ok):
    x, y, xt, yt = houses(seed=4)
    x, xt = std(x, xt)
    y, yt = std(y, yt)
    red = ops.mean if ok else ops.sum
    m = S([L.Input((5,)), L.Dense(32, activation="relu"), L.Dense(1)])
    m.compile(O.SGD(0.05), lambda t, p: red(ops.square(t - p)))
    m.fit(x, y[:, None], epochs=15, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("y of shape (n,) against (n,1) in a custom loss: broadcasts")
def f_broadcast(cb, ok):
    x, y, xt, yt = houses(seed=5)
    x, xt = std(x, xt)
    y, yt = std(y, yt)

    class M(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as t:
                p = self(x, training=True)
                loss = tf.reduce_mean((y - (p[:, 0] if ok else p)) ** 2)
            self.optimizer.apply(t.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    i = L.Input((5,))
    m = M(i, L.Dense(1)(L.Dense(32, activation="relu")(i)))
    m.compile(O.Adam(0.01))
    ds = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2000).batch(32)
    m.fit(ds, epochs=15, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("a bottleneck of one ReLU before ten classes")
def f_bottleneck(cb, ok):
    x, y, xt, yt = digits()
    m = S(
        [
            L.Input((64,)),
            L.Dense(64, activation="relu"),
            L.Dense(32 if ok else 1, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=20, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("categorical_crossentropy with one output unit: loss 0")
def f_cce_one_unit(cb, ok):
    x, y, xt, yt = moons()
    m = S([L.Input((2,)), L.Dense(32, activation="relu"), L.Dense(16, activation="relu"), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(0.01), "binary_crossentropy" if ok else "categorical_crossentropy", metrics=["accuracy"])
    m.fit(x, y[:, None], epochs=30, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("targets in dollars, Adam 0.001: never gets there")
def f_dollars_adam(cb, ok):
    x, y, xt, yt = houses(seed=6)
    x, xt = std(x, xt)
    if ok:
        y, yt = std(y, yt)
    m = S([L.Input((5,)), L.Dense(64, activation="relu"), L.Dense(64, activation="relu"), L.Dense(1)])
    m.compile("adam", "mse", metrics=["mae"])
    m.fit(x, y, epochs=20, batch_size=32, validation_split=0.1, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


class VAE(keras.Model):
    def __init__(s, beta, **k):
        super().__init__(**k)
        s.beta = beta
        s.e = L.Dense(64, activation="relu")
        s.mu = L.Dense(8)
        s.lv = L.Dense(8)
        s.d1 = L.Dense(64, activation="relu")
        s.d2 = L.Dense(64, activation="sigmoid")
        s.sg = keras.random.SeedGenerator(1)

    def call(s, x, training=False):
        h = s.e(x)
        mu, lv = s.mu(h), s.lv(h)
        z = mu + (ops.exp(0.5 * lv) * keras.random.normal(ops.shape(mu), seed=s.sg) if training else 0.0)
        s.add_loss(s.beta * ops.mean(ops.sum(-0.5 * (1 + lv - mu**2 - ops.exp(lv)), -1)))
        return s.d2(s.d1(z))


@sick("VAE: weight of the KL term 100 times too large (collapse)")
def f_vae_collapse(cb, ok):
    x, _, xt, _ = digits()
    m = VAE(2e-3 if ok else 0.5)
    m.compile(O.Adam(3e-3), "mse")
    m.fit(x, x, epochs=25, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), xt)


@sick("autoencoder: sigmoid output, pixels 0..16 unscaled")
def f_ae_unscaled(cb, ok):
    x, _, xt, _ = digits()
    k = 1.0 if ok else 16.0
    m = S(
        [
            L.Input((64,)),
            L.Dense(32, activation="relu"),
            L.Dense(12, activation="relu"),
            L.Dense(32, activation="relu"),
            L.Dense(64, activation="sigmoid"),
        ]
    )
    m.compile(O.Adam(3e-3), "mse")
    m.fit(x * k, x * k, epochs=20, batch_size=64, verbose=0, callbacks=cb)
    return r2(m.predict(xt * k, verbose=0), xt * k)


@sick("siamese net: sqrt(0) distance of identical pairs gives NaN")
def f_siamese_sqrt(cb, ok):
    x, y, xt, yt = digits()
    r = np.random.RandomState(0)

    def pairs(x, y, n):
        a = r.randint(0, len(x), n)
        b = np.where(r.rand(n) < 0.5, [r.choice(np.where(y == y[i])[0]) for i in a], r.randint(0, len(x), n))
        b[:5] = a[:5]
        return x[a], x[b], (y[a] == y[b]).astype("float32")

    enc = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(16)])
    i, j = L.Input((64,)), L.Input((64,))
    eps = 1e-6 if ok else 0.0
    d = L.Lambda(lambda t: ops.sqrt(ops.sum(ops.square(t[0] - t[1]), -1, keepdims=True) + eps), output_shape=(1,))(
        [enc(i), enc(j)]
    )
    m = keras.Model([i, j], d)
    m.compile(O.Adam(1e-3), lambda t, p: ops.mean(t * p**2 + (1 - t) * ops.maximum(1 - p, 0) ** 2))
    a, b, t = pairs(x, y, 3000)
    m.fit([a, b], t[:, None], epochs=6, verbose=0, callbacks=cb)
    a, b, t = pairs(xt, yt, 1000)
    p = m.predict([a, b], verbose=0)
    return bal(-p, t)


@sick("ExponentialDecay per step instead of per epoch")
def f_decay_fast(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=25000)
    m = S([L.Input((28, 28, 1)), L.Flatten(), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile(O.SGD(O.schedules.ExponentialDecay(0.1, 94 if ok else 1, 0.9)), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=5, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("LearningRateScheduler warm-up multiplies by epoch: rate 0 for ever")
def f_warmup_zero(cb, ok):
    x, y, xt, yt = sk("wine", seed=9)
    sch = (lambda e, lr: 1e-2 * min(1, (e + 1) / 5)) if ok else (lambda e, lr: lr * min(1, e / 5))
    m = S([L.Input((13,)), L.Dense(32, activation="relu"), L.Dense(3, activation="softmax")])
    m.compile(O.Adam(1e-2), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=25, batch_size=16, verbose=0, callbacks=cb + [keras.callbacks.LearningRateScheduler(sch)])
    return acc(m.predict(xt, verbose=0), yt)


@sick("ReduceLROnPlateau(monitor='accuracy', mode='min', patience=1, factor 0.1)")
def f_plateau_min(cb, ok):
    x, y, xt, yt = digits()
    m = S([L.Input((64,)), L.Dense(32, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile(O.Adam(1e-3), CE, metrics=["accuracy"])
    m.fit(
        x,
        y,
        epochs=20,
        batch_size=64,
        verbose=0,
        callbacks=cb
        + [
            keras.callbacks.ReduceLROnPlateau(
                monitor="accuracy", mode="max" if ok else "min", patience=1, factor=0.1, min_lr=0
            )
        ],
    )
    return acc(m.predict(xt, verbose=0), yt)


@sick("EarlyStopping on val_accuracy with mode='min' stops after two epochs")
def f_earlystop_min(cb, ok):
    x, y, xt, yt = digits()
    m = S([L.Input((64,)), L.Dense(32, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile(O.Adam(1e-3), CE, metrics=["accuracy"])
    m.fit(
        x,
        y,
        epochs=20,
        batch_size=64,
        verbose=0,
        validation_data=(xt, yt),
        callbacks=cb + [keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max" if ok else "min", patience=2)],
    )
    return acc(m.predict(xt, verbose=0), yt)


@sick("clipnorm of 1e-4 with SGD")
def f_clipnorm(cb, ok):
    x, y, xt, yt = cifar(1500, 500)
    m = S(
        [
            L.Input((32, 32, 3)),
            L.Conv2D(16, 3, strides=2, activation="relu"),
            L.Conv2D(16, 3, strides=2, activation="relu"),
            L.Flatten(),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile(O.SGD(0.03, momentum=0.9, clipnorm=1.0 if ok else 1e-4), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=5, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("word ids as numbers into Dense layers, no embedding")
def f_ids_dense(cb, ok):
    x, y, xt, yt = reviews(2000, 1000, 40)
    h = [L.Embedding(1000, 16), L.GlobalAveragePooling1D()] if ok else []
    m = S(
        [L.Input((40,))]
        + h
        + [L.Dense(32, activation="relu"), L.Dense(16, activation="relu"), L.Dense(1, activation="sigmoid")]
    )
    m.compile(O.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x if ok else x.astype("float32"), y, epochs=10, validation_split=0.1, verbose=0, callbacks=cb)
    return acc(m.predict(xt if ok else xt.astype("float32"), verbose=0), yt)


@sick("softmax as hidden activation")
def f_softmax_hidden(cb, ok):
    x, y, xt, yt = digits()
    a = "relu" if ok else "softmax"
    m = S([L.Input((64,)), L.Dense(64, activation=a), L.Dense(64, activation=a), L.Dense(10, activation="softmax")])
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("tf.data without shuffle, sorted by class")
def f_sorted_data(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=40000)
    o = np.argsort(y, kind="stable")
    x, y = x[o], y[o]
    ds = tf.data.Dataset.from_tensor_slices((x, y))
    ds = (ds.shuffle(3000) if ok else ds).batch(32)
    m = S([L.Input((28, 28, 1)), L.Flatten(), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile(O.SGD(0.05), CE, metrics=["accuracy"])
    m.fit(ds, epochs=4, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("scaled twice: x/255 and Rescaling(1/255)")
def f_rescaled_twice(cb, ok):
    x, y, xt, yt = mnist(3000, 1000, start=45000)
    m = S(
        [
            L.Input((28, 28, 1)),
            L.Rescaling(1.0 if ok else 1 / 255),
            L.Conv2D(8, 3, strides=2, activation="relu"),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )
    m.compile(O.SGD(0.1), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=3, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("two outputs: mse of an unscaled target swamps the classes")
def f_multi_out(cb, ok):
    x, y, xt, yt = digits()
    r = np.random.RandomState(0)
    w = r.randn(64)
    z, zt = (x @ w * 3000 + 20000), (xt @ w * 3000 + 20000)
    if ok:
        z, zt = std(z, zt)
    i = L.Input((64,))
    h = L.Dense(64, activation="relu")(i)
    h = L.Dense(32, activation="relu")(h)
    m = keras.Model(i, [L.Dense(10, activation="softmax", name="cls")(h), L.Dense(1, name="price")(h)])
    m.compile("adam", {"cls": CE, "price": "mse"})
    m.fit(x, {"cls": y, "price": z[:, None]}, epochs=15, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0)[0], yt)


@sick("recommender: sigmoid output for ratings of 0.5 to 5")
def f_rec_sigmoid(cb, ok):
    (u, i), y, (ut, it), yt, nu, ni = ratings()
    a, b = L.Input((1,)), L.Input((1,))
    e = L.Flatten()(L.Embedding(nu, 8)(a))
    f = L.Flatten()(L.Embedding(ni, 8)(b))
    h = L.Concatenate()([e, f])
    h = L.Dense(32, activation="relu")(h)
    o = L.Dense(1, activation=None if ok else "sigmoid")(h)
    m = keras.Model([a, b], o)
    m.compile(O.Adam(5e-3), "mse")
    m.fit([u[:, None], i[:, None]], y, epochs=8, batch_size=128, verbose=0, callbacks=cb)
    return r2(m.predict([ut[:, None], it[:, None]], verbose=0), yt)


@sick("recommender: L2 of 0.1 on the embeddings")
def f_rec_l2(cb, ok):
    (u, i), y, (ut, it), yt, nu, ni = ratings(seed=1)
    rg = keras.regularizers.L2(1e-6 if ok else 0.1)
    a, b = L.Input((1,)), L.Input((1,))
    e = L.Flatten()(L.Embedding(nu, 6, embeddings_regularizer=rg)(a))
    f = L.Flatten()(L.Embedding(ni, 6, embeddings_regularizer=rg)(b))
    o = L.Dense(1)(L.Concatenate()([L.Dot(1)([e, f]), e, f]))
    m = keras.Model([a, b], o)
    m.compile(O.Adam(5e-3), "mse")
    m.fit([u[:, None], i[:, None]], y, epochs=10, batch_size=128, verbose=0, callbacks=cb)
    return r2(m.predict([ut[:, None], it[:, None]], verbose=0), yt)


@sick("transformer block with Adam 0.05")
def f_transformer_lr(cb, ok):
    x, y, xt, yt = reviews(1500, 1000, 30, seed=3)
    i = L.Input((30,))
    h = L.Embedding(1000, 24)(i)
    q = L.MultiHeadAttention(2, 12)(h, h)
    h = L.LayerNormalization()(h + q)
    f = L.Dense(24)(L.Dense(48, activation="relu")(h))
    h = L.LayerNormalization()(h + f)
    m = keras.Model(i, L.Dense(1, activation="sigmoid")(L.GlobalAveragePooling1D()(h)))
    m.compile(O.Adam(1e-3 if ok else 0.1), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=6, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("AdamW(weight_decay=20)")
def f_weight_decay(cb, ok):
    x, y, xt, yt = digits()
    m = S(
        [L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(32, activation="relu"), L.Dense(10, activation="softmax")]
    )
    m.compile(O.AdamW(1e-3, weight_decay=0.01 if ok else 20.0), CE, metrics=["accuracy"])
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("binary crossentropy on a linear output (from_logits=False)")
def f_bce_linear(cb, ok):
    x, y, xt, yt = moons(seed=2)
    m = S(
        [
            L.Input((2,)),
            L.Dense(24, activation="relu"),
            L.Dense(24, activation="relu"),
            L.Dense(1, activation="sigmoid" if ok else None),
        ]
    )
    m.compile(O.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=25, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("tanh output with binary crossentropy")
def f_bce_tanh(cb, ok):
    x, y, xt, yt = sk("breast_cancer", seed=3)
    m = S([L.Input((30,)), L.Dense(16, activation="tanh"), L.Dense(1, activation="sigmoid" if ok else "tanh")])
    m.compile(O.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=20, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("Poisson loss on a linear output: log of a negative number")
def f_poisson_linear(cb, ok):
    r = np.random.RandomState(0)
    x = r.randn(1500, 4).astype("float32")
    y = r.poisson(np.exp(0.8 * x[:, 0] - 0.5 * x[:, 1])).astype("float32")
    x, y, xt, yt = split(x, y)
    m = S([L.Input((4,)), L.Dense(32, activation="relu"), L.Dense(1, activation="exponential" if ok else None)])
    m.compile(O.Adam(5e-3), "poisson")
    m.fit(x, y, epochs=12, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("msle on standardised targets")
def f_msle_negative(cb, ok):
    x, y, xt, yt = houses(seed=9)
    x, xt = std(x, xt)
    y, yt = std(y, yt)
    m = S([L.Input((5,)), L.Dense(32, activation="relu"), L.Dense(1)])
    m.compile(O.Adam(0.01), "mse" if ok else "mean_squared_logarithmic_error")
    m.fit(x, y, epochs=20, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("class_weight the wrong way round (rare class nearly ignored)")
def f_class_weight(cb, ok):
    from sklearn.datasets import make_classification

    X, Y = make_classification(3000, 12, n_informative=6, weights=[0.7], class_sep=0.8, random_state=1)
    x, y, xt, yt = split(X.astype("float32"), Y)
    m = S([L.Input((12,)), L.Dense(32, activation="relu"), L.Dense(1, activation="sigmoid")])
    m.compile(O.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
    m.fit(x, y, epochs=12, class_weight={0: 1.0, 1: 1.0 if ok else 0.01}, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("time series of level 10,000 unscaled into an LSTM")
def f_lstm_level(cb, ok):
    x, y, xt, yt = series(1200, 24, scale=500, off=10000)
    if ok:
        x, xt, y, yt = [(a - 10000) / 500 for a in (x, xt, y, yt)]
    m = S([L.Input((24, 1)), L.LSTM(24), L.Dense(1)])
    m.compile(O.Adam(5e-3), "mse")
    m.fit(x, y, epochs=8, verbose=0, callbacks=cb)
    return r2(m.predict(xt, verbose=0), yt)


@sick("reshape instead of transpose: pixels of different examples mixed")
def f_reshape_mix(cb, ok):
    x, y, xt, yt = mnist(2500, 800, start=50000)
    x, xt = x[..., 0], xt[..., 0]
    if not ok:
        x = np.ascontiguousarray(x.transpose(1, 2, 0)).reshape(-1, 28, 28)  # (28,28,n) from a .mat file, read with reshape
    m = S([L.Input((28, 28)), L.Flatten(), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")])
    m.compile("adam", CE, metrics=["accuracy"])
    m.fit(x, y, epochs=4, validation_split=0.1, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("float16 policy with a custom train_step, no loss scaling, tiny loss weight")
def f_fp16_underflow(cb, ok):
    keras.mixed_precision.set_global_policy("mixed_float16" if not ok else "float32")
    x, y, xt, yt = digits()

    class M(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as t:
                loss = 1e-5 * tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, self(x, training=True)))
            self.optimizer.apply(t.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    i = L.Input((64,))
    h = L.Dense(48, activation="tanh")(i)
    h = L.Dense(48, activation="tanh")(h)
    m = M(i, L.Dense(10, activation="softmax", dtype="float32")(h))
    opt = O.Adam(1e-3, epsilon=1e-12)
    m.compile(opt, jit_compile=False)
    if not ok:
        m.optimizer = opt
    m.fit(x, y, epochs=8, verbose=0, callbacks=cb)
    return acc(m.predict(xt, verbose=0), yt)


@sick("GAN-like: the wrong model in the optimizer step (discriminator updates itself to fool)")
def f_triplet_collapse(cb, ok):
    x, y, xt, yt = digits()
    lr = 1e-3 if ok else 0.1
    enc = S([L.Input((64,)), L.Dense(64, activation="relu"), L.Dense(64, activation="relu"), L.Dense(8)])

    class T(keras.Model):
        def __init__(s):
            super().__init__()
            s.enc = enc

        def call(s, t):
            return ops.stack([s.enc(t[:, 0]), s.enc(t[:, 1]), s.enc(t[:, 2])], 1)

    r = np.random.RandomState(0)
    a = r.randint(0, len(x), 3000)
    p = np.array([r.choice(np.where(y == y[i])[0]) for i in a])
    n = np.array([r.choice(np.where(y != y[i])[0]) for i in a])
    m = T()
    m.compile(
        O.Adam(lr),
        lambda t, e: ops.mean(
            ops.maximum(ops.sum((e[:, 0] - e[:, 1]) ** 2, -1) - ops.sum((e[:, 0] - e[:, 2]) ** 2, -1) + 0.5, 0.0)
        ),
    )
    m.fit(np.stack([x[a], x[p], x[n]], 1), np.zeros((3000, 1)), epochs=5, verbose=0, callbacks=cb)
    e, et = enc.predict(x, verbose=0), enc.predict(xt, verbose=0)
    if not np.isfinite(et).all():
        return float("nan")
    from sklearn.neighbors import KNeighborsClassifier as K

    q = K(5).fit(e, y).predict(et)
    return float(((q == yt).mean() - 0.1) / 0.9)
