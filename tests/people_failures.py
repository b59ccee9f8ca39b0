"""What failed at first sight, and what was seen: by program, and for the bits by how often it was watched.

An entry goes when the failure is gone (`xfail` is strict); none is added to let a change pass.
"""

from __future__ import annotations

NOISE = "tf.random in a step of one's own: the watched step and the plain one each go through their own random numbers"

BITS: dict[tuple[str, int], str] = {
    ("a_gan_of_two_models", 3): NOISE,
    ("gan", 3): NOISE,
    ("wgan_gp", 3): NOISE,
    ("byol", 3): NOISE,
    ("byol_whose_teacher_is_trainable", 3): NOISE,
    ("simsiam", 3): NOISE,
    ("diffusion_with_tf_noise", 3): NOISE,
}

NAMES: dict[str, str] = {}

RAW = "raw tf.Variables that the tape trains have neither a row nor a reason"

ROWS: dict[str, str] = {
    "raw_tensors_and_one_layer": RAW,
}

ZERO = "updates are recorded as 0 at each step, without a reason, while the weights move"

UPDATES: dict[str, str] = {
    "raw_variables_without_optimizer": f"{ZERO}: by assign_sub",
    "raw_tensors_and_one_layer": f"{ZERO}: by assign_sub",
    "two_updates_in_a_step": "only one of the two updates in a step is in update_norm",
    "wgan_gp": "only one of the critic's three updates in a step is in update_norm",
    "own_train_function": "only one of the two updates of a train function of one's own is in update_norm",
}
