"""Scales: from features to vectors and back."""

import numpy as np
import pytest

from kerbstone.mine.moments.features import FEATURES, SIZE, VERSION
from kerbstone.mine.moments.scaling import FIT, Scales, known_scales


def random_values(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(rng.normal(size=SIZE), np.exp(rng.normal(size=SIZE)), (rows, SIZE))


def test_a_value_comes_back_from_its_vector():
    values = random_values()
    scales = Scales.fit(values)
    np.testing.assert_allclose(scales.to_values(scales.to_vectors(values)), values, atol=1e-4)


def test_what_is_not_known_is_told_as_the_median():
    scales = Scales.fit(random_values())
    unknown = np.full((1, SIZE), np.nan)
    assert not scales.to_vectors(unknown).any()
    np.testing.assert_allclose(scales.to_values(scales.to_vectors(unknown))[0], scales.median)


def test_a_feature_that_hardly_varies_is_scaled_by_its_floor():
    scales = Scales.fit(np.ones((50, SIZE)))
    np.testing.assert_allclose(scales.median, 1.0)
    np.testing.assert_allclose(scales.scale, [feature.floor for feature in FEATURES])


def test_a_feature_that_is_never_known_has_a_scale_even_so():
    values = random_values()
    values[:, 3] = np.nan
    scales = Scales.fit(values)
    assert (scales.median[3], scales.scale[3]) == (0.0, FEATURES[3].floor)


def test_a_few_wild_values_do_not_move_the_scales():
    values = random_values()
    wild = values.copy()
    wild[:5] = 1e9
    calm, stirred = Scales.fit(values), Scales.fit(wild)
    np.testing.assert_allclose(stirred.median, calm.median, atol=0.3 * calm.scale.max())
    assert (stirred.scale < 1.3 * calm.scale + 1e-9).all()


def test_the_distance_is_1_where_all_features_differ_by_one_scale_near_the_median():
    scales = Scales(np.zeros(SIZE), np.ones(SIZE))
    near = scales.to_vectors(np.full((1, SIZE), 0.01)) - scales.to_vectors(np.zeros((1, SIZE)))
    assert np.linalg.norm(near) == pytest.approx(0.01, rel=1e-3)


def test_another_statistic_makes_another_version():
    one, other = Scales.fit(random_values()), Scales.fit(random_values(seed=1))
    assert one.version != other.version
    assert one.version == Scales.fit(random_values()).version
    assert one.version.startswith(f"{VERSION}-")


def test_the_statistics_of_a_store_are_those_of_the_last_fit_that_ended(store):
    assert known_scales(store) is None
    scales = [Scales.fit(random_values(seed=seed)) for seed in range(3)]
    for one in scales[:2]:
        with store.run(command=FIT) as run:
            run.metrics |= {"layout": VERSION, "scales": one.to_dict()}
    with pytest.raises(ZeroDivisionError), store.run(command=FIT) as run:
        run.metrics |= {"layout": VERSION, "scales": scales[1 // 0].to_dict()}
    with store.run(command=FIT) as run:
        run.metrics |= {"layout": VERSION + 1, "scales": scales[2].to_dict()}
    assert known_scales(store).version == scales[1].version
