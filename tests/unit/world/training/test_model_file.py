import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.training.leaves import write_tree
from kerbstone.world.training.model_file import KIND, read_model, read_model_as, write_model
from training_toys import Toy, ToyConfig, build_toy


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.kst"


def write(path, model=None, config=None):
    config = config or ToyConfig()
    model = model or Toy(config, jax.random.key(3))
    write_model(path, model, config=config, objective="toy", told={"run": "r"})
    return model


def test_a_model_comes_back_bit_by_bit_with_what_is_known_of_it(path):
    model = write(path)
    back, header = read_model_as(path, ToyConfig, build_toy)
    assert eqx.tree_equal(model, back)
    assert jax.tree.structure(model) == jax.tree.structure(back)
    assert header["objective"] == "toy"
    assert header["run"] == "r"
    by_folder, _ = read_model_as(path.parent, ToyConfig, build_toy)
    assert eqx.tree_equal(model, by_folder)


def test_a_real_model_comes_back_and_says_the_same(path):
    from kerbstone.world.network import ModelConfig, build_model

    config = ModelConfig(width=8, heads=2, layers=1)
    model = build_model(config, key=jax.random.key(0))
    write_model(path, model, config=config, objective="masked", told={})
    back, _ = read_model(path)
    assert eqx.tree_equal(model, back)


@pytest.mark.parametrize("model", [None, [1], {"width": 10**9}, {"width": "8"}, {"depth": 3}])
def test_a_hostile_configuration_is_refused(path, model):
    arrays = eqx.filter(Toy(ToyConfig(), jax.random.key(0)), eqx.is_array)
    write_tree(path, KIND, {"model": model}, arrays)
    with pytest.raises(InputError):
        read_model_as(path, ToyConfig, build_toy)


def test_weights_of_another_configuration_are_refused(path):
    arrays = eqx.filter(Toy(ToyConfig(), jax.random.key(0)), eqx.is_array)
    write_tree(path, KIND, {"model": {"width": 16}}, arrays)
    with pytest.raises(InputError) as error:
        read_model_as(path, ToyConfig, build_toy)
    assert error.value.code == "shape"


def test_weights_that_are_not_finite_are_refused(path):
    model = Toy(ToyConfig(), jax.random.key(0))
    write(path, eqx.tree_at(lambda toy: toy.shared[1], model, jnp.array([1.0, np.nan])))
    with pytest.raises(InputError, match="not finite"):
        read_model_as(path, ToyConfig, build_toy)


def test_a_checkpoint_is_no_model(path):
    write_tree(path, "training state", {}, ())
    with pytest.raises(InputError, match="no scene model"):
        read_model_as(path, ToyConfig, build_toy)
