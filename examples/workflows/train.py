"""Trains a small recommender: real flytekit tasks, no dependency beside flytekit.

The model predicts how a user rates an item by biases of users and items, learned by gradient descent.
"""

import random
from typing import NamedTuple

from flytekit import CronSchedule, LaunchPlan, task, workflow

Ratings = list[dict[str, float]]


class Split(NamedTuple):
    """Ratings to learn from, and others to measure by."""

    train: list[dict[str, float]]
    test: list[dict[str, float]]


class Evaluation(NamedTuple):
    """How far predictions were off on average, and in one line."""

    rmse: float
    summary: str


@task
def load_ratings(users: int, items: int, seed: int) -> list[dict[str, float]]:
    """Make up ratings: every user likes everything a bit more or less, and so with items."""
    rng = random.Random(seed)
    user_bias = [rng.gauss(0, 0.5) for _ in range(users)]
    item_bias = [rng.gauss(0, 0.5) for _ in range(items)]
    return [
        {"user": float(u), "item": float(i), "rating": 3.0 + user_bias[u] + item_bias[i] + rng.gauss(0, 0.1)}
        for u in range(users)
        for i in range(items)
    ]


@task
def split(ratings: list[dict[str, float]], test_share: float, seed: int) -> Split:
    """Put a share of the ratings aside."""
    shuffled = list(ratings)
    random.Random(seed).shuffle(shuffled)
    cut = int(len(shuffled) * (1 - test_share))
    return Split(shuffled[:cut], shuffled[cut:])


@task(retries=1)
def fit(train: list[dict[str, float]], learning_rate: float, epochs: int) -> dict[str, float]:
    """Learn the biases."""
    if not 0 < learning_rate < 1:
        raise ValueError(f"learning_rate must be between 0 and 1, not {learning_rate}")
    model = {"mean": sum(row["rating"] for row in train) / len(train)}
    for _ in range(epochs):
        for row in train:
            user, item = f"user-{row['user']:.0f}", f"item-{row['item']:.0f}"
            off = row["rating"] - (model["mean"] + model.get(user, 0.0) + model.get(item, 0.0))
            model[user] = model.get(user, 0.0) + learning_rate * off
            model[item] = model.get(item, 0.0) + learning_rate * off
    return model


@task
def evaluate(model: dict[str, float], test: list[dict[str, float]], learning_rate: float) -> Evaluation:
    """Measure the model on ratings that it has not seen."""
    squares = [
        (
            row["rating"]
            - model["mean"]
            - model.get(f"user-{row['user']:.0f}", 0.0)
            - model.get(f"item-{row['item']:.0f}", 0.0)
        )
        ** 2
        for row in test
    ]
    rmse = (sum(squares) / len(squares)) ** 0.5
    return Evaluation(rmse, f"rmse {rmse:.3f} with learning rate {learning_rate}")


@workflow
def prepare_wf(users: int, items: int, seed: int) -> Split:
    """Load ratings and split them."""
    return split(ratings=load_ratings(users=users, items=items, seed=seed), test_share=0.2, seed=seed)


@workflow
def train_wf(learning_rate: float, users: int = 12, items: int = 9, epochs: int = 20) -> Evaluation:
    """Train a recommender and measure it."""
    data = prepare_wf(users=users, items=items, seed=7)
    model = fit(train=data.train, learning_rate=learning_rate, epochs=epochs)
    return evaluate(model=model, test=data.test, learning_rate=learning_rate)


nightly_train_lp = LaunchPlan.get_or_create(
    train_wf,
    name="nightly_train_lp",
    schedule=CronSchedule(schedule="0 2 * * *"),
    default_inputs={"learning_rate": 0.05},
    fixed_inputs={"epochs": 30},
)
"""Every night at two: the learning rate may be chosen, the number of epochs not."""
